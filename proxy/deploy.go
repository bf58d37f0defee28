package proxy

import (
	"errors"
	"path/filepath"
)

// deployFlags are the flags of deploy that do not go into the request as they are.
type deployFlags struct {
	*flagSet
	request         *DeployRequest
	targets         *listFlag
	readers         *listFlag
	hosts, prefixes *listFlag
	logReq, logResp *listFlag
	unmetered       *listFlag
	tlsStaging      bool
	acmeDirectory   string
	forwardHeaders  bool
}

func (in invocation) deploy(args []string) error {
	d := in.newDeployFlags()
	names, err := d.parse(args, 1)
	if err != nil {
		return err
	}
	req, err := d.finish(names[0])
	if err != nil {
		return err
	}
	return in.command(d.flagSet, "/v1/deploy", req)
}

func (in invocation) newDeployFlags() *deployFlags {
	f := in.newFlagSet("deploy", "SERVICE ")
	req := &DeployRequest{}
	d := &deployFlags{flagSet: f, request: req}
	d.targets = f.list("target", "Target HOST:PORT to deploy (required; list)")
	d.readers = f.list("read-target", "Target HOST:PORT for GET and HEAD of clients that have not just written (list)")
	f.StringVar(&req.Balance, "balance", BalanceRoundRobin, "How to choose among targets: "+BalanceRoundRobin+" or "+BalanceLeastConnections)
	f.fence(&req.Fence)
	d.routingFlags(&req.Options)
	d.tlsFlags(&req.Options, filepath.Join(in.env.configDir(), "certs"))
	d.healthFlags(&req.TargetOptions.HealthCheckConfig)
	d.bufferFlags(&req.TargetOptions)
	f.DurationVar(&req.DeployTimeout, "deploy-timeout", DefaultDeployTimeout, "Maximum time to wait for the new targets to become healthy")
	f.DurationVar(&req.DrainTimeout, "drain-timeout", DefaultDrainTimeout, "Maximum time for requests in flight on the old targets; upgraded connections live until it ends")
	f.DurationVar(&req.TargetOptions.ResponseTimeout, "target-timeout", DefaultTargetTimeout, "Maximum time to wait for a target's response header; then 504")
	f.BoolVar(&req.Force, "force", false, "Deploy without health checks")
	f.BoolVar(&d.forwardHeaders, "forward-headers", false, "Pass on X-Forwarded headers of a proxy in front (default false with TLS, else true)")
	d.logReq = f.list("log-request-header", "Request header to log as well (list)")
	d.logResp = f.list("log-response-header", "Response header to log as well (list)")
	f.StringVar(&req.Options.ClientIPHeader, "client-ip-header", "", "Request header with the original client's IP, used for X-Forwarded-For when present")
	f.BoolVar(&req.TargetOptions.ScopeCookiePaths, "scope-cookie-paths", false, "With a stripped path prefix, put it before the Path of the app's cookies")
	f.StringVar(&req.Options.ErrorPagePath, "error-pages", "", "Directory, where the proxy runs, of pages such as 503.html for errors that the proxy itself answers")
	d.unmetered = f.list("exclude-metrics-path", "Path that is not counted in the metrics, exactly (list)")
	f.BoolVar(&req.Options.ReadTargetsAcceptWebsockets, "read-target-websockets", false, "Give websockets to read targets too")
	f.DurationVar(&req.Options.WriterAffinityTimeout, "writer-affinity-timeout", DefaultWriterAffinityTimeout, "How long a client that wrote reads from the writers; 0 is not at all")
	return d
}

func (d *deployFlags) routingFlags(o *ServiceOptions) {
	d.hosts = d.list("host", "Host to serve, also *.example.com; empty is any (list)")
	d.prefixes = d.list("path-prefix", "Serve the requests below this path (list)")
	d.BoolVar(&o.StripPrefix, "strip-path-prefix", true, "With --path-prefix, strip the prefix before forwarding")
	d.StringVar(&o.CanonicalHost, "canonical-host", "", "Redirect requests for the service's other hosts to this one")
}

