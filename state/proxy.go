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
}

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
}
