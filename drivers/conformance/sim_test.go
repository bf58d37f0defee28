package conformance_test

import (
	"context"
	"maps"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kamald/kamald/drivers/sim"
	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

const host = "h1"

func TestTheSimulatorAnswersAsRealServersDid(t *testing.T) {
	if len(suite) < 40 {
		t.Fatalf("there are only %d cases", len(suite))
	}
	for _, name := range slices.Sorted(maps.Keys(suite)) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := simulated(t, name)
				suite[name](s)
				s.compare(false)
			})
		})
	}
}

// simulated is a world with one host.
func simulated(t *testing.T, name string) *subject {
	const username, password = "deployer", "word"
	w := sim.New(1, sim.WithCredentials(username, password))
	w.AddHost(host)
	w.Program("app", asApp)
	w.Program("sleep", func(ctx context.Context, _ []string, _ map[string]string, _ state.Streams) int {
		<-ctx.Done()
		return 1
	})
	s := &subject{
		t: t, ctx: t.Context(), name: name, server: "registry.example.com:5000", arch: "amd64",
		auth:          release.Auth{Server: "registry.example.com:5000", Username: username, Password: release.NewSecret(password)},
		restartEngine: func() { w.RestartEngine(host, 2*time.Second); time.Sleep(3 * time.Second) },
		request:       func(context.Context, program) int { return w.Request(host, "", "/") },
	}
	s.disconnect = func(container, network string) { w.DetachNetwork(host, container, network) }
	s.push = func(repository, tag string, p program) {
		w.Push(p.simulated(s.server+"/"+repository+":"+tag, tag, repository))
	}
	s.connect = func() *reconcile.Connection {
		c, err := w.Connector().Connect(t.Context(), release.Host{Name: host, Address: host})
		s.must(err)
		return &reconcile.Connection{Engine: c.Engine, Files: c.Files, Prober: c.Prober, Proxy: c.Proxy, Environ: c.Environ, Registry: c.Registry, Shell: c.Shell, Close: c.Close}
	}
	c := s.connect()
	s.engine, s.files, s.prober, s.proxy, s.environ, s.registry, s.shell = c.Engine, c.Files, c.Prober, c.Proxy, c.Environ, c.Registry, c.Shell
	return s
}

func (p program) simulated(ref, tag, repository string) sim.Image {
	b := sim.Behaviour{Ready: p.ready, Ends: p.crash, EndsIn: p.crashAfter, ExitCode: p.code, Port: p.elsewhere, Serves: p.serves, IgnoresStop: p.deaf, Logs: p.logs()}
	if p.crash && p.crashAfter == 0 {
		b.Port = -1
	}
	if p.sick {
		b.Status = 503
	}
	return sim.Image{Ref: ref, Behaviour: b, Env: map[string]string{"PATH": "/bin", "APP_VERSION": tag}, Cmd: p.command(), Workdir: "/",
		Labels: map[string]string{"service": "conformance", "case": repository}, Healthcheck: p.health, Files: p.files}
}
