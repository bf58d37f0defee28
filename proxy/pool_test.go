package proxy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// several is a service with targets that say "t0", "t1", ….
func several(t *testing.T, n int) DeployRequest {
	t.Helper()
	req := deployRequest("app", backend(t, says("t0")), "app.test")
	for i := 1; i < n; i++ {
		req.Targets = append(req.Targets, backend(t, says(fmt.Sprint("t", i))))
	}
	return req
}

func (f *fixture) tally(requests int) map[string]int {
	f.t.Helper()
	seen := map[string]int{}
	for range requests {
		body, _ := f.ask(http.MethodGet, "/")
		seen[body]++
	}
	return seen
}

func TestTargetsTakeTurnsAndShareTheTurnsOfOneThatIsOut(t *testing.T) {
	f := startProxy(t)
	req := several(t, 4)
	f.deploy(req)
	if got := f.tally(40); got["t0"] != 10 || got["t1"] != 10 || got["t2"] != 10 || got["t3"] != 10 {
		t.Errorf("40 requests went to %v", got)
	}
	req.Targets[1], req.Force = nobody(t), true
	f.deploy(req)
	eventually(t, "the dead one is out", func() bool { return !f.router.List()[0].Targets[1].Healthy })
	if got := f.tally(30); got["t0"] != 10 || got["t2"] != 10 || got["t3"] != 10 {
		t.Errorf("30 requests went to %v", got)
	}
}

func TestTheTargetWithTheFewestRequestsInFlightIsChosen(t *testing.T) {
	f := startProxy(t)
	finish, arrived := make(chan struct{}), make(chan string, 10)
	slow := func(name string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/slow" {
				arrived <- name
				select {
				case <-finish:
				case <-r.Context().Done():
				}
			}
			_, _ = io.WriteString(w, name)
		}
	}
	req := deployRequest("app", backend(t, slow("a")), "app.test")
	req.Targets = append(req.Targets, backend(t, slow("b")))
	req.Balance = BalanceLeastConnections
	f.deploy(req)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer close(finish)
	inFlight := func(n int) { // an answer may be here before its request counts as done
		t.Helper()
		eventually(t, fmt.Sprint(n, " are in flight"), func() bool {
			i := f.router.List()[0].Targets
			return i[0].InFlight+i[1].InFlight == n
		})
	}
	stuck := map[string]int{}
	for range 4 {
		wg.Go(func() { f.get("app.test", "/slow") })
		stuck[receive(t, "a slow request", arrived)]++
	}
	if stuck["a"] != 2 || stuck["b"] != 2 {
		t.Errorf("4 slow requests went to %v", stuck)
	}
	wg.Go(func() { f.get("app.test", "/slow") })
	busy := receive(t, "a slow request", arrived)
	for range 6 {
		inFlight(5)
		if body, _ := f.ask(http.MethodGet, "/"); body == busy {
			t.Errorf("a request went to the busier one")
		}
	}
}

func TestADeadSingleTargetAnswers502IsStillAskedAndListSaysWhy(t *testing.T) {
	f := startProxy(t)
	var well atomic.Bool
	well.Store(true)
	app := backendWithHealth(t, func(w http.ResponseWriter, r *http.Request) {
		if !well.Load() && r.URL.Path == "/up" {
			http.Error(w, "database is gone", http.StatusServiceUnavailable)
		}
		_, _ = io.WriteString(w, "app")
	})
	f.deploy(deployRequest("app", app, "app.test"))
	began := f.router.List()[0].Targets[0].Since
	well.Store(false)
	var target TargetInfo
	eventually(t, "list says unhealthy", func() bool { target = f.router.List()[0].Targets[0]; return !target.Healthy })
	if !strings.Contains(target.Cause, "database is gone") || target.LastProbe == nil || target.LastProbe.Error == "" || !target.Since.After(began) {
		t.Errorf("list says %+v", target)
	}
	f.expect("app.test", "/", 200, "app")
	well.Store(true)
	eventually(t, "list says healthy", func() bool { target = f.router.List()[0].Targets[0]; return target.Healthy && target.Cause == "" })

	gone := deployRequest("app", nobody(t), "app.test")
	gone.Force = true
	f.deploy(gone)
	for range 2 {
		for range 2 * ejectAfter {
			f.expect("app.test", "/", http.StatusBadGateway, "did not answer")
		}
		eventually(t, "list names the cause", func() bool { return strings.Contains(f.router.List()[0].Targets[0].Cause, "connection refused") })
		f = f.restart() // its targets serve at once, and checks go on
	}
}

func TestRefusedConnectionsTakeATargetOutUntilACheckSucceeds(t *testing.T) {
	f := startProxy(t)
	req := several(t, 2)
	var on atomic.Bool
	resetting := backendWithHealth(t, func(w http.ResponseWriter, r *http.Request) {
		if on.Load() && r.URL.Path != "/up" {
			hangUp(t, w)
			return
		}
		_, _ = io.WriteString(w, "resetting")
	})
	req.Targets = append(req.Targets, resetting)
	req.TargetOptions.HealthCheckConfig.Interval = time.Hour
	f.deploy(req)
	on.Store(true)
	for range 40 {
		f.get("app.test", "/") // a reset connection may have done something: it is a 502 and not tried again
	}
	i := f.router.List()[0].Targets[2]
	if i.Healthy || !strings.Contains(i.Cause, "3 connections in a row failed") {
		t.Errorf("list says %+v", i)
	}
	if got := f.tally(10); got["t0"] != 5 || got["t1"] != 5 {
		t.Errorf("then 10 requests went to %v", got)
	}
	req.TargetOptions.HealthCheckConfig.Interval = 5 * time.Millisecond
	f.deploy(req)
	on.Store(false)
	eventually(t, "it is back", func() bool { return f.router.List()[0].Targets[2].Healthy })
	if got := f.tally(9); got["resetting"] != 3 {
		t.Errorf("then 9 requests went to %v", got)
	}
}

