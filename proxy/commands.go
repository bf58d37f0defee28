package proxy

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"time"
)

// runSettings are what the flags of run say.
type runSettings struct {
	Config
	level slog.Level
}

// run serves: as a supervisor, as its worker, or in this process alone.
func (in invocation) run(args []string) error {
	settings, err := in.runFlags(args)
	if err != nil {
		return err
	}
	lines := newLineWriter(in.stdout)
	settings.LogLinesLost = lines.lostSoFar
	defer lines.Close(time.Second)
	settings.Log = slog.New(slog.NewJSONHandler(lines, &slog.HandlerOptions{Level: settings.level}))
	if in.env[workerVariable] != "" {
		go tuneCollector(in.ctx, in.env)
		return in.work(settings)
	}
	if in.alone {
		return in.supervise(settings, lines)
	}
	return in.serve(settings)
}

// serve runs a server without a supervisor.
func (in invocation) serve(settings runSettings) error {
	s := NewServer(settings.Config)
	if err := s.Start(); err != nil {
		return err
	}
	return s.Run(in.ctx)
}

func (in invocation) runFlags(args []string) (runSettings, error) {
	f := in.newFlagSet("run", "")
	settings := runSettings{level: slog.LevelInfo}
	c := &settings.Config
	httpPort, err1 := in.env.number("HTTP_PORT", 80)
	httpsPort, err2 := in.env.number("HTTPS_PORT", 443)
	metricsPort, err3 := in.env.number("METRICS_PORT", 0)
	debug, err4 := in.env.truth("DEBUG")
	for _, err := range []error{err1, err2, err3, err4} {
		if err != nil {
			return settings, err
		}
	}
	f.IntVar(&c.HTTPPort, "http-port", httpPort, "Port to serve HTTP on (env HTTP_PORT); 0 is any free one")
	f.IntVar(&c.HTTPSPort, "https-port", httpsPort, "Port to serve HTTPS on (env HTTPS_PORT); 0 is any free one")
	f.IntVar(&c.MetricsPort, "metrics-port", metricsPort, "Port to serve /metrics and /healthz on; 0 is none (env METRICS_PORT)")
	limits := limitFlags(f)
	f.BoolVar(&debug, "debug", debug, "Log more (env DEBUG)")
	f.BoolVar(&c.HTTP3, "http3", false, "Serve HTTP/3 as well, on the UDP port of HTTPS")
	in.acmeFlags(f, &c.ACME)
	f.StringVar(&c.Bind, "bind", in.env["KAMAL_PROXY_BIND"], "Address to listen on, all when empty (env KAMAL_PROXY_BIND)")
	f.StringVar(&c.StatePath, "state-file", in.env.state(), "State file (env KAMAL_PROXY_STATE)")
	if _, err := f.parse(args, 0); err != nil {
		return settings, err
	}
	c.SocketPath = f.socket
	var err error
	if c.Limits, err = limits(); err != nil {
		return settings, err
	}
	if debug {
		settings.level = slog.LevelDebug
	}
	return settings, nil
}

func (in invocation) remove(args []string) error {
	return in.serviceCommand(args, "remove", "/v1/remove", nil)
}

func (in invocation) pause(args []string) error {
	return in.serviceCommand(args, "pause", "/v1/pause", func(f *flagSet, q *gateRequest) {
		f.DurationVar(&q.DrainTimeout, "drain-timeout", DefaultDrainTimeout, "How long to allow in-flight requests to complete")
		f.DurationVar(&q.MaxPause, "max-pause", DefaultPauseTimeout, "How long to hold a request before it is answered with 504")
	})
}

func (in invocation) stop(args []string) error {
	return in.serviceCommand(args, "stop", "/v1/stop", func(f *flagSet, q *gateRequest) {
		f.DurationVar(&q.DrainTimeout, "drain-timeout", DefaultDrainTimeout, "How long to allow in-flight requests to complete")
		f.StringVar(&q.Message, "message", "", "Message to display to clients while stopped")
	})
}

func (in invocation) resume(args []string) error {
	return in.serviceCommand(args, "resume", "/v1/resume", nil)
}

// serviceCommand sends a command on one service. The function, nil for none, adds the flags that only this command has.
func (in invocation) serviceCommand(args []string, name, path string, flags func(*flagSet, *gateRequest)) error {
	f := in.newFlagSet(name, "SERVICE ")
	var q gateRequest
	f.fence(&q.Fence)
	if flags != nil {
		flags(f, &q)
	}
	names, err := f.parse(args, 1)
	if err != nil {
		return err
	}
	q.Service = names[0]
	return in.command(f, path, q)
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
