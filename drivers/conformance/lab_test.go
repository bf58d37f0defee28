package conformance_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kamald/kamald/drivers/docker"
	"github.com/kamald/kamald/drivers/environ"
	"github.com/kamald/kamald/drivers/files"
	"github.com/kamald/kamald/drivers/probe"
	"github.com/kamald/kamald/drivers/proxy"
	"github.com/kamald/kamald/drivers/registry"
	"github.com/kamald/kamald/drivers/ssh"
	"github.com/kamald/kamald/lab"
	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/release"
)

// The cases are dealt out to the lab's hosts. Slow ones are tried only where the full counts are asked for: what they gave when
// they were recorded holds the simulator in every run. One that stops an engine would disturb the others, and comes after them.
func TestRealServersAnswerAsTheyDid(t *testing.T) {
	l := lab.Require(t)
	conns := make([]*reconcile.Connection, len(l.Hosts))
	errs := make([]error, len(l.Hosts))
	var resets sync.WaitGroup
	for i := range l.Hosts {
		resets.Go(func() { errs[i] = l.Hosts[i].Reset(t.Context()) })
	}
	resets.Wait()
	for i := range l.Hosts {
		if errs[i] != nil {
			t.Fatal(errs[i])
		}
		conns[i] = dial(t, l, &l.Hosts[i])
	}
	run := func(t *testing.T, n int, name string) {
		s := real(t, l, &l.Hosts[n], conns[n], name)
		suite[name](s)
		s.compare(true)
	}
	full := os.Getenv("KAMALD_LONG") != "" || *update
	together, alone := dealt(full)
	if !full {
		t.Logf("%d of %d cases; the slow ones are tried with KAMALD_LONG", len(together), len(suite))
	}
	t.Run("together", func(t *testing.T) {
		for i, name := range together {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				run(t, i%len(l.Hosts), name)
			})
		}
	})
	t.Run("alone", func(t *testing.T) {
		for _, name := range alone {
			t.Run(name, func(t *testing.T) { run(t, 0, name) })
		}
	})
}

// dealt gives the cases that can run at once, the longest first, and those that cannot; without the slow ones unless all are wanted.
func dealt(full bool) (together, alone []string) {
	slow := []string{"a target that is not well", "a program that exits at once", "remove while it is restarted", "pauses between restarts grow"}
	long := []string{"routes", "requests in flight", "probes", "networks", "health checks of the engine", "logs, commands and files",
		"routes that are paused, stopped and resumed"} // not on the host of "requests in flight": both publish a port
	if full {
		long, alone = append(slow, long...), []string{"an engine restart and what comes back"}
	}
	for _, name := range slices.Sorted(maps.Keys(suite)) {
		if !slices.Contains(long, name) && !slices.Contains(slow, name) && !strings.Contains(name, "engine restart") {
			together = append(together, name)
		}
	}
	return append(long, together...), alone
}

// dial wires a connection as kamald does.
func dial(t *testing.T, l *lab.Lab, h *lab.Host) *reconcile.Connection {
	t.Helper()
	on := release.Host{Name: h.Name, Address: h.Address,
		SSH: release.SSH{User: "root", Port: 22, Keys: []string{l.KeyFile}, KeysOnly: true, KnownHosts: []string{l.KnownHosts}, Keepalive: 30 * time.Second}}
	client, err := ssh.Dial(t.Context(), ssh.Options{Limiter: ssh.NewLimiter(0)}, on)
	if err != nil {
		t.Fatal(err)
	}
	engine := docker.New(client.Dial, docker.Options{Host: h.Name, Session: client.Session})
	sftp := files.NewSFTP(client.SFTP)
	conn := &reconcile.Connection{Engine: engine, Files: sftp, Prober: probe.New(client.Dial),
		Proxy:    proxy.New(engine, proxy.WithHostFiles(engine.HostPath, sftp.Read)),
		Environ:  environ.NewRemote(client.Session),
		Registry: registry.New(client.Dial, registry.Options{Host: h.Name, Settings: engine.RegistrySettings, Files: sftp}),
		Shell:    ssh.Shell{Client: client},
		Close:    func() error { return errors.Join(engine.Close(), client.Close()) }}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func real(t *testing.T, l *lab.Lab, h *lab.Host, conn *reconcile.Connection, name string) *subject {
	s := &subject{
		t: t, ctx: t.Context(), name: name, server: l.Registry.Server, arch: "amd64",
		auth:   release.Auth{Server: l.Registry.Server, Username: l.Registry.Username, Password: release.NewSecret(l.Registry.Password.Reveal())},
		engine: conn.Engine, files: conn.Files, prober: conn.Prober, proxy: conn.Proxy, environ: conn.Environ, registry: conn.Registry, shell: conn.Shell,
	}
	s.push = func(repository, tag string, p program) {
		_, err := l.BuildApp(s.ctx, lab.AppImage{Repository: repository, Version: tag, Service: "conformance", Labels: map[string]string{"case": repository}, Env: p.environment(), Health: p.health, Cmd: p.command(), Files: p.files})
		s.must(err)
	}
	s.connect = func() *reconcile.Connection { return dial(t, l, h) }
	s.disconnect = func(container, network string) {
		_, err := h.Exec(s.ctx, "docker", "network", "disconnect", network, container)
		s.must(err)
	}
	s.request = func(ctx context.Context, p program) int {
		path := "/" // a stopped proxy answers the health path by itself
		if p.serves > 0 {
			path = fmt.Sprintf("/slow?ms=%d", p.serves.Milliseconds())
		}
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+h.Address+path, nil)
		s.must(err)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return 0
		}
		_ = response.Body.Close()
		return response.StatusCode
	}
	s.restartEngine = func() {
		before, err := h.Exec(s.ctx, "pgrep", "-x", "dockerd")
		s.must(err)
		_, err = h.Exec(s.ctx, "pkill", "-TERM", "-x", "dockerd")
		s.must(err)
		s.wait(func() bool {
			now, err := h.Exec(s.ctx, "pgrep", "-x", "dockerd")
			return err == nil && now != before
		}, func() string { return "no other dockerd" })
		s.wait(func() bool { _, err := conn.Engine.Info(s.ctx); return err == nil }, func() string { return "the engine does not answer" })
		time.Sleep(time.Second)
	}
	return s
}

// environment is the lab app's settings.
func (p program) environment() map[string]string {
	env := map[string]string{}
	if p.ready > 0 {
		env["APP_START_DELAY"] = p.ready.String()
	}
	if p.sick {
		env["APP_SICK"] = "true"
	}
	if p.elsewhere > 0 {
		env["APP_PORT_WRONG"] = strconv.Itoa(p.elsewhere)
	}
	if p.crash {
		env["APP_CRASH"] = strconv.Itoa(p.code)
	}
	if p.crashAfter > 0 {
		env["APP_CRASH_AFTER"] = p.crashAfter.String()
	}
	if p.lines > 0 {
		env["APP_LOG"] = strconv.Itoa(p.lines)
	}
	return env
}
