package reconcile_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// bareHost is a host whose engine does not answer until it was made ready.
type bareHost struct {
	mu      sync.Mutex
	ground  state.Ground
	trouble state.EngineTrouble // "" when it answers whoever may use it
	user    bool                // the user is not root and needs the group
	fails   map[string]error    // by the installer's method
	begins  time.Duration       // until a started engine answers

	did    []string
	busy   func(by int) // told of each installation's begin and end
	ready  time.Time
	logins int
}

// login is one connection to a bare host: what its user may do was decided when it began.
type login struct {
	*bareHost
	admitted bool
}

func (h *bareHost) login() *login {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.logins++
	return &login{h, !h.user || slices.Contains(h.ground.Groups, state.DockerGroup)}
}

// engine is why the engine does not answer now; nil when it does.
func (l *login) engine() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	trouble := l.trouble
	switch {
	case trouble == "" && time.Now().Before(l.ready):
		trouble = state.EngineStopped
	case trouble == "" && !l.admitted:
		trouble = state.EngineForbidden
	case trouble == "":
		return nil
	}
	return fmt.Errorf("%w: %w", state.ErrUnreachable, &state.EngineError{Trouble: trouble, Err: fmt.Errorf("the engine is %s", trouble)})
}

func (l *login) do(name string, change func()) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.did = append(l.did, name)
	if err := l.fails[name]; err != nil {
		return err
	}
	change()
	return nil
}

func (l *login) Look(context.Context) (state.Ground, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	ground := l.ground
	if l.user && !l.admitted {
		ground.Groups = nil
	}
	return ground, l.fails["look"]
}

func (l *login) Install(_ context.Context, fromDistro bool, say func(string)) error {
	if l.busy != nil {
		l.busy(1)
		defer l.busy(-1)
		time.Sleep(time.Second)
	}
	say("Get:1 docker")
	return l.do(map[bool]string{false: "script", true: "package"}[fromDistro], func() { l.ground.Engine, l.ground.Client, l.trouble = true, true, state.EngineStopped })
}

func (l *login) Start(context.Context, func(string)) error {
	return l.do("start", func() {
		if l.trouble == state.EngineStopped {
			l.trouble, l.ready = "", time.Now().Add(l.begins)
		}
	})
}

func (l *login) Admit(context.Context) error {
	return l.do("admit", func() { l.ground.Groups = append(l.ground.Groups, state.DockerGroup) })
}

func (l *login) Said(context.Context) ([]string, error) {
	return []string{"level=fatal msg=no such setting"}, nil
}

// bareConnector puts bare hosts in place of some of the simulated ones.
type bareConnector struct {
	connector
	bare map[string]*bareHost
}

func (c bareConnector) Connect(ctx context.Context, on release.Host) (*reconcile.Connection, error) {
	conn, err := c.connector.Connect(ctx, on)
	h := c.bare[on.Name]
	if err != nil || h == nil {
		return conn, err
	}
	l := h.login()
	conn.Installer = l
	return reconcile.Intercept(on.Name, conn, func(ctx context.Context, call reconcile.Call, next func(context.Context) error) error {
		if strings.HasPrefix(call.Method, "Engine.") {
			if err := l.engine(); err != nil {
				return fmt.Errorf("%s: %s: %w", on.Name, call.Method, err)
			}
		}
		return next(ctx)
	}), nil
}

// asRoot and asUser are what a bare host has for root, and for another user with sudo.
func asRoot() *bareHost {
	return &bareHost{ground: state.Ground{User: "root", Become: state.RootItself}, trouble: state.EngineMissing}
}

func asUser() *bareHost {
	return &bareHost{ground: state.Ground{User: "deploy", Become: state.RootSudo}, trouble: state.EngineMissing, user: true}
}

