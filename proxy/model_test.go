package proxy

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// modelled is what a service is by the rules, in the fewest words.
type modelled struct {
	target, rollout string // "" for none
	percent         int    // -1 for not set
	gate            gateState
	fence           uint64
}

// machine runs commands on a proxy and on the model of its services.
type machine struct {
	f      *fixture
	good   []string // targets that are healthy
	bad    string
	said   map[string]string // what a target says
	model  map[string]modelled
	fences map[string]uint64
}

// apply runs a command on both. allowed gives the error that the model expects besides a fence, nil for none.
func (m *machine) apply(t *rapid.T, service string, fence uint64, err error, allowed func(was modelled, there bool) error, effect func(*modelled)) {
	was, there := m.model[service]
	var want error
	switch {
	case fence != 0 && fence < m.fences[service]:
		want = ErrFenced
	default:
		want = allowed(was, there)
	}
	if !errors.Is(err, want) || want == nil && err != nil {
		t.Fatalf("on %s under %d: %v, want %v", service, fence, err, want)
	}
	if want == nil {
		m.fences[service] = max(m.fences[service], fence)
		effect(&was)
		m.model[service] = was
	}
}

func mustBeThere(_ modelled, there bool) error {
	if !there {
		return ErrServiceNotFound
	}
	return nil
}

// drawService and drawFence keep to few values, so that commands meet.
func drawService(t *rapid.T) string { return rapid.SampledFrom([]string{"a", "b"}).Draw(t, "service") }
func drawFence(t *rapid.T) uint64   { return rapid.Uint64Range(0, 6).Draw(t, "fence") }

func (m *machine) drawTarget(t *rapid.T) string { return rapid.SampledFrom(m.good).Draw(t, "target") }

func (m *machine) actions() map[string]func(*rapid.T) {
	return map[string]func(*rapid.T){
		"":       m.check,
		"pause":  m.gated((*Router).pause, gatePaused),
		"stop":   m.gated((*Router).stop, gateStopped),
		"resume": m.gated((*Router).resume, gateRunning),
		"deploy": m.deploy, "deploy what is sick": m.deploySick, "remove": m.remove,
		"deploy a rollout": m.rollOut, "split": m.split, "stop a rollout": m.stopRollout,
		"restart": func(*rapid.T) {
			m.f.client.CloseIdleConnections() // the proxy would give them time to go
			m.f = m.f.restart()
		},
	}
}

// seen is the fence as it counts: a service that is not there is told first.
func (m *machine) seen(service string, fence uint64) uint64 {
	if _, there := m.model[service]; !there {
		return 0
	}
	return fence
}

func (m *machine) gated(run func(*Router, context.Context, gateRequest) error, to gateState) func(*rapid.T) {
	return func(t *rapid.T) {
		s, n := drawService(t), drawFence(t)
		err := run(m.f.router, context.Background(), gateRequest{Service: s, Fence: n, MaxPause: time.Minute})
		m.apply(t, s, m.seen(s, n), err, mustBeThere, func(w *modelled) { w.gate = to })
	}
}

func (m *machine) deploy(t *rapid.T) {
	s, n, to := drawService(t), drawFence(t), m.drawTarget(t)
	req := deployRequest(s, to, s+".test")
	req.Fence = n
	err := m.f.router.Deploy(context.Background(), req)
	m.apply(t, s, n, err, func(modelled, bool) error { return nil }, func(w *modelled) {
		if w.target == "" {
			w.percent = -1
		}
		w.target = to
	})
}

func (m *machine) deploySick(t *rapid.T) {
	s, n := drawService(t), drawFence(t)
	req := deployRequest(s, m.bad, s+".test")
	req.Fence, req.DeployTimeout = n, 5*time.Millisecond
	if err := m.f.router.Deploy(context.Background(), req); err == nil {
		t.Fatal("it succeeded")
	}
	m.fences[s] = max(m.fences[s], n)
}