func (d *deployFlags) tlsFlags(o *ServiceOptions, cache string) {
	d.BoolVar(&o.TLSEnabled, "tls", false, "Serve HTTPS, with a certificate from the two paths or else an automatic one (ACME); needs a host")
	d.StringVar(&o.TLSCertificatePath, "tls-certificate-path", "", "Certificate chain (PEM), a path where the proxy runs")
	d.StringVar(&o.TLSPrivateKeyPath, "tls-private-key-path", "", "Private key (PEM), a path where the proxy runs")
	d.BoolVar(&o.TLSRedirect, "tls-redirect", true, "Redirect HTTP to HTTPS")
	d.BoolVar(&d.tlsStaging, "tls-staging", false, "Obtain certificates from Let's Encrypt's staging environment, for tests: no browser trusts them")
	d.StringVar(&o.ACMECachePath, "tls-acme-cache-path", cache, "Directory of automatic certificates, a path where the proxy runs")
	d.StringVar(&d.acmeDirectory, "acme-directory", "", "ACME directory to obtain certificates from (default what run was given, else Let's Encrypt)")
	d.StringVar(&o.TLSOnDemandURL, "tls-on-demand-url", "",
		"Obtain a certificate for any name that this URL, asked with ?host=NAME, answers 200 for; a path is asked of the service itself")
}

func (d *deployFlags) healthFlags(h *HealthCheckConfig) {
	d.DurationVar(&h.Interval, "health-check-interval", DefaultHealthCheckInterval, "Interval between health checks; sooner while nobody listens")
	d.DurationVar(&h.Timeout, "health-check-timeout", DefaultHealthCheckTimeout, "Time each health check must complete in")
	d.StringVar(&h.Path, "health-check-path", DefaultHealthCheckPath, "Path to ask for; 2xx, also after redirects, is healthy")
	d.IntVar(&h.Port, "health-check-port", 0, "Port to ask (default the target's)")
	d.StringVar(&h.Host, "health-check-host", "", "Host header of health checks (default the target)")
}

func (d *deployFlags) bufferFlags(o *TargetOptions) {
	d.BoolVar(&o.BufferRequests, "buffer-requests", false, "Read a request's whole body before forwarding: to memory, the rest to a temporary file")
	d.BoolVar(&o.BufferResponses, "buffer-responses", false, "Read a whole response before sending it, in the same way; event streams and upgrades are passed through")
	d.Int64Var(&o.MaxMemoryBufferSize, "buffer-memory", DefaultBufferMemory, "Bytes of a body kept in memory")
	d.Int64Var(&o.MaxRequestBodySize, "max-request-body", 0, "Bytes of a request's body, more is 413; needs --buffer-requests; 0 is unlimited")
	d.Int64Var(&o.MaxResponseBodySize, "max-response-body", 0, "Bytes of a response's body, more is 500; needs --buffer-responses; 0 is unlimited")
}

// finish checks here what the proxy would refuse too, so that a bad command line needs no running proxy.
func (d *deployFlags) finish(service string) (DeployRequest, error) {
	req := *d.request
	if len(*d.targets) == 0 && !d.isSet("target") {
		return req, errors.New(`required flag(s) "target" not set`)
	}
	var err error
	if req.Options.ACMEDirectory, err = acmeDirectory(d.tlsStaging, d.acmeDirectory); err != nil {
		return req, err
	}
	req.Service = service
	req.Targets, req.Readers = *d.targets, *d.readers
	req.Options.Hosts, req.Options.PathPrefixes = *d.hosts, *d.prefixes
	req.TargetOptions.LogRequestHeaders, req.TargetOptions.LogResponseHeaders = *d.logReq, *d.logResp
	req.Options.ExcludeMetricsPaths = *d.unmetered
	req.TargetOptions.ForwardHeaders = d.forwardHeaders
	if !d.isSet("forward-headers") {
		req.TargetOptions.ForwardHeaders = !req.Options.TLSEnabled
	}
	if req.Balance == BalanceRoundRobin {
		req.Balance = ""
	}
	req.Options.Normalize()
	return req, req.Validate()
}
