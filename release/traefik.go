package release

import (
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/kamald/kamald/state"
)

// traefikVolume is where its container keeps the certificates that it got by ACME.
const traefikVolume = "/var/lib/traefik"

// Traefik tells whether the proxy is Traefik, and not one that takes kamal-proxy's commands.
func (s ProxyServer) Traefik() bool { return s.Driver == state.DriverTraefik }

// OtherName is the container's name that the proxy of the other driver has where nobody chose one.
func (s ProxyServer) OtherName() string {
	if s.Traefik() {
		return defaultProxyName
	}
	return state.TraefikName
}

// TraefikArgs are Traefik's arguments, of versions 2.11 and 3: two entry points for requests, a third for kamald's questions,
// files as the only provider, and what the file says in proxy_server.args, which wins over the defaults among them.
func (s ProxyServer) TraefikArgs() []string {
	args := map[string][]string{}
	for name, value := range traefikDefaults() {
		args[name] = []string{value}
	}
	if s.Debug {
		args["log.level"] = []string{"DEBUG"}
	}
	if s.MetricsPort > 0 {
		args["entrypoints.metrics.address"] = []string{":" + strconv.Itoa(s.MetricsPort)}
		args["metrics.prometheus"], args["metrics.prometheus.entrypoint"] = []string{"true"}, []string{"metrics"}
	}
	for _, name := range slices.Sorted(maps.Keys(s.Args)) {
		args[strings.ToLower(name)] = s.Args[name] // Traefik reads names without regard to case
	}
	for name, value := range traefikFixed() {
		args[name] = []string{value}
	}
	var list []string
	for _, name := range slices.Sorted(maps.Keys(args)) {
		for _, value := range args[name] {
			list = append(list, "--"+name+"="+value)
		}
	}
	return list
}

// traefikFixed is what the driver builds on.
func traefikFixed() map[string]string {
	return map[string]string{
		"entrypoints." + state.TraefikHTTP + ".address":  ":80",
		"entrypoints." + state.TraefikHTTPS + ".address": ":443",
		"entrypoints." + state.TraefikAsk + ".address":   ":" + strconv.Itoa(state.TraefikAskPort),
		"providers.file.directory":                       state.TraefikMount,
		"providers.file.watch":                           "true",
		"ping":                                           "true",
		"ping.manualrouting":                             "true",
	}
}

// traefikDefaults make Traefik behave as the other proxy does where its own defaults do not.
func traefikDefaults() map[string]string {
	const http, https = "entrypoints." + state.TraefikHTTP, "entrypoints." + state.TraefikHTTPS
	resolver := "certificatesresolvers." + state.TraefikResolver + ".acme."
	all := map[string]string{
		"global.checknewversion":                            "false",
		"global.sendanonymoususage":                         "false",
		"log.format":                                        "json",
		"accesslog":                                         "true",
		"accesslog.format":                                  "json",
		"providers.providersthrottleduration":               "100ms", // 2 s would be added to each switch
		http + ".forwardedheaders.insecure":                 "true",
		http + ".transport.respondingtimeouts.readtimeout":  "0s", // version 3 would cut an upload after a minute
		https + ".transport.respondingtimeouts.readtimeout": "0s",
		resolver + "storage":                                traefikVolume + "/acme.json",
		resolver + "httpchallenge.entrypoint":               state.TraefikHTTP,
	}
	for _, name := range defaultLogHeaders {
		all["accesslog.fields.headers.names."+strings.ToLower(name)] = "keep"
	}
	return all
}

// TraefikVolumes are what its container mounts: the routes, the certificates of applications, those that it got by ACME.
func (s ProxyServer) TraefikVolumes(runDir string) []string {
	return []string{
		s.Name + "-config:" + traefikVolume,
		runDir + "/proxy/apps-config:/home/kamal-proxy/.apps-config", // where certificates are for either proxy
		runDir + "/" + state.TraefikDynamicDir + ":" + state.TraefikMount + ":ro",
	}
}

var (
	// traefikTag is a tag that says version 2.11 or later; a bare 2 is the last of them.
	traefikTag = regexp.MustCompile(`:v?(?:2(?:\.(?:1[1-9]|[2-9][0-9])(?:\.[0-9]+)*)?|(?:[3-9]|[1-9][0-9]+)(?:\.[0-9]+)*)(?:-[a-z0-9.-]+)?\z`)
	traefikArg = regexp.MustCompile(`\A[A-Za-z0-9][A-Za-z0-9_.\[\]-]*\z`)
)

