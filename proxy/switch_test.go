package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

func TestSwitchesUnderLoadLoseNoRequest(t *testing.T) {
	f := startProxy(t)
	app := func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		if r.URL.Path == "/slow" {
			time.Sleep(30 * time.Millisecond)
		}
		fmt.Fprintf(w, "ok %d", len(body))
	}
	f.deploy(deployRequest("app", backend(t, app), "app.test"))

	ctx, cancel := context.WithCancel(t.Context())
	load := startLoad(ctx, f, 8)
	const switches = 30
	for i := range switches {
		f.deploy(deployRequest("app", backend(t, app), "app.test"))
		// Each switch meets requests: the next one waits until some were answered after this one.
		seen := load.total.Load()
		eventually(t, fmt.Sprintf("requests pass after switch %d", i), func() bool { return load.total.Load() >= seen+20 })
	}
	cancel()
	load.wait()
	if failed := load.failed.Load(); failed != 0 || load.total.Load() < switches*20 {
		t.Errorf("%d of %d requests failed in %d switches, the first: %v", failed, load.total.Load(), switches, load.first.Load())
	}
}

// load is clients that ask without a pause: on kept and on new connections, quick, slow and with bodies.
type load struct {
	wg            sync.WaitGroup
	total, failed atomic.Int64
	first         atomic.Value
}

func (l *load) wait() { l.wg.Wait() }

func startLoad(ctx context.Context, f *fixture, clients int) *load {
	l := &load{}
	for n := range clients {
		client := &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: n%3 == 0}}
		l.wg.Go(func() {
			defer client.CloseIdleConnections()
			for i := 0; ctx.Err() == nil; i++ {
				err := l.ask(f, client, n, i)
				l.total.Add(1)
				if err != nil {
					l.failed.Add(1)
					l.first.CompareAndSwap(nil, err)
				}
			}
		})
	}
	return l
}

func (l *load) ask(f *fixture, client *http.Client, n, i int) error {
	path, body := "/quick", ""
	if n%4 == 1 {
		path = "/slow"
	}
	method := http.MethodGet
	if i%2 == 1 {
		method, body = http.MethodPost, strings.Repeat("x", 5000)
	}
	r, err := http.NewRequest(method, "http://"+f.address()+path, strings.NewReader(body))
	if err != nil {
		return err
	}
	r.Host = "app.test"
	resp, err := client.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if want := fmt.Sprintf("ok %d", len(body)); err != nil || string(got) != want {
		return fmt.Errorf("%s %s: %d %q %v, want %q", method, path, resp.StatusCode, got, err, want)
	}
	return nil
}

func TestAFailingDeployLeavesTheOldTargetServingAndNamesTheCause(t *testing.T) {
	silent := make(chan struct{})
	t.Cleanup(func() { close(silent) })
	status500, _ := sick(t, http.StatusInternalServerError, "database  is\ndown")
	redirecting := backend(t, func(w http.ResponseWriter, r *http.Request) { http.Error(w, "no login", http.StatusForbidden) })
	hanging := backend(t, func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-silent:
		case <-r.Context().Done():
		}
	})
	for _, c := range []struct {
		name, target, path string
		causes             []string
	}{
		{"a status", status500, "/up", []string{"status 500", "database is down"}},
		{"nobody listening", nobody(t), "/up", []string{"connection refused"}},
		{"a refused redirect", redirectTo(t, "http://"+redirecting+"/login"), "/up", []string{"redirected to http://" + redirecting + "/login", "status 403", "no login"}},
		{"no answer", hanging, "/hang", []string{"no answer within 50ms"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := startProxy(t)
			f.deploy(deployRequest("app", backend(t, says("old")), "app.test"))
			req := deployRequest("app", c.target, "app.test")
			req.DeployTimeout = time.Second
			req.TargetOptions.HealthCheckConfig.Path = c.path
			if c.path == "/hang" {
				req.TargetOptions.HealthCheckConfig.Timeout = 50 * time.Millisecond
			}
			err := f.router.Deploy(t.Context(), req)
			if err == nil {
				t.Fatal("the deploy succeeded")
			}
			for _, want := range append(c.causes, "within configured timeout (1s)") {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("the error does not say %q: %v", want, err)
				}
			}
			f.expect("app.test", "/", 200, "old")
		})
	}
}

func redirectTo(t *testing.T, location string) string {
	return backendWithHealth(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, location, http.StatusFound) })
}

func TestARedirectThatEndsIn200IsHealthy(t *testing.T) {
	f := startProxy(t)
	final := backend(t, says("welcome"))
	f.deploy(deployRequest("app", redirectTo(t, "http://"+final+"/login"), "app.test"))
}

func TestADeployReturnsOnlyWhenTheOldRequestsAreDone(t *testing.T) {
	f := startProxy(t)
	old, arrived, finish := heldBackend(t, "", "old")
	f.deploy(deployRequest("app", old, "app.test"))
	answered := make(chan string, 1)
	go func() {
		status, body := f.get("app.test", "/")
		answered <- fmt.Sprint(status, " ", body)
	}()
	receive(t, "the slow request", arrived)

	deployed := make(chan error, 1)
	go func() {
		deployed <- f.router.Deploy(t.Context(), deployRequest("app", backend(t, says("new")), "app.test"))
	}()
	eventually(t, "the switch", func() bool { return f.routes("app") != old })
	f.expect("app.test", "/", 200, "new")
	select {
	case err := <-deployed:
		t.Fatalf("the deploy returned (%v) while a request was in flight on the old target", err)
	default:
	}
	close(finish)
	if got := receive(t, "the slow answer", answered); got != "200 old" {
		t.Errorf("the slow request got %q", got)
	}
	if err := receive(t, "the deploy", deployed); err != nil {
		t.Error(err)
	}
}