// bare is a controller over the world with bare hosts in it.
func (w *world) bare(hosts map[string]*bareHost) *reconcile.Controller {
	c := reconcile.NewController(reconcile.NewFleet(bareConnector{connector{w.Connector()}, hosts}), w.store, secrets{"TOKEN": canary, "REGISTRY_PASSWORD": "registry-password"})
	w.t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestBootstrapDoesWhatIsMissingAndNoMore(t *testing.T) {
	installed := func(h *bareHost, trouble state.EngineTrouble) *bareHost {
		h.ground.Engine, h.ground.Client, h.trouble = true, true, trouble
		return h
	}
	failing := func(h *bareHost, method string) *bareHost {
		h.fails = map[string]error{method: errors.New("it went wrong")}
		return h
	}
	slow, dead := asRoot(), installed(asRoot(), state.EngineStopped)
	slow.begins, dead.begins = 20*time.Second, time.Hour
	noSudo := asUser()
	noSudo.ground.Become, noSudo.ground.Refused = "", "sudo: a password is required"
	busy := asRoot() // half of the package is there
	busy.ground.Client, busy.ground.Busy = true, "/run/kamald-bootstrap.x"
	clientOnly := asRoot()
	clientOnly.ground.Client = true
	for _, c := range []struct {
		name       string
		host       *bareHost
		fromDistro bool
		did        string // commands
		says       []string
		fails      bool
	}{
		{"nothing there", asRoot(), false, "script start", []string{"installed Docker by its official script", "started the engine; Docker"}, false},
		{"from the distribution", asRoot(), true, "package start", []string{"installed Docker from the distribution's package"}, false},
		{"another user", asUser(), false, "script admit start", []string{"added user deploy to the group docker"}, false},
		{"an engine that takes its time", slow, false, "script start", nil, false},
		{"stopped", installed(asRoot(), state.EngineStopped), false, "start", []string{"started the engine; Docker"}, false},
		{"forbidden", installed(asUser(), ""), false, "admit", []string{"added user deploy to the group docker; Docker"}, false},
		{"stopped and forbidden", installed(asUser(), state.EngineStopped), false, "admit start", nil, false},
		{"without root", noSudo, false, "", []string{"user deploy is not root", "sudo: a password is required", "NOPASSWD"}, true},
		{"an installation under way", busy, false, "", []string{"an installation is under way there; its log is /run/kamald-bootstrap.x/log", "do the same again when it is through"}, true},
		{"the client alone", clientOnly, false, "", []string{"no engine (dockerd)"}, true},
		{"too old", installed(asRoot(), state.EngineOld), false, "", []string{"the engine is old", "upgrade Docker"}, true},
		{"a script that fails", failing(asRoot(), "script"), false, "script", []string{"install Docker by its official script", "it went wrong"}, true},
		{"a start that fails", failing(asRoot(), "start"), false, "script start", []string{"it went wrong", "| level=fatal", "done before that: installed Docker"}, true},
		{"one that never answers", dead, false, "start", []string{"does not answer", "| level=fatal"}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 1)
				controller := w.bare(map[string]*bareHost{"h2": c.host})
				result, err := controller.Bootstrap(t.Context(), w.release("v1"), reconcile.BootstrapOptions{FromDistro: c.fromDistro})
				if (err != nil) != c.fails {
					t.Fatalf("%v", err)
				}
				if got := strings.Join(c.host.did, " "); got != c.did {
					t.Errorf("it did %q, want %q", got, c.did)
				}
				if len(result.Done) != 3 || !result.Done[0].Unchanged || !result.Done[2].Unchanged || result.Done[1].Unchanged {
					t.Errorf("%+v", result.Done)
				}
				one := result.Done[1]
				for _, want := range c.says {
					if text := one.Did + one.Error + strings.Join(one.Notes, " "); !strings.Contains(text, want) {
						t.Errorf("%q is not in %q", want, text)
					}
				}
				wantNoted(t, w, c.did)
				if c.fails {
					return
				}
				again, err := controller.Bootstrap(t.Context(), w.release("v1"), reconcile.BootstrapOptions{})
				if err != nil || !again.Done[1].Unchanged || strings.Join(c.host.did, " ") != c.did {
					t.Errorf("a second time: %v, %+v", err, again.Done)
				}
			})
		})
	}
}

// wantNoted wants each thing that was done to be in the store twice: before, and how it ended.
func wantNoted(t *testing.T, w *world, did string) {
	t.Helper()
	count := map[string]int{}
	for _, e := range w.store.events {
		count[e.Outcome]++
		if e.Kind != "bootstrap" || e.Host != "h2" {
			t.Errorf("noted: %+v", e)
		}
	}
	if n := len(strings.Fields(did)); count[state.EventIntended] != n || count[state.EventDone]+count[state.EventFailed] != n {
		t.Errorf("%q is noted as %v", did, count)
	}
}

func TestAHostThatHasAccessoriesAloneIsMadeReadyToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		desired := w.release("v1")
		for i := range desired.Roles {
			desired.Roles[i].Hosts = []string{"h1", "h2"}
		}
		desired.Accessories = []release.Accessory{redis("redis:7")} // on h3
		result, err := w.bare(map[string]*bareHost{"h1": asRoot(), "h2": asRoot(), "h3": asRoot()}).Bootstrap(t.Context(), desired, reconcile.BootstrapOptions{})
		if err != nil || len(result.Done) != 3 || result.Done[2].Host != "h3" || result.Done[2].Unchanged {
			t.Errorf("%v: %+v", err, result.Done)
		}
	})
}

func TestAHostThatFailsAbandonsNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		failing := asRoot()
		failing.fails = map[string]error{"script": errors.New("it went wrong")}
		others := asRoot()
		w.Cut("h3")
		result, err := w.bare(map[string]*bareHost{"h1": failing, "h2": others}).Bootstrap(t.Context(), w.release("v1"), reconcile.BootstrapOptions{})
		if err == nil || result.Done[0].Error == "" || result.Done[1].Error != "" || result.Done[2].Error == "" {
			t.Errorf("%v: %+v", err, result.Done)
		}
		for _, name := range []string{"h1: ", "h3: "} {
			if !strings.Contains(err.Error(), name) {
				t.Errorf("%q is not in %v", name, err)
			}
		}
	})
}

func TestAHostThatCannotBeReachedIsLeftOutWhereThatIsWanted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		others := asRoot()
		w.Cut("h3")
		skip := reconcile.BootstrapOptions{SkipUnreachable: true}
		result, err := w.bare(map[string]*bareHost{"h2": others}).Bootstrap(t.Context(), w.release("v1"), skip)
		if err != nil || len(result.Done) != 2 || len(others.did) == 0 || len(result.Skipped) != 1 || result.Skipped[0].Host != "h3" || result.Skipped[0].Reason == "" {
			t.Errorf("%v: %+v", err, result)
		}
		// One that is reached and cannot be made ready is a failure as ever; so is a connection that is lost after something was begun.
		for name, host := range map[string]*bareHost{"look": asRoot(), "script": asRoot()} {
			cause := fmt.Errorf("%w: lost", state.ErrUnreachable)
			host.fails = map[string]error{name: cause}
			if result, err := w.bare(map[string]*bareHost{"h2": host}).Bootstrap(t.Context(), w.release("v1"), skip); err == nil || len(result.Done) != 2 || len(result.Skipped) != 1 {
				t.Errorf("%s: %v: %+v", name, err, result)
			}
		}
		w.Cut("h1")
		w.Cut("h2")
		if result, err := w.bare(nil).Bootstrap(t.Context(), w.release("v1"), skip); err == nil || !strings.Contains(err.Error(), "no host could be reached") || len(result.Skipped) != 3 {
			t.Errorf("%v: %+v", err, result)
		}
	})
}

func TestManyHostsAreMadeReadyAtOnceAndNotAllOfThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		desired := w.release("v1")
		bare := map[string]*bareHost{}
		var mu sync.Mutex
		now, most := 0, 0
		for n := range 40 {
			name := fmt.Sprintf("x%d", n)
			w.AddHost(name)
			desired.Hosts = append(desired.Hosts, release.Host{Name: name, Address: name, SSH: desired.SSH})
			desired.Roles[1].Hosts = append(desired.Roles[1].Hosts, name)
			bare[name] = asRoot()
			bare[name].busy = func(by int) {
				mu.Lock()
				defer mu.Unlock()
				now += by
				most = max(most, now)
			}
		}
		if _, err := w.bare(bare).Bootstrap(t.Context(), desired, reconcile.BootstrapOptions{Hosts: []string{"x*"}}); err != nil {
			t.Fatal(err)
		}
		if most < 2 || most > 16 {
			t.Errorf("%d at once", most)
		}
	})
}

func TestWhatIsInterruptedIsNotBegun(t *testing.T) {
	w := newWorld(t, 1)
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("somebody asked to stop"))
	bare := asRoot()
	result, err := w.bare(map[string]*bareHost{"h1": bare}).Bootstrap(ctx, w.release("v1"), reconcile.BootstrapOptions{})
	if err == nil || len(bare.did) > 0 || !strings.Contains(result.Done[0].Error, "somebody asked to stop") {
		t.Errorf("%v: %+v, did %v", err, result.Done, bare.did)
	}
}

func TestAPlanForABareHostNamesSetup(t *testing.T) {
	for trouble, want := range map[state.EngineTrouble]string{
		state.EngineMissing:   "`kamald setup` installs Docker there and deploys (`kamald server bootstrap --hosts h1` only installs it), or go on without",
		state.EngineStopped:   "`kamald server bootstrap --hosts h1` starts it",
		state.EngineForbidden: "`kamald server bootstrap --hosts h1` gives the user its group",
		state.EngineOld:       "upgrade Docker there",
	} {
		w := newWorld(t, 1)
		h := asRoot()
		h.trouble = trouble
		planned, err := w.bare(map[string]*bareHost{"h1": h}).Plan(t.Context(), w.release("v1"), reconcile.Options{})
		if err != nil || len(planned.Plan.Problems) == 0 {
			t.Fatalf("%s: %v, %+v", trouble, err, planned.Plan.Problems)
		}
		p := planned.Plan.Problems[0]
		if p.Host != "h1" || p.Summary != fmt.Sprintf("it cannot be observed: the engine is %s", trouble) || !strings.HasPrefix(p.Next, want) {
			t.Errorf("%s: %+v", trouble, p)
		}
	}
}