// compileTraefik makes what only Traefik has, and refuses what it cannot do.
func (c *compiler) compileTraefik(b *block) {
	args := b.get("args")
	if b.get("driver").text() == state.DriverTraefik {
		c.rel.ProxyServer.Driver, c.rel.ProxyServer.Name = state.DriverTraefik, b.get("name").textOr(state.TraefikName)
	}
	if !c.rel.ProxyServer.Traefik() {
		if len(args.keys()) > 0 {
			c.errorf(args.rng, "Arguments without Traefik", "args are Traefik's own: they need driver = \"traefik\"; the other proxies have attributes of their own for what can be set.")
		}
		return
	}
	if v := b.get("image"); !v.set() {
		c.errorf(b.rng, "Image needed", "driver = \"traefik\" needs image, with a tag that says the version: \"traefik:v3.1\".")
	} else if !v.unknown && !traefikTag.MatchString(v.text()) {
		c.errorf(v.rng, "Unknown version", "The tag of %q does not say that it is Traefik 2.11 or later; rules are written otherwise in each: \"traefik:v3.1\".", v.text())
	}
	for _, name := range args.keys() {
		c.checkTraefikArg(args, name)
	}
	c.rel.ProxyServer.Args = valuesByName(args)
}

func (c *compiler) checkTraefikArg(args *value, name string) {
	rng, plain := args.rangeOf(name), strings.ToLower(name)
	group, _, _ := strings.Cut(plain, ".")
	_, fixed := traefikFixed()[plain]
	provider := strings.HasPrefix(plain, "providers.") && plain != "providers.providersthrottleduration"
	ask := "entrypoints." + state.TraefikAsk
	switch {
	case !traefikArg.MatchString(name):
		c.errorf(rng, "Bad argument", "%q is no name of an argument of Traefik's: it is written without dashes before it, such as \"accesslog.format\".", name)
	case provider && !fixed && !strings.HasPrefix(plain, "providers.file"):
		c.errorf(rng, "Another provider", "%s would let containers take traffic before kamald has proven them: files are the only provider.", name)
	case fixed || group == "ping" || group == "configfile" || provider || plain == ask || strings.HasPrefix(plain, ask+"."):
		c.errorf(rng, "Argument that kamald sets", "%s is what kamald drives Traefik by, and cannot be set.", name)
	}
}

// checkTraefikRoutes refuses, where it is written, what Traefik cannot do for a role or an accessory.
func (c *compiler) checkTraefikRoutes() {
	if !c.rel.ProxyServer.Traefik() {
		return
	}
	for _, one := range c.claimants() {
		b := one.proxy
		rng := c.claimRange(one.own)
		if b != nil {
			rng = b.rng
		}
		said := "Role " + one.Name
		if accessory, is := state.AccessoryOf(one.Name); is {
			said = "Accessory " + accessory
		}
		for _, lacks := range state.TraefikLacks(one.Proxy.Options) {
			c.errorf(rng, "Not with Traefik", "%s: %s.", said, lacks)
		}
		for _, prefix := range b.get("path_prefixes").items() {
			if !state.TraefikPath(plainPrefix(prefix.s)) {
				c.errorf(prefix.rng, "Not with Traefik", "The path prefix %q cannot stand in a rule of Traefik's: no space, backquote, backslash, brace, comma, ? or #.", prefix.s)
			}
		}
	}
}

// valuesByName are the values of a map whose entries are scalars or lists; nil for none.
func valuesByName(v *value) map[string][]string {
	var all map[string][]string
	for _, name := range v.keys() {
		entry, _ := v.entry(name)
		for _, t := range entry {
			if all == nil {
				all = map[string][]string{}
			}
			all[name] = append(all[name], t.s)
		}
	}
	return all
}

// forTraefik are a role's defaults where the proxy is Traefik: it does not buffer, since its buffering holds back server-sent
// events, and it logs headers by its own arguments.
func (c *compiler) forTraefik(o state.RouteOptions, buffering, logging *block) state.RouteOptions {
	if c.root.child("proxy_server").get("driver").text() != state.DriverTraefik {
		return o
	}
	o.BufferRequests, o.BufferResponses = buffering.get("requests").boolOr(false), buffering.get("responses").boolOr(false)
	if !logging.get("request_headers").set() {
		o.LogRequestHeaders = nil
	}
	return o
}
