package proxy

import (
	"time"

	"github.com/kamald/kamald/state"
)

// stagingDirectory is what --tls-staging stands for.
const stagingDirectory = "https://acme-staging-v02.api.letsencrypt.org/directory"

// service is an entry of the state file, as far as the driver knows it. Durations are nanoseconds.
type service struct {
	Name           string         `json:"name"`
	ActiveTargets  []string       `json:"active_targets"`
	ActiveTarget   string         `json:"active_target"` // older proxies
	ActiveReaders  []string       `json:"active_readers"`
	RolloutTargets []string       `json:"rollout_targets"`
	RolloutTarget  string         `json:"rollout_target"` // older proxies
	RolloutReaders []string       `json:"rollout_readers"`
	Options        serviceOptions `json:"options"`
	TargetOptions  targetOptions  `json:"target_options"`
	Pause          struct {
		State       int           `json:"state"`
		StopMessage string        `json:"stop_message"`
		FailAfter   time.Duration `json:"fail_after"`
	} `json:"pause_controller"`
	Kamald *struct { // what only kamald-proxy keeps
		Balance string `json:"balance"`
	} `json:"kamald"`
	Rollout *struct {
		Percentage int      `json:"percentage"`
		Allowlist  []string `json:"allowlist"`
	} `json:"rollout_controller"`
}

type serviceOptions struct {
	Hosts                 []string       `json:"hosts"`
	PathPrefixes          []string       `json:"path_prefixes"`
	TLSEnabled            bool           `json:"tls_enabled"`
	TLSCertificatePath    string         `json:"tls_certificate_path"`
	TLSPrivateKeyPath     string         `json:"tls_private_key_path"`
	TLSOnDemandURL        string         `json:"tls_on_demand_url"`
	TLSRedirect           bool           `json:"tls_redirect"`
	CanonicalHost         string         `json:"canonical_host"`
	ACMEDirectory         string         `json:"acme_directory"`
	ACMECachePath         string         `json:"acme_cache_path"`
	StripPrefix           bool           `json:"strip_prefix"`
	ErrorPagePath         string         `json:"error_page_path"`
	WriterAffinity        *time.Duration `json:"writer_affinity_timeout"`
	ReadersTakeWebsockets bool           `json:"read_targets_accept_websockets"`
	ExcludeMetricsPaths   []string       `json:"exclude_metrics_paths"`
	ClientIPHeader        string         `json:"client_ip_header"`
}

type targetOptions struct {
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
	ScopeCookiePaths    bool          `json:"scope_cookie_paths"`
}

func (s service) route() state.Route {
	return state.Route{
		Name:        s.Name,
		Targets:     orOne(s.ActiveTargets, s.ActiveTarget),
		Readers:     orOne(s.ActiveReaders, ""),
		Stopped:     s.Pause.State == pauseStopped,
		Paused:      s.Pause.State == pausePaused,
		StopMessage: s.Pause.StopMessage,
		MaxPause:    s.Pause.FailAfter,
		Rollout:     s.rollout(),
		Options:     Canonical(s.options()),
	}
}

func (s service) options() state.RouteOptions {
	o, t := s.Options, s.TargetOptions
	options := state.RouteOptions{
		Hosts: o.Hosts, PathPrefixes: o.PathPrefixes, StripPathPrefix: o.StripPrefix,
		TLS: o.TLSEnabled, CertificatePath: o.TLSCertificatePath, PrivateKeyPath: o.TLSPrivateKeyPath, TLSRedirect: o.TLSRedirect,
		ForwardHeaders: t.ForwardHeaders, ResponseTimeout: t.ResponseTimeout,
		HealthPath: t.HealthCheck.Path, HealthPort: t.HealthCheck.Port, HealthHost: t.HealthCheck.Host,
		HealthInterval: t.HealthCheck.Interval, HealthTimeout: t.HealthCheck.Timeout,
		BufferRequests: t.BufferRequests, BufferResponses: t.BufferResponses, BufferMemory: t.MaxMemoryBufferSize,
		MaxRequestBody: t.MaxRequestBodySize, MaxResponseBody: t.MaxResponseBodySize,
		LogRequestHeaders: t.LogRequestHeaders, LogResponseHeaders: t.LogResponseHeaders, ErrorPagePath: o.ErrorPagePath,
		TLSStaging: o.ACMEDirectory == stagingDirectory, TLSOnDemandURL: o.TLSOnDemandURL, ACMECachePath: o.ACMECachePath,
		CanonicalHost: o.CanonicalHost, ReadersTakeWebsockets: o.ReadersTakeWebsockets, ScopeCookiePaths: t.ScopeCookiePaths,
		ExcludeMetricsPaths: o.ExcludeMetricsPaths, ClientIPHeader: o.ClientIPHeader,
	}
	if !options.Root() && s.Kamald == nil { // kamal-proxy writes over them what the host's root path has, and refuses them in a deploy
		options.TLS, options.TLSRedirect = false, true
	}
	if s.Kamald != nil && s.Kamald.Balance != defaultBalance {
		options.Balance = s.Kamald.Balance
	}
	if o.ACMEDirectory != stagingDirectory {
		options.ACMEDirectory = o.ACMEDirectory
	}
	if o.WriterAffinity != nil {
		options.WriterAffinity = *o.WriterAffinity
		if options.WriterAffinity <= 0 {
			options.WriterAffinity = -1
		}
	}
	return options
}

// rollout: a stopped one leaves its targets in the file, and no controller.
func (s service) rollout() *state.Rollout {
	targets := orOne(s.RolloutTargets, s.RolloutTarget)
	if len(targets) == 0 {
		return nil
	}
	r := &state.Rollout{Targets: targets, Readers: orOne(s.RolloutReaders, "")}
	if s.Rollout != nil {
		r.On, r.Percent, r.List = true, s.Rollout.Percentage, orOne(s.Rollout.Allowlist, "")
	}
	return r
}

// orOne gives the list, else the one, else nil.
func orOne(list []string, one string) []string {
	switch {
	case len(list) > 0:
		return list
	case one != "":
		return []string{one}
	}
	return nil
}
