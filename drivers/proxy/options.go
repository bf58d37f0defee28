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
	for _, list := range []*[]string{&o.Hosts, &o.LogRequestHeaders, &o.LogResponseHeaders} {
		if len(*list) == 0 {
			*list = nil
		}
	}
	return o
}

// service is an entry of the state file, as far as the driver knows it.
type service struct {
	Name          string   `json:"name"`
	ActiveTargets []string `json:"active_targets"`
	ActiveTarget  string   `json:"active_target"` // older proxies
	Options       struct {
		Hosts              []string `json:"hosts"`
		PathPrefixes       []string `json:"path_prefixes"`
		TLSEnabled         bool     `json:"tls_enabled"`
		TLSCertificatePath string   `json:"tls_certificate_path"`
		TLSPrivateKeyPath  string   `json:"tls_private_key_path"`
		TLSRedirect        bool     `json:"tls_redirect"`
		StripPrefix        bool     `json:"strip_prefix"`
		ErrorPagePath      string   `json:"error_page_path"`
	} `json:"options"`
	TargetOptions struct {
		HealthCheck struct {
			Path     string        `json:"path"`
			Port     int           `json:"port"`
			Interval time.Duration `json:"interval"`
			Timeout  time.Duration `json:"timeout"`
			Host     string        `json:"host"`
		} `json:"health_check_config"`
		ResponseTimeout     time.Duration `json:"response_timeout"`
		BufferRequests      bool          `json:"buffer_requests"`
		BufferResponses     bool          `json:"buffer_responses"`
		MaxMemoryBufferSize int64         `json:"max_memory_buffer_size"`
		MaxRequestBodySize  int64         `json:"max_request_body_size"`
		MaxResponseBodySize int64         `json:"max_response_body_size"`
		LogRequestHeaders   []string      `json:"log_request_headers"`
		LogResponseHeaders  []string      `json:"log_response_headers"`
		ForwardHeaders      bool          `json:"forward_headers"`
	} `json:"target_options"`
	PauseController struct {
		State int `json:"state"`
	} `json:"pause_controller"`
}

func (s service) route() state.Route {
	targets := s.ActiveTargets
	if len(targets) == 0 && s.ActiveTarget != "" {
		targets = []string{s.ActiveTarget}
	}
	o, t := s.Options, s.TargetOptions
	return state.Route{
		Name:    s.Name,
		Targets: targets,
		Stopped: s.PauseController.State == pauseStopped,
		Paused:  s.PauseController.State == pausePaused,
		Options: Canonical(state.RouteOptions{
			Hosts: o.Hosts, PathPrefixes: o.PathPrefixes, StripPathPrefix: o.StripPrefix,
			TLS: o.TLSEnabled, CertificatePath: o.TLSCertificatePath, PrivateKeyPath: o.TLSPrivateKeyPath, TLSRedirect: o.TLSRedirect,
			ForwardHeaders: t.ForwardHeaders, ResponseTimeout: t.ResponseTimeout,
			HealthPath: t.HealthCheck.Path, HealthPort: t.HealthCheck.Port, HealthHost: t.HealthCheck.Host,
			HealthInterval: t.HealthCheck.Interval, HealthTimeout: t.HealthCheck.Timeout,
			BufferRequests: t.BufferRequests, BufferResponses: t.BufferResponses, BufferMemory: t.MaxMemoryBufferSize,
			MaxRequestBody: t.MaxRequestBodySize, MaxResponseBody: t.MaxResponseBodySize,
			LogRequestHeaders: t.LogRequestHeaders, LogResponseHeaders: t.LogResponseHeaders,
			ErrorPagePath: o.ErrorPagePath,
		}),
	}
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
	return argv
}

// quoted keeps a value whole: the proxy reads its lists as lines of CSV.
func quoted(value string) string {
	if !strings.ContainsAny(value, ",\"\n") {
		return value
	}
	return `"` + strings.ReplaceAll(value, `"`, `""`) + `"`
}
