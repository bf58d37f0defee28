package state

import "regexp"

// What Traefik's container and its driver agree on. The container is made with these settings, the driver writes files for them.
const (
	DriverTraefik = "traefik"
	// TraefikName is the container's name, as Kamal 1 had it.
	TraefikName = "traefik"
	// TraefikDynamicDir is where the files that hold the routes lie, below the run directory on the host.
	TraefikDynamicDir = "proxy/traefik/dynamic"
	// TraefikMount is where the container has that directory.
	TraefikMount = "/etc/traefik/kamald"
	// TraefikHTTP and TraefikHTTPS are its entry points for requests.
	TraefikHTTP  = "http"
	TraefikHTTPS = "https"
	// TraefikAsk is an entry point that is not published: there Traefik is asked which files it has read.
	TraefikAsk     = "kamald"
	TraefikAskPort = 8199
	// TraefikResolver gets certificates by ACME for routes that have none of their own.
	TraefikResolver = "kamald"
)

var traefikPath = regexp.MustCompile("\\A/[^\\x00-\\x20\\x7f`{},?#\\\\]*\\z")

// TraefikPath tells whether a path prefix can stand in a rule of Traefik's and means itself there. A comma would divide it where
// it is stripped.
func TraefikPath(prefix string) bool { return traefikPath.MatchString(prefix) }

// TraefikLacks says of each option of a route, in the words of deploy.hcl, what Traefik cannot do.
func TraefikLacks(o RouteOptions) []string {
	var lacks []string
	say := func(when bool, what string) {
		if when {
			lacks = append(lacks, what)
		}
	}
	say(o.BufferRequests != o.BufferResponses, "proxy.buffering.requests and responses must be alike: Traefik buffers both or neither")
	say(!o.BufferRequests && (o.MaxRequestBody > 0 || o.MaxResponseBody > 0), "proxy.buffering.max_request_body and max_response_body need buffering.requests and responses with Traefik")
	say(o.ErrorPagePath != "", "error_pages_path is not there with Traefik: it takes error pages from a service, not from files")
	say(o.ForwardHeaders == o.TLS, "proxy.forward_headers is not set by route with Traefik: http trusts the client's X-Forwarded headers and https does not; "+
		"proxy_server.args changes that for all, \"entrypoints.http.forwardedheaders.insecure\" = false")
	say(len(o.LogRequestHeaders)+len(o.LogResponseHeaders) > 0, "proxy.logging is not set by route with Traefik: its access log is in proxy_server.args, \"accesslog.fields.headers.names.X-Name\" = \"keep\"")
	say(o.CanonicalHost != "", "a canonical host is not there with Traefik")
	say(o.TLSOnDemandURL != "" || o.TLSStaging || o.ACMECachePath != "", "settings of ACME are not set by route with Traefik: they are in proxy_server.args, \"certificatesresolvers.kamald.acme.…\"")
	say(o.WriterAffinity != 0 || o.ReadersTakeWebsockets || o.ScopeCookiePaths || o.ClientIPHeader != "" || len(o.ExcludeMetricsPaths) > 0 || o.Balance != "",
		"readers, least connections, scoped cookies, the client's address from a header and paths without metrics are not there with Traefik")
	return lacks
}

// ForTraefik is what comes nearest to a route's options among those that Traefik can do, and what is not taken along.
func ForTraefik(o RouteOptions) (RouteOptions, []string) {
	lost := TraefikLacks(o)
	if o.BufferRequests != o.BufferResponses || !o.BufferRequests {
		o.BufferRequests, o.BufferResponses = false, false
		o.MaxRequestBody, o.MaxResponseBody = 0, 0
	}
	o.ErrorPagePath, o.ForwardHeaders = "", !o.TLS
	o.LogRequestHeaders, o.LogResponseHeaders = nil, nil
	o.CanonicalHost, o.TLSOnDemandURL, o.TLSStaging, o.ACMECachePath, o.ClientIPHeader = "", "", false, "", ""
	o.WriterAffinity, o.ReadersTakeWebsockets, o.ScopeCookiePaths, o.ExcludeMetricsPaths, o.Balance = 0, false, false, nil, ""
	return o, lost
}