func TestARequestThatOutlastsTheDrainGets504(t *testing.T) {
	f := startProxy(t)
	arrived := make(chan struct{})
	f.deploy(deployRequest("app", backend(t, func(_ http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-r.Context().Done()
	}), "app.test"))
	answered := make(chan int, 1)
	go func() {
		status, _ := f.get("app.test", "/")
		answered <- status
	}()
	receive(t, "the slow request", arrived)
	req := deployRequest("app", backend(t, says("new")), "app.test")
	req.DrainTimeout = 10 * time.Millisecond
	f.deploy(req)
	if got := receive(t, "the answer", answered); got != http.StatusGatewayTimeout {
		t.Errorf("status %d, want 504", got)
	}
}

func TestOfTwoDeploysTheNewestAskedForWins(t *testing.T) {
	f := startProxy(t)
	f.deploy(deployRequest("app", backend(t, says("first")), "app.test"))
	waiting, probes := sick(t, http.StatusServiceUnavailable, "booting")
	older := make(chan error, 1)
	go func() { older <- f.router.Deploy(t.Context(), deployRequest("app", waiting, "app.test")) }()
	eventually(t, "the older deploy probes", func() bool { return probes.Load() > 0 })

	f.deploy(deployRequest("app", backend(t, says("newest")), "app.test"))
	err := receive(t, "the older deploy", older)
	if err == nil || !strings.Contains(err.Error(), "a newer deploy of service app") {
		t.Errorf("the older deploy said %v", err)
	}
	f.expect("app.test", "/", 200, "newest")
}

func TestACallerThatGoesAwayCancelsItsDeploy(t *testing.T) {
	f := startProxy(t)
	f.deploy(deployRequest("app", backend(t, says("old")), "app.test"))
	waiting, probes := sick(t, http.StatusServiceUnavailable, "booting")
	ctx, leave := context.WithCancel(t.Context())
	gone := make(chan error, 1)
	go func() {
		gone <- newClient(f.config.SocketPath).do(ctx, http.MethodPost, "/v1/deploy", deployRequest("app", waiting, "app.test"), nil)
	}()
	eventually(t, "the deploy probes", func() bool { return probes.Load() > 0 })
	leave()
	if err := receive(t, "the caller", gone); !errors.Is(err, context.Canceled) {
		t.Errorf("the caller got %v", err)
	}
	eventually(t, "the deploy is given up", func() bool {
		f.router.mu.Lock()
		defer f.router.mu.Unlock()
		return len(f.router.attempts) == 0
	})
	f.expect("app.test", "/", 200, "old")
}

func TestARequestThatCouldNotConnectGoesToTheTargetOfTheSwitchInBetween(t *testing.T) {
	f := startProxy(t)
	dead := deployRequest("app", nobody(t), "app.test")
	dead.Force = true
	f.deploy(dead)
	f.expect("app.test", "/", http.StatusBadGateway, "did not answer")

	// The switch happens while the request is being connected to the dead target.
	app := f.router.services["app"]
	gone, _ := app.current()
	deployed := make(chan error, 1)
	gone.pool.targets[0].transport.DialContext = func(context.Context, string, string) (net.Conn, error) {
		go func() {
			deployed <- f.router.Deploy(t.Context(), deployRequest("app", backend(t, says("switched")), "app.test"))
		}()
		eventually(t, "the switch", func() bool { d, _ := app.current(); return d != gone })
		return nil, &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	}
	f.expect("app.test", "/", 200, "switched")
	if err := receive(t, "the deploy", deployed); err != nil {
		t.Error(err)
	}

	// Two targets, one dead and not yet found out: every request is answered, those with a body too.
	two := deployRequest("app", nobody(t), "app.test")
	two.Targets = append(two.Targets, backend(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) }))
	two.TargetOptions.HealthCheckConfig.Interval = time.Hour
	two.Force = true
	f.deploy(two)
	for i := range 6 {
		status, body, _ := f.do(f.request(http.MethodPost, "app.test", "/", strings.NewReader("payload")))
		if status != 200 || body != "payload" {
			t.Errorf("request %d: %d %q", i, status, body)
		}
	}
}

func TestADeadTargetOfSeveralLeavesThePool(t *testing.T) {
	f := startProxy(t)
	well := true
	var mu sync.Mutex
	failing := backendWithHealth(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if !well {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_, _ = io.WriteString(w, "failing")
	})
	req := deployRequest("app", failing, "app.test")
	req.Targets = append(req.Targets, backend(t, says("steady")))
	f.deploy(req)
	mu.Lock()
	well = false
	mu.Unlock()
	eventually(t, "list says unhealthy", func() bool { return !f.router.List()[0].Targets[0].Healthy })
	for range 4 {
		f.expect("app.test", "/", 200, "steady")
	}
}
