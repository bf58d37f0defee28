package state

import (
	"slices"
	"strings"
	"time"
)

// Proxy is the proxy container of a host and what it routes.
type Proxy struct {
	ID       string   `json:"id,omitempty"` // "" when there is none
	Name     string   `json:"name,omitempty"`
	Image    string   `json:"image,omitempty"` // repo:tag it was made from
	Running  bool     `json:"running,omitempty"`
	Networks []string `json:"networks,omitempty"`
	Routes   []Route  `json:"routes,omitempty"` // of every service on the host, sorted by name
	Live     *Spec    `json:"live,omitempty"`   // how it was made; nil when it was not asked for
	Asked    *Spec    `json:"asked,omitempty"`  // what a proxy_server block asked for when it was made; nil when none did
	Owner    string   `json:"owner,omitempty"`  // the app whose proxy_server block it was made from; "": nobody's
	// Own: it is kamald-proxy, as the program that runs there says itself.
	Own      bool     `json:"own,omitempty"`
	Apps     string   `json:"apps,omitempty"`     // the host's directory that it has certificates and error pages from
	Version  string   `json:"version,omitempty"`  // of the program that runs; "" when it does not say
	Features []string `json:"features,omitempty"` // what it can do beyond kamal-proxy
	Other    string   `json:"other,omitempty"`    // it is not there or does not run, and this one of another driver runs in its place
	// Stopped is who has stopped it on purpose; nil when it runs, or nobody has.
	Stopped *Intent `json:"stopped,omitempty"`
}

// Program is what kamald-proxy says of itself.
type Program struct {
	Version  string    `json:"version"` // of the image it came with
	Started  time.Time `json:"started"`
	Features []string  `json:"features"`
}

// FeatureUpgrade: the program can be replaced while it serves.
const FeatureUpgrade = "upgrade"

// Route finds a route by the name of its service.
func (p Proxy) Route(name string) (Route, bool) {
	i := slices.IndexFunc(p.Routes, func(r Route) bool { return r.Name == name })
	if i < 0 {
		return Route{}, false
	}
	return p.Routes[i], true
}

// Route is what the proxy does for one role: which requests it takes and where they go. All options are here, because a
// deploy replaces them wholesale and switching back needs them.
type Route struct {
	Name    string       `json:"name"`
	Targets []string     `json:"targets"` // container ID (12 digits):port
	Options RouteOptions `json:"options"`
	Stopped bool         `json:"stopped,omitempty"` // answers 503 on purpose
	Paused  bool         `json:"paused,omitempty"`
	Implied bool         `json:"implied,omitempty"` // by labels of containers, for a Traefik of Kamal 1: not set by a command

	Readers     []string      `json:"readers,omitempty"`      // get what only reads; empty: the targets get all
	StopMessage string        `json:"stop_message,omitempty"` // on the page of a stopped one
	MaxPause    time.Duration `json:"max_pause,omitempty"`    // how long a paused one holds a request
	Rollout     *Rollout      `json:"rollout,omitempty"`      // a share of the requests goes elsewhere; nil: none does
}

// Rollout is where a share of a route's requests goes.
type Rollout struct {
	Targets []string `json:"targets"`
	Readers []string `json:"readers,omitempty"`
	On      bool     `json:"on,omitempty"`      // requests are split; without it the targets wait
	Percent int      `json:"percent,omitempty"` // 0 to 100
	List    []string `json:"list,omitempty"`    // values of the rollout's cookie that always go there
}

// TargetID is the 12-digit ID of the container that the route's first target names, "" when there is none.
func (r Route) TargetID() string {
	if len(r.Targets) == 0 {
		return ""
	}
	id, _, _ := strings.Cut(r.Targets[0], ":")
	return ShortID(id)
}

// RouteOptions are a route's settings as the proxy keeps them. Zero values are the proxy's defaults made explicit by
// whoever builds the options; two equal values behave alike.
type RouteOptions struct {
	Hosts           []string      `json:"hosts,omitempty"` // empty: any host
	PathPrefixes    []string      `json:"path_prefixes,omitempty"`
	StripPathPrefix bool          `json:"strip_path_prefix"`
	TLS             bool          `json:"tls,omitempty"`
	CertificatePath string        `json:"certificate_path,omitempty"`
	PrivateKeyPath  string        `json:"private_key_path,omitempty"`
	TLSRedirect     bool          `json:"tls_redirect"`
	ForwardHeaders  bool          `json:"forward_headers"`
	ResponseTimeout time.Duration `json:"response_timeout"`

	HealthPath     string        `json:"health_path"`
	HealthPort     int           `json:"health_port,omitempty"` // 0: the target's
	HealthHost     string        `json:"health_host,omitempty"`
	HealthInterval time.Duration `json:"health_interval"`
	HealthTimeout  time.Duration `json:"health_timeout"`

	BufferRequests     bool     `json:"buffer_requests,omitempty"`
	BufferResponses    bool     `json:"buffer_responses,omitempty"`
	BufferMemory       int64    `json:"buffer_memory,omitempty"` // bytes
	MaxRequestBody     int64    `json:"max_request_body,omitempty"`
	MaxResponseBody    int64    `json:"max_response_body,omitempty"`
	LogRequestHeaders  []string `json:"log_request_headers,omitempty"`
	LogResponseHeaders []string `json:"log_response_headers,omitempty"`
	ErrorPagePath      string   `json:"error_page_path,omitempty"`

	// What follows is asked for by hand only; it is here so that switching back restores it.
	TLSStaging            bool          `json:"tls_staging,omitempty"`
	ACMEDirectory         string        `json:"acme_directory,omitempty"` // kamald-proxy's alone: neither production nor staging
	TLSOnDemandURL        string        `json:"tls_on_demand_url,omitempty"`
	ACMECachePath         string        `json:"acme_cache_path,omitempty"` // "": the proxy's default
	CanonicalHost         string        `json:"canonical_host,omitempty"`
	WriterAffinity        time.Duration `json:"writer_affinity,omitempty"` // 0: the proxy's default, below 0: none
	ReadersTakeWebsockets bool          `json:"readers_take_websockets,omitempty"`
	ScopeCookiePaths      bool          `json:"scope_cookie_paths,omitempty"`
	ExcludeMetricsPaths   []string      `json:"exclude_metrics_paths,omitempty"`
	ClientIPHeader        string        `json:"client_ip_header,omitempty"`
	Balance               string        `json:"balance,omitempty"` // kamald-proxy's alone; "": in turns
}

// Root tells whether the route takes the root path of its hosts: then its TLS settings are those of every path there.
func (o RouteOptions) Root() bool {
	return len(o.PathPrefixes) == 0 || slices.Contains(o.PathPrefixes, "/")
}
