package release

import (
	"maps"
	"net/netip"
	"strings"
	"time"

	"github.com/kamald/kamald/state"
)

const (
	defaultAppPort         = 80
	defaultHealthPath      = "/up"
	defaultPathPrefix      = "/"
	defaultResponseTimeout = 30 * time.Second
	defaultBufferMemory    = 1 << 20
	defaultBuffering       = true
	defaultStripPathPrefix = true
	defaultSSLRedirect     = true

	defaultProxyName  = "kamal-proxy"
	defaultProxyImage = "kamald/proxy:1.0.0"
	defaultHTTPPort   = 80
	defaultHTTPSPort  = 443
	defaultPublish    = true

	defaultProxyDriver = "kamal-proxy"
)

// defaultLogHeaders are the request headers that the proxy logs where nothing else is said.
var defaultLogHeaders = []string{"Cache-Control", "Last-Modified", "User-Agent"}

// proxyOf is a role's proxy block: its own laid over the root's; nil when neither is there.
func (c *compiler) proxyOf(b *block) *block { return overlay(c.root.child("proxy"), b.child("proxy")) }

func (c *compiler) compileProxy(role *block) *Proxy {
	b := c.proxyOf(role)
	health, buffering, logging := b.child("healthcheck"), b.child("buffering"), b.child("logging")
	ssl := b.get("ssl").boolOr(false)
	options := state.RouteOptions{
		Hosts: b.get("hosts").strings(), PathPrefixes: prefixes(b.get("path_prefixes")),
		StripPathPrefix: b.get("strip_path_prefix").boolOr(defaultStripPathPrefix),
		TLS:             ssl, TLSRedirect: b.get("ssl_redirect").boolOr(defaultSSLRedirect),
		ForwardHeaders:  b.get("forward_headers").boolOr(!ssl),
		ResponseTimeout: b.get("response_timeout").durationOr(defaultResponseTimeout),

		HealthPath: health.get("path").textOr(defaultHealthPath), HealthPort: health.get("port").intOr(0), HealthHost: health.get("host").text(),
		HealthInterval: health.get("interval").durationOr(defaultHealthInterval),
		HealthTimeout:  health.get("timeout").durationOr(defaultHealthTimeout),

		BufferRequests: buffering.get("requests").boolOr(defaultBuffering), BufferResponses: buffering.get("responses").boolOr(defaultBuffering),
		BufferMemory:   int64(buffering.get("memory").intOr(defaultBufferMemory)),
		MaxRequestBody: int64(buffering.get("max_request_body").intOr(0)), MaxResponseBody: int64(buffering.get("max_response_body").intOr(0)),

		LogRequestHeaders: logging.get("request_headers").strings(), LogResponseHeaders: logging.get("response_headers").strings(),
	}
	if !logging.get("request_headers").set() {
		options.LogRequestHeaders = append([]string{}, defaultLogHeaders...)
	}
	if v := health.get("path"); v.set() && !v.unknown && !strings.HasPrefix(v.text(), "/") {
		c.errorf(v.rng, "Bad path", "A path begins with \"/\": %q.", v.text())
	}
	c.checkRouteHosts(b.get("hosts"))
	c.checkPrefixes(b.get("path_prefixes"))
	c.checkSSL(b, role)
	options = c.forTraefik(options, buffering, logging)
	proxy := &Proxy{AppPort: b.get("app_port").intOr(defaultAppPort), Options: options}
	if !options.Root() {
		proxy.Options.TLSRedirect = defaultSSLRedirect // the host's root path says it for all paths
	}
	if ssl && b.get("certificate").set() {
		proxy.Certificate, proxy.PrivateKey = b.get("certificate").text(), b.get("private_key").text()
	}
	return proxy
}

// prefixes are the path prefixes in their plain form: one slash before, none after.
func prefixes(v *value) []string {
	all := []string{}
	for _, prefix := range v.strings() {
		all = append(all, plainPrefix(prefix))
	}
	if len(all) == 0 {
		all = append(all, defaultPathPrefix)
	}
	return all
}

func plainPrefix(prefix string) string { return "/" + strings.Trim(prefix, "/") }

