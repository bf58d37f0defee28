package proxy

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kamald/kamald/state"
)

// The proxy's words for what its pause controller does.
const (
	pausePaused  = 1
	pauseStopped = 2
)

// What the proxy takes where it is not told otherwise; routes are given without them.
const (
	defaultWriterAffinity = time.Second
	defaultACMECache      = configPath + "/certs"
	defaultBalance        = "round-robin"
)

// ParseState reads kamal-proxy's state file into routes sorted by name, options in canonical form: no hosts for any host,
// ["/"] for every path, empty lists nil.
func ParseState(data []byte) ([]state.Route, error) {
	var services []service
	if err := json.Unmarshal(data, &services); err != nil {
		return nil, fmt.Errorf("the proxy's state is not a JSON array of services: %w", err)
	}
	routes := make([]state.Route, 0, len(services))
	for _, s := range services {
		if s.Name == "" {
			return nil, errors.New("the proxy's state has a service without a name")
		}
		routes = append(routes, s.route())
	}
	slices.SortFunc(routes, func(a, b state.Route) int { return strings.Compare(a.Name, b.Name) })
	return routes, nil
}

// Canonical is the form in which Routes gives options; two that the proxy treats alike are equal in it.
func Canonical(o state.RouteOptions) state.RouteOptions {
	o.Hosts = slices.DeleteFunc(slices.Clone(o.Hosts), func(host string) bool { return host == "" })
	paths := make([]string, 0, len(o.PathPrefixes)+1)
	for _, path := range o.PathPrefixes {
		paths = append(paths, "/"+strings.Trim(path, "/"))
	}
	if len(paths) == 0 {
		paths = append(paths, "/")
	}
	o.PathPrefixes = paths
	for _, list := range []*[]string{&o.Hosts, &o.LogRequestHeaders, &o.LogResponseHeaders, &o.ExcludeMetricsPaths} {
		if len(*list) == 0 {
			*list = nil
		}
	}
	if o.WriterAffinity == defaultWriterAffinity {
		o.WriterAffinity = 0
	}
	if o.ACMECachePath == defaultACMECache {
		o.ACMECachePath = ""
	}
	return o
}

// deployArgs writes every option out: a deploy replaces them all, and those not given go back to the proxy's defaults.
func deployArgs(route state.Route, deploy, drain time.Duration) []string {
	o := Canonical(route.Options)
	argv := []string{command, "deploy", route.Name}
	flag := func(name, value string) { argv = append(argv, "--"+name+"="+value) }
	each := func(name string, values []string) {
		for _, value := range values {
			flag(name, quoted(value))
		}
	}
	boolean := func(name string, value bool) { flag(name, strconv.FormatBool(value)) }
	number := func(name string, value int64) { flag(name, strconv.FormatInt(value, 10)) }

	each("target", route.Targets)
	each("host", o.Hosts)
	each("path-prefix", o.PathPrefixes)
	boolean("strip-path-prefix", o.StripPathPrefix)
	boolean("tls", o.TLS)
	flag("tls-certificate-path", o.CertificatePath)
	flag("tls-private-key-path", o.PrivateKeyPath)
	boolean("tls-redirect", o.TLSRedirect)
	flag("deploy-timeout", deploy.String())
	flag("drain-timeout", drain.String())
	flag("target-timeout", o.ResponseTimeout.String())
	flag("health-check-path", o.HealthPath)
	number("health-check-port", int64(o.HealthPort))
	flag("health-check-host", o.HealthHost)
	flag("health-check-interval", o.HealthInterval.String())
	flag("health-check-timeout", o.HealthTimeout.String())
	boolean("forward-headers", o.ForwardHeaders)
	boolean("buffer-requests", o.BufferRequests)
	boolean("buffer-responses", o.BufferResponses)
	number("buffer-memory", o.BufferMemory)
	number("max-request-body", o.MaxRequestBody)
	number("max-response-body", o.MaxResponseBody)
	each("log-request-header", o.LogRequestHeaders)
	each("log-response-header", o.LogResponseHeaders)
	flag("error-pages", o.ErrorPagePath)
	return append(argv, rareArgs(route, o)...)
}

// rareArgs are the options that are given only where they say something: not every version of the proxy knows them all.
func rareArgs(route state.Route, o state.RouteOptions) (argv []string) {
	each := func(name string, values ...string) {
		for _, value := range values {
			if value != "" {
				argv = append(argv, "--"+name+"="+quoted(value))
			}
		}
	}
	plain := func(name, value string, given bool) {
		if given {
			argv = append(argv, "--"+name+"="+value)
		}
	}
	each("read-target", route.Readers...)
	plain("tls-staging", "true", o.TLSStaging)
	plain("acme-directory", o.ACMEDirectory, o.ACMEDirectory != "")
	plain("tls-on-demand-url", o.TLSOnDemandURL, o.TLSOnDemandURL != "")
	plain("tls-acme-cache-path", o.ACMECachePath, o.ACMECachePath != "")
	plain("canonical-host", o.CanonicalHost, o.CanonicalHost != "")
	plain("writer-affinity-timeout", max(o.WriterAffinity, 0).String(), o.WriterAffinity != 0)
	plain("read-target-websockets", "true", o.ReadersTakeWebsockets)
	plain("scope-cookie-paths", "true", o.ScopeCookiePaths)
	each("exclude-metrics-path", o.ExcludeMetricsPaths...)
	plain("client-ip-header", o.ClientIPHeader, o.ClientIPHeader != "")
	plain("balance", o.Balance, o.Balance != "")
	return argv
}

// quoted keeps a value whole: the proxy reads its lists as lines of CSV.
func quoted(value string) string {
	if !strings.ContainsAny(value, ",\"\n") {
		return value
	}
	return `"` + strings.ReplaceAll(value, `"`, `""`) + `"`
}
