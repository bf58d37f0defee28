package proxy

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"
)

// Defaults of the deploy command, as kamal-proxy has them.
const (
	DefaultDeployTimeout         = 30 * time.Second
	DefaultDrainTimeout          = 30 * time.Second
	DefaultPauseTimeout          = 30 * time.Second
	DefaultTargetTimeout         = 30 * time.Second
	DefaultHealthCheckInterval   = time.Second
	DefaultHealthCheckTimeout    = 5 * time.Second
	DefaultHealthCheckPath       = "/up"
	DefaultWriterAffinityTimeout = time.Second
	DefaultBufferMemory          = 1 << 20
)

// ServiceOptions says which requests a service gets and how TLS is done for it. Its JSON form is that of the state
// file: durations are nanoseconds.
type ServiceOptions struct {
	Hosts                       []string      `json:"hosts"`
	PathPrefixes                []string      `json:"path_prefixes"`
	TLSEnabled                  bool          `json:"tls_enabled"`
	TLSCertificatePath          string        `json:"tls_certificate_path"`
	TLSPrivateKeyPath           string        `json:"tls_private_key_path"`
	TLSOnDemandURL              string        `json:"tls_on_demand_url"`
	TLSRedirect                 bool          `json:"tls_redirect"`
	CanonicalHost               string        `json:"canonical_host"`
	ACMEDirectory               string        `json:"acme_directory"`
	ACMECachePath               string        `json:"acme_cache_path"`
	ErrorPagePath               string        `json:"error_page_path"`
	StripPrefix                 bool          `json:"strip_prefix"`
	WriterAffinityTimeout       time.Duration `json:"writer_affinity_timeout"`
	ReadTargetsAcceptWebsockets bool          `json:"read_targets_accept_websockets"`
	ExcludeMetricsPaths         []string      `json:"exclude_metrics_paths"`
	ClientIPHeader              string        `json:"client_ip_header"`
}

// HealthCheckConfig says how a target is probed. Port 0 means the target's own port; an empty Host means the
// target's address.
type HealthCheckConfig struct {
	Path     string        `json:"path"`
	Port     int           `json:"port"`
	Interval time.Duration `json:"interval"`
	Timeout  time.Duration `json:"timeout"`
	Host     string        `json:"host"`
}

// TargetOptions says how requests are passed to a target. Sizes are bytes, 0 is unlimited.
type TargetOptions struct {
	HealthCheckConfig   HealthCheckConfig `json:"health_check_config"`
	ResponseTimeout     time.Duration     `json:"response_timeout"`
	BufferRequests      bool              `json:"buffer_requests"`
	BufferResponses     bool              `json:"buffer_responses"`
	MaxMemoryBufferSize int64             `json:"max_memory_buffer_size"`
	MaxRequestBodySize  int64             `json:"max_request_body_size"`
	MaxResponseBodySize int64             `json:"max_response_body_size"`
	LogRequestHeaders   []string          `json:"log_request_headers"`
	LogResponseHeaders  []string          `json:"log_response_headers"`
	ForwardHeaders      bool              `json:"forward_headers"`
	ScopeCookiePaths    bool              `json:"scope_cookie_paths"`
}

// DeployRequest asks for a service to be served by new targets.
type DeployRequest struct {
	Service       string         `json:"service"`
	Targets       []string       `json:"targets"`
	Readers       []string       `json:"readers,omitempty"` // get GET and HEAD only
	Balance       string         `json:"balance,omitempty"` // BalanceRoundRobin when empty
	Options       ServiceOptions `json:"options"`
	TargetOptions TargetOptions  `json:"target_options"`
	DeployTimeout time.Duration  `json:"deploy_timeout"`
	DrainTimeout  time.Duration  `json:"drain_timeout"`
	Force         bool           `json:"force"`
	Fence         uint64         `json:"fence,omitempty"` // 0 is no check
}

// Normalize brings hosts and prefixes to their one written form: lower-case hosts ("" is any), prefixes with a
// leading and no trailing slash.
func (o *ServiceOptions) Normalize() {
	hosts := make([]string, 0, len(o.Hosts))
	for _, h := range o.Hosts {
		h = strings.TrimSuffix(strings.ToLower(strings.TrimSpace(h)), ".")
		if h == "*" {
			h = ""
		}
		hosts = appendNew(hosts, h)
	}
	if len(hosts) == 0 {
		hosts = []string{""}
	}
	prefixes := make([]string, 0, len(o.PathPrefixes))
	for _, p := range o.PathPrefixes {
		prefixes = appendNew(prefixes, "/"+strings.Trim(p, "/"))
	}
	if len(prefixes) == 0 {
		prefixes = []string{"/"}
	}
	o.Hosts, o.PathPrefixes = hosts, prefixes
	o.CanonicalHost = strings.TrimSuffix(strings.ToLower(strings.TrimSpace(o.CanonicalHost)), ".")
}