// checkRouteHosts refuses what could never equal the name that a request asks for: the proxy would wait for such a request for ever.
func (c *compiler) checkRouteHosts(v *value) {
	for _, item := range v.items() {
		if !routeHost.MatchString(item.s) {
			c.errorf(item.rng, "Bad host", "A proxy's host is a name that requests ask for, such as \"shop.example.com\" or \"*.example.com\", without scheme, port or path, not %q.%s",
				item.s, foreignLetter(item.s))
		}
	}
}

func (c *compiler) checkPrefixes(v *value) {
	for _, item := range v.items() {
		switch {
		case !strings.HasPrefix(item.s, "/"):
			c.errorf(item.rng, "Bad path prefix", "A path prefix begins with \"/\": %q, not %q.", "/"+item.s, item.s)
		case !routePrefix.MatchString(item.s):
			c.errorf(item.rng, "Bad path prefix", "A path prefix has no space, ? or #: %q.", item.s)
		}
	}
}

func (c *compiler) compileProxyServer() {
	b := c.root.child("proxy_server")
	c.rel.ProxyServer = ProxyServer{
		Declared: b != nil,
		Name:     b.get("name").textOr(defaultProxyName), Image: b.get("image").textOr(defaultProxyImage),
		HTTPPort: b.get("http_port").intOr(defaultHTTPPort), HTTPSPort: b.get("https_port").intOr(defaultHTTPSPort),
		MetricsPort: b.get("metrics_port").intOr(0), Bind: b.get("bind").strings(), Publish: b.get("publish").boolOr(defaultPublish),
		LogMaxSize: b.get("log_max_size").textOr(defaultLogMaxSize), Debug: b.get("debug").boolOr(false),
		Labels: b.get("labels").stringMap(), Env: b.get("env").stringMap(),
	}
	if b == nil {
		return
	}
	c.compileTraefik(b)
	c.compileProxyOptions(b)
	c.checkLabels(b.get("labels"))
	for _, item := range b.get("bind").items() {
		if _, err := netip.ParseAddr(strings.Trim(item.s, "[]")); err != nil {
			c.errorf(item.rng, "Bad address", "bind lists IP addresses of the host, and %q is none.", item.s)
		}
	}
	if v := b.get("image"); v.set() && !v.unknown && !strings.Contains(v.text()[strings.LastIndex(v.text(), "/")+1:], ":") {
		c.errorf(v.rng, "Image without a tag", "proxy_server.image needs a tag, which says its version: %q.", v.text()+":1.0.0")
	}
	if v := b.get("name"); v.set() && !v.unknown && !volumeName.MatchString(v.text()) {
		c.errorf(v.rng, "Bad name", "%q cannot name a container.", v.text())
	}
	if !c.rel.ProxyServer.Publish {
		for _, name := range []string{"http_port", "https_port", "bind"} {
			if v := b.get(name); v.set() {
				c.errorf(v.rng, "Nothing to publish", "%s has no effect with publish = false.", name)
			}
		}
	}
	c.checkPorts(b)
}

// compileProxyOptions takes what a container of a role takes, but for what the proxy's container has of its own.
func (c *compiler) compileProxyOptions(b *block) {
	p, options := &c.rel.ProxyServer, c.compileOptions(b.get("options"), b.title())
	p.Options = options.kept
	env := Env{Clear: maps.Clone(p.Env)}
	c.mergeOptions(b, options, optionTarget{labels: &p.Labels, env: &env, instead: map[string]string{
		"restart":      "the proxy always starts again, unless it was stopped",
		"volume":       "mount = \"type=bind,source=…,target=…\" in the same place does that",
		"log-driver":   "the proxy logs with json-file",
		"log-opt":      "its size is log_max_size",
		"stop-signal":  "the proxy ends by the signal of its image",
		"stop-timeout": "the proxy ends when its connections have",
	}})
	p.Env = env.Clear
}

func (c *compiler) checkPorts(b *block) {
	p := c.rel.ProxyServer
	if p.HTTPPort == p.HTTPSPort {
		rng := b.rng
		for _, name := range []string{"http_port", "https_port"} {
			if v := b.get(name); v.set() {
				rng = v.rng
			}
		}
		c.errorf(rng, "One port twice", "http_port and https_port are both %d.", p.HTTPPort)
	}
}