// hangUp ends the connection with a reset.
func hangUp(t *testing.T, w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		t.Error(err)
		return
	}
	_ = conn.(*net.TCPConn).SetLinger(0)
	_ = conn.Close()
}

func TestRequestsNeverTakeOutTheLastTarget(t *testing.T) {
	f := startProxy(t)
	req := deployRequest("app", nobody(t), "app.test")
	req.Targets = append(req.Targets, nobody(t), nobody(t))
	req.Force = true
	req.TargetOptions.HealthCheckConfig.Interval = time.Hour
	f.deploy(req)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 10 {
				f.get("app.test", "/")
			}
		})
	}
	wg.Wait()
	healthy := 0
	for _, i := range f.router.List()[0].Targets {
		if i.Healthy {
			healthy++
		}
	}
	if healthy != 1 {
		t.Errorf("%d of 3 dead targets are left, want 1", healthy)
	}
}

func TestAClientThatGoesAwaySaysNothingOfTheTarget(t *testing.T) {
	f := startProxy(t)
	req := deployRequest("app", backend(t, func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }), "app.test")
	req.Targets = append(req.Targets, backend(t, says("other")))
	req.TargetOptions.HealthCheckConfig.Interval = time.Hour
	f.deploy(req)
	for range 4 * ejectAfter {
		conn, err := net.Dial("tcp", f.address())
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(conn, "POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 100\r\n\r\npart")
		_ = conn.(*net.TCPConn).SetLinger(0)
		_ = conn.Close()
	}
	eventually(t, "all requests end", func() bool {
		i := f.router.List()[0].Targets
		return i[0].InFlight == 0 && i[1].InFlight == 0
	})
	for _, i := range f.router.List()[0].Targets {
		if !i.Healthy {
			t.Errorf("list says %+v", i)
		}
	}
}

func TestARequestThatCannotBeConnectedIsTriedOnEveryTarget(t *testing.T) {
	f := startProxy(t)
	req := deployRequest("app", backend(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) }), "app.test")
	for range 4 {
		req.Targets = append(req.Targets, nobody(t))
	}
	req.Force = true
	req.TargetOptions.HealthCheckConfig.Interval = time.Hour
	f.deploy(req)
	for i := range 10 {
		status, body, _ := f.do(f.request(http.MethodPost, "app.test", "/", strings.NewReader("payload")))
		if status != 200 || body != "payload" {
			t.Errorf("request %d: %d %q", i, status, body)
		}
	}
}

func TestATargetThatFlapsDoesNotFloodTheLog(t *testing.T) {
	var probes atomic.Int64
	flapping := backendWithHealth(t, func(w http.ResponseWriter, _ *http.Request) {
		if probes.Add(1)%2 == 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	var mu sync.Mutex
	var log bytes.Buffer
	f := startProxyWith(t, Config{
		Bind: "127.0.0.1", StatePath: t.TempDir() + "/state", SocketPath: shortDir(t) + "/kp.sock",
		Log: slog.New(slog.NewTextHandler(lockedWriter{&mu, &log}, nil)),
	})
	req := deployRequest("app", flapping, "app.test")
	req.TargetOptions.HealthCheckConfig.Interval = time.Millisecond
	f.deploy(req)
	eventually(t, "many changes", func() bool { return probes.Load() > 300 })
	mu.Lock()
	defer mu.Unlock()
	if lines := strings.Count(log.String(), "Target "); lines == 0 || lines > 10 {
		t.Errorf("300 changes of health wrote %d lines", lines)
	}
}

type lockedWriter struct {
	mu *sync.Mutex
	to *bytes.Buffer
}

func (w lockedWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.to.Write(p)
}

func TestTheLastLineAboutATargetSaysHowItIs(t *testing.T) {
	var h health
	at := time.Unix(1000, 0)
	steps := []struct {
		after    time.Duration
		err      error
		unlogged int
		logged   bool
	}{
		{0, nil, 0, true},
		{time.Second, errors.New("x"), 0, false},
		{2 * time.Second, nil, 0, false},
		{3 * time.Second, nil, 0, false},
		{healthLogPause, nil, 1, true}, // two changes had no line; this one tells the last of them
		{healthLogPause + time.Second, nil, 0, false},
		{3 * healthLogPause, errors.New("x"), 0, true},
	}
	for n, s := range steps {
		changed := h.become(s.err)
		if unlogged, ok := h.mayLog(at.Add(s.after), changed); ok != s.logged || unlogged != s.unlogged {
			t.Errorf("step %d: logged %v with %d before it, want %v with %d", n, ok, unlogged, s.logged, s.unlogged)
		}
	}
}