func (m *machine) remove(t *rapid.T) {
	s, n := drawService(t), drawFence(t)
	err := m.f.router.remove(context.Background(), gateRequest{Service: s, Fence: n})
	if fenced := n != 0 && n < m.fences[s]; errors.Is(err, ErrFenced) != fenced {
		t.Fatalf("remove said %v", err)
	} else if fenced {
		return
	}
	if _, there := m.model[s]; there == (err == ErrServiceNotFound) {
		t.Fatalf("remove said %v", err)
	}
	m.fences[s] = max(m.fences[s], n)
	delete(m.model, s)
}

func (m *machine) rollOut(t *rapid.T) {
	s, n, to := drawService(t), drawFence(t), m.drawTarget(t)
	req := rolloutRequest(to)
	req.Service, req.Fence = s, n
	err := m.f.router.RolloutDeploy(context.Background(), req)
	m.apply(t, s, m.seen(s, n), err, mustBeThere, func(w *modelled) { w.rollout = to })
}

func (m *machine) split(t *rapid.T) {
	s, n, percent := drawService(t), drawFence(t), rapid.SampledFrom([]int{0, 100}).Draw(t, "percent")
	err := m.f.router.RolloutSet(RolloutSetRequest{Service: s, Fence: n, Split: Split{Percent: percent}})
	m.apply(t, s, m.seen(s, n), err, func(was modelled, there bool) error {
		if there && was.rollout == "" {
			return errNoRolloutTarget
		}
		return mustBeThere(was, there)
	}, func(w *modelled) { w.percent = percent })
}

func (m *machine) stopRollout(t *rapid.T) {
	s, n := drawService(t), drawFence(t)
	err := m.f.stopRollout(s, n)
	m.apply(t, s, m.seen(s, n), err, mustBeThere, func(w *modelled) { w.rollout, w.percent = "", -1 })
}

// check compares list, and what a client gets, with the model.
func (m *machine) check(t *rapid.T) {
	infos := m.f.router.List()
	names := slices.Sorted(maps.Keys(m.model))
	if len(infos) != len(names) {
		t.Fatalf("list has %d services, want %v", len(infos), names)
	}
	for n, name := range names {
		i, want := infos[n], m.model[name]
		got := modelled{target: i.Targets[0].Target, percent: -1, fence: i.Fence}
		if i.Rollout != nil {
			got.rollout = i.Rollout.Targets[0].Target
			if i.Rollout.Split != nil {
				got.percent = i.Rollout.Split.Percent
			}
		}
		got.gate, want.fence = want.gate, m.fences[name]
		if got != want || i.State != want.gate.String() {
			t.Fatalf("%s is %+v %s, want %+v", name, got, i.State, want)
		}
	}
	for _, name := range []string{"a", "b"} {
		m.checkAnswer(t, name)
	}
}

func (m *machine) checkAnswer(t *rapid.T, name string) {
	w, there := m.model[name]
	status, says := http.StatusOK, m.said[w.target]
	switch {
	case !there:
		status, says = http.StatusNotFound, ""
	case w.gate == gateStopped:
		status, says = http.StatusServiceUnavailable, ""
	case w.gate == gatePaused:
		return // it would be held
	case w.percent == 100:
		says = m.said[w.rollout]
	}
	got, body := m.f.get(name+".test", "/")
	if got != status || !strings.Contains(body, says) {
		t.Fatalf("%s answers %d %q, want %d %q", name, got, body, status, says)
	}
}

func TestCommandsDoWhatTheModelSays(t *testing.T) {
	m := newMachine(t)
	if os.Getenv("KAMALD_LONG") != "1" {
		if err := flag.Set("rapid.checks", "12"); err != nil {
			t.Fatal(err)
		}
	}
	rapid.Check(t, func(rt *rapid.T) {
		config := m.f.config
		config.StatePath = shortDir(t) + "/state"
		config.SocketPath = config.StatePath + ".sock"
		m.f = startProxyWith(t, config)
		m.model, m.fences = map[string]modelled{}, map[string]uint64{}
		rt.Repeat(m.actions())
		m.f.client.CloseIdleConnections()
		if err := m.f.Shutdown(); err != nil {
			rt.Fatal(err)
		}
	})
}

