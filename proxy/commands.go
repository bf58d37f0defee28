package proxy

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"time"
)

func (in invocation) run(args []string) error {
	f := in.newFlagSet("run", "")
	c := Config{}
	httpPort, err1 := in.env.number("HTTP_PORT", 80)
	httpsPort, err2 := in.env.number("HTTPS_PORT", 443)
	metricsPort, err3 := in.env.number("METRICS_PORT", 0)
	debug, err4 := in.env.truth("DEBUG")
	for _, err := range []error{err1, err2, err3, err4} {
		if err != nil {
			return err
		}
	}
	f.IntVar(&c.HTTPPort, "http-port", httpPort, "Port to serve HTTP on (env HTTP_PORT); 0 is any free one")
	f.IntVar(&c.HTTPSPort, "https-port", httpsPort, "Port to serve HTTPS on, once a service has TLS (env HTTPS_PORT)")
	f.IntVar(&metricsPort, "metrics-port", metricsPort, "Accepted, not built yet: no metrics are served (env METRICS_PORT)")
	f.BoolVar(&debug, "debug", debug, "Log more (env DEBUG)")
	http3 := f.Bool("http3", false, "Accepted, not built yet: HTTP/3 is not served")
	f.StringVar(&c.Bind, "bind", in.env["KAMAL_PROXY_BIND"], "Address to listen on, all when empty (env KAMAL_PROXY_BIND)")
	f.StringVar(&c.StatePath, "state-file", in.env.state(), "State file (env KAMAL_PROXY_STATE)")
	if _, err := f.parse(args, 0); err != nil {
		return err
	}
	c.SocketPath = f.socket
	level := slog.LevelInfo
	if debug {
		level = slog.LevelDebug
	}
	lines := newLineWriter(in.stdout)
	defer lines.Close(time.Second)
	c.Log = slog.New(slog.NewJSONHandler(lines, &slog.HandlerOptions{Level: level}))
	if metricsPort != 0 {
		c.Log.Warn("--metrics-port is not built in kamald-proxy yet; no metrics are served")
	}
	if *http3 {
		c.Log.Warn("--http3 is not built in kamald-proxy yet; HTTP/3 is not served")
	}
	s := NewServer(c)
	if err := s.Start(); err != nil {
		return err
	}
	return s.Run(in.ctx)
}

func (in invocation) remove(args []string) error {
	f := in.newFlagSet("remove", "SERVICE ")
	names, err := f.parse(args, 1)
	if err != nil {
		return err
	}
	return in.command(f, "/v1/remove", gateRequest{Service: names[0]})
}

func (in invocation) pause(args []string) error {
	f := in.newFlagSet("pause", "SERVICE ")
	drain := f.Duration("drain-timeout", DefaultDrainTimeout, "How long to allow in-flight requests to complete")
	maxPause := f.Duration("max-pause", DefaultPauseTimeout, "How long to hold a request before it is answered with 504")
	names, err := f.parse(args, 1)
	if err != nil {
		return err
	}
	return in.command(f, "/v1/pause", gateRequest{Service: names[0], DrainTimeout: *drain, MaxPause: *maxPause})
}

func (in invocation) stop(args []string) error {
	f := in.newFlagSet("stop", "SERVICE ")
	drain := f.Duration("drain-timeout", DefaultDrainTimeout, "How long to allow in-flight requests to complete")
	message := f.String("message", "", "Message to display to clients while stopped")
	names, err := f.parse(args, 1)
	if err != nil {
		return err
	}
	return in.command(f, "/v1/stop", gateRequest{Service: names[0], DrainTimeout: *drain, Message: *message})
}

func (in invocation) resume(args []string) error {
	f := in.newFlagSet("resume", "SERVICE ")
	names, err := f.parse(args, 1)
	if err != nil {
		return err
	}
	return in.command(f, "/v1/resume", gateRequest{Service: names[0]})
}

func (in invocation) list(args []string) error {
	f := in.newFlagSet("list", "")
	asJSON := f.Bool("json", false, "Print JSON")
	if _, err := f.parse(args, 0); err != nil {
		return err
	}
	var infos []ServiceInfo
	if err := newClient(f.socket).do(in.ctx, http.MethodGet, "/v1/services", nil, &infos); err != nil {
		return err
	}
	if *asJSON {
		enc := json.NewEncoder(in.stdout)
		enc.SetIndent("", "  ")
		return enc.Encode(infos)
	}
	return writeTable(in.stdout, infos)
}

func (in invocation) command(f *flagSet, path string, body any) error {
	return newClient(f.socket).do(in.ctx, http.MethodPost, path, body, nil)
}