// Validate returns every reason why the options cannot be served.
func (o ServiceOptions) Validate() error {
	var errs []error
	for _, h := range o.Hosts {
		errs = append(errs, validateHost(h))
	}
	errs = append(errs, o.validateTLS())
	errs = append(errs, validateCanonicalHost(o.CanonicalHost, o.Hosts), validateClientIPHeader(o.ClientIPHeader))
	return errors.Join(errs...)
}

// Validate returns every reason why targets cannot be probed or asked with these options.
func (o TargetOptions) Validate() error {
	var errs []error
	h := o.HealthCheckConfig
	if h.Interval <= 0 {
		errs = append(errs, fmt.Errorf("health-check-interval must be more than 0, not %s", h.Interval))
	}
	if h.Timeout <= 0 {
		errs = append(errs, fmt.Errorf("health-check-timeout must be more than 0, not %s", h.Timeout))
	}
	if !strings.HasPrefix(h.Path, "/") {
		errs = append(errs, fmt.Errorf("health-check-path must begin with /, not %q", h.Path))
	}
	if h.Port < 0 || h.Port > 65535 {
		errs = append(errs, fmt.Errorf("health-check-port must be between 0 and 65535, not %d", h.Port))
	}
	if o.ResponseTimeout < 0 {
		errs = append(errs, fmt.Errorf("target-timeout must not be negative, not %s", o.ResponseTimeout))
	}
	if o.MaxMemoryBufferSize < 0 || o.MaxRequestBodySize < 0 || o.MaxResponseBodySize < 0 {
		errs = append(errs, errors.New("buffer-memory, max-request-body and max-response-body must not be negative"))
	}
	if o.MaxRequestBodySize > 0 && !o.BufferRequests {
		errs = append(errs, errors.New("max-request-body can only be set when request buffering is enabled"))
	}
	if o.MaxResponseBodySize > 0 && !o.BufferResponses {
		errs = append(errs, errors.New("max-response-body can only be set when response buffering is enabled"))
	}
	return errors.Join(errs...)
}

// Validate returns every reason why the request cannot be carried out.
func (r DeployRequest) Validate() error {
	var errs []error
	if strings.TrimSpace(r.Service) == "" {
		errs = append(errs, errors.New("the service needs a name"))
	}
	if len(r.Targets) == 0 {
		errs = append(errs, errors.New("at least one target is needed"))
	}
	errs = append(errs, validateTargets(r.Targets), validateTargets(r.Readers))
	if r.Balance != "" && r.Balance != BalanceRoundRobin && r.Balance != BalanceLeastConnections {
		errs = append(errs, fmt.Errorf("balance must be %s or %s, not %q", BalanceRoundRobin, BalanceLeastConnections, r.Balance))
	}
	if r.Options.WriterAffinityTimeout < 0 {
		errs = append(errs, fmt.Errorf("writer-affinity-timeout must not be negative, not %s", r.Options.WriterAffinityTimeout))
	}
	if r.DeployTimeout <= 0 && !r.Force {
		errs = append(errs, fmt.Errorf("deploy-timeout must be more than 0, not %s", r.DeployTimeout))
	}
	if r.DrainTimeout < 0 {
		errs = append(errs, fmt.Errorf("drain-timeout must not be negative, not %s", r.DrainTimeout))
	}
	return errors.Join(append(errs, r.Options.Validate(), r.TargetOptions.Validate())...)
}

func validateTargets(names []string) error {
	var errs []error
	seen := map[string]bool{}
	for _, name := range names {
		_, err := targetAddress(name)
		errs = append(errs, err)
		if seen[name] {
			errs = append(errs, fmt.Errorf("target %s is given twice", name))
		}
		seen[name] = true
	}
	return errors.Join(errs...)
}

func appendNew(list []string, s string) []string {
	for _, have := range list {
		if have == s {
			return list
		}
	}
	return append(list, s)
}

// validateHost refuses what could never equal a request's host, so that a typing error is told and not just never routed.
func validateHost(host string) error {
	if host == "" {
		return nil
	}
	name := strings.TrimPrefix(host, "*.")
	if name == "" || strings.ContainsAny(name, "/:*?#@ \t[]") {
		return fmt.Errorf("host %q is invalid: give a name such as app.example.com or *.example.com, without scheme, port or path", host)
	}
	return nil
}

// targetAddress returns the host:port to dial for a target as the user wrote it; port 80 when there is none.
func targetAddress(target string) (string, error) {
	bad := func(why string) error {
		return fmt.Errorf("target %q is invalid: %s; give HOST:PORT", target, why)
	}
	if strings.ContainsAny(target, "/?#@ \t") || target == "" {
		return "", bad("it is a name or address with a port, without scheme or path")
	}
	host, port, err := net.SplitHostPort(target)
	if err != nil {
		var addr *net.AddrError
		if !errors.As(err, &addr) || addr.Err != "missing port in address" {
			return "", bad(err.Error())
		}
		host, port = strings.Trim(target, "[]"), "80"
	}
	if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
		return "", bad("the port must be between 1 and 65535")
	}
	if host == "" {
		return "", bad("the host is missing")
	}
	return net.JoinHostPort(host, port), nil
}