func newMachine(t *testing.T) *machine {
	m := &machine{f: startProxy(t), said: map[string]string{}, model: map[string]modelled{}, fences: map[string]uint64{}}
	for n := range 3 {
		name := fmt.Sprint("t", n)
		s := httptest.NewServer(says(name))
		t.Cleanup(s.Close)
		m.good = append(m.good, s.Listener.Addr().String())
		m.said[s.Listener.Addr().String()] = name
	}
	m.bad, _ = sick(t, http.StatusInternalServerError, "never")
	return m
}

// Commands of many callers at once on one service, with requests meanwhile: at the end the state file, list and the
// client agree, nothing waits, and fences have only grown.
func TestCommandsOfManyCallersAtOnceLeaveOneTruth(t *testing.T) {
	m := newMachine(t)
	f := m.f
	f.deploy(deployRequest("app", m.good[0], "app.test"))
	ctx, cancel := context.WithCancel(t.Context())
	requests := sync.WaitGroup{}
	for range 2 {
		requests.Go(func() {
			for ctx.Err() == nil {
				if status, body := f.get("app.test", "/"); !slices.Contains([]int{200, 503, 504, 404}, status) {
					t.Errorf("a request got %d %s", status, body)
				}
			}
		})
	}
	var callers sync.WaitGroup
	for n := range 6 {
		callers.Go(func() {
			random := rand.New(rand.NewPCG(uint64(n), 7))
			highest := uint64(0)
			for i := range 60 {
				m.anyCommand(f.router, random, uint64(i))
				now := f.router.fenceOf("app")
				if now < highest {
					t.Errorf("the fence fell from %d to %d", highest, now)
				}
				highest = now
			}
		})
	}
	callers.Wait()
	cancel()
	requests.Wait()
	f.router.mu.Lock()
	waiting := len(f.router.attempts)
	f.router.mu.Unlock()
	if waiting != 0 {
		t.Errorf("%d deploys still wait", waiting)
	}
	before := f.router.List()
	f = f.restart()
	after := f.router.List()
	if a, b := essence(before), essence(after); a != b {
		t.Errorf("before the restart %s, after it %s", a, b)
	}
	if status, body := f.get("app.test", "/"); len(after) == 1 && after[0].State == "running" && status != 200 || len(after) == 0 && status != 404 {
		t.Errorf("list has %s, a client got %d %s", essence(after), status, body)
	}
}

// anyCommand ignores what the command says: it may have been overtaken, refused or given up.
func (m *machine) anyCommand(r *Router, random *rand.Rand, about uint64) {
	fence := about + uint64(random.IntN(20))
	if random.IntN(3) == 0 {
		fence = 0
	}
	target := m.good[random.IntN(len(m.good))]
	gate := gateRequest{Service: "app", Fence: fence, DrainTimeout: time.Second, MaxPause: 50 * time.Millisecond}
	switch random.IntN(10) {
	case 0, 1, 2:
		req := deployRequest("app", target, "app.test")
		req.Fence, req.DeployTimeout = fence, time.Second
		if random.IntN(4) == 0 {
			req.Targets, req.DeployTimeout = []string{m.bad}, 30*time.Millisecond
		}
		_ = r.Deploy(context.Background(), req)
	case 3:
		req := rolloutRequest(target)
		req.Fence = fence
		_ = r.RolloutDeploy(context.Background(), req)
	case 4:
		_ = r.RolloutSet(RolloutSetRequest{Service: "app", Fence: fence, Split: Split{Percent: random.IntN(101)}})
	case 5:
		_ = r.stopRollout(context.Background(), gate)
	case 6:
		_ = r.stop(context.Background(), gate)
	case 7:
		_ = r.resume(context.Background(), gate)
	case 8:
		_ = r.pause(context.Background(), gate)
	case 9:
		if random.IntN(3) == 0 {
			_ = r.remove(context.Background(), gate)
		}
	}
}

// essence is what must survive a restart.
func essence(infos []ServiceInfo) string {
	var text strings.Builder
	for _, i := range infos {
		fmt.Fprint(&text, i.Service, i.State, i.Generation, i.Fence, i.Targets[0].Target)
		if i.Rollout != nil {
			fmt.Fprint(&text, " rollout ", i.Rollout.Targets[0].Target, i.Rollout.Split)
		}
	}
	return text.String()
}
