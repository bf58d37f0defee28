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

	"github.com/kamald/kamald/drivers/sim"
	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// tokens gives a registry password that is another each time it is looked up anew.
type tokens struct {
	secrets
	mu      sync.Mutex
	renewed int
}

func (s *tokens) Secret(name string) (release.Secret, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if name != "REGISTRY_PASSWORD" {
		return s.secrets.Secret(name)
	}
	return release.NewSecret(fmt.Sprintf("token-%d", s.renewed)), true, nil
}

func (s *tokens) Renew(name string) (release.Secret, bool, error) {
	s.mu.Lock()
	s.renewed++
	s.mu.Unlock()
	return s.Secret(name)
}

// faulty fails some calls to a host ("" for all) with a registry's fault, as often as it says; below 0 always.
func faulty(host, method string, fault state.RegistryFault, times int) (around reconcile.Interceptor, calls func() int) {
	var mu sync.Mutex
	n := 0
	around = func(ctx context.Context, call reconcile.Call, next func(context.Context) error) error {
		if call.Method != method || host != "" && call.Host != host {
			return next(ctx)
		}
		mu.Lock()
		n++
		fails := times < 0 || n <= times
		mu.Unlock()
		if fails {
			return &state.RegistryError{Fault: fault, Registry: "registry.example.com", Err: fmt.Errorf("%s: as the engine says it", call.Host)}
		}
		return next(ctx)
	}
	return around, func() int { mu.Lock(); defer mu.Unlock(); return n }
}

// mustRefuse wants an apply of v2 to begin nothing, and to say all this.
func (w *world) mustRefuse(c *reconcile.Controller, desired release.Release, says ...string) {
	w.t.Helper()
	defer func() { _ = c.Close() }()
	before, ran := len(w.History()), w.versions()
	_, err := c.Apply(w.t.Context(), desired, reconcile.Options{})
	if !errors.Is(err, reconcile.ErrProblems) || len(w.History()) != before || w.versions() != ran {
		w.t.Errorf("%d calls changed something, %s runs: %v", len(w.History())-before, w.versions(), err)
	}
	for _, words := range says {
		if err != nil && !strings.Contains(err.Error(), words) {
			w.t.Errorf("%q is not in: %v", words, err)
		}
	}
}

func TestATokenThatHasExpiredIsLookedUpOnceMore(t *testing.T) {
	for name, expires := range map[string]func(w *world){
		"before the plan": func(w *world) { w.SetPassword("token-1") },
		"between plan and pull": func(w *world) {
			w.SetPassword("token-0")
			var once sync.Once
			w.Before(func(c sim.Call) error {
				if c.Method == "Engine.Pull" {
					once.Do(func() { w.SetPassword("token-1") })
				}
				return nil
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 611)
				expires(w)
				at := &tokens{secrets: secrets{"TOKEN": canary}}
				c := w.controller()
				c.Secrets = at
				defer func() { _ = c.Close() }()
				if _, err := c.Apply(t.Context(), w.release("v1"), reconcile.Options{}); err != nil || at.renewed != 1 {
					t.Errorf("looked up anew %d times: %v", at.renewed, err)
				}
			})
		})
	}
}

func TestAPasswordThatIsWrongHoweverOftenItIsLookedUpIsNamedForEachHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 612)
		w.SetPassword("another")
		at := &tokens{secrets: secrets{"TOKEN": canary}}
		c := w.controller()
		c.Secrets = at
		w.mustRefuse(c, w.release("v1"), "h1: the image", "h2: the image", "h3: the image", "denied", "nothing was changed")
		if at.renewed != 1 {
			t.Errorf("looked up anew %d times", at.renewed)
		}
	})
}

func TestARegistryThatDoesNotAnswerSomeHostsIsNamedForThem(t *testing.T) {
	for fault, says := range map[state.RegistryFault]string{
		state.FaultUnreached: "curl -i https://registry.example.com/v2/", state.FaultName: "getent hosts registry.example.com",
		state.FaultCertificate: "/etc/docker/certs.d/registry.example.com/ca.crt on h2", state.FaultPlain: `list "registry.example.com" in insecure-registries`,
		state.FaultLimit: "wait until the limit", state.FaultBroken: "an error of its own", state.FaultDenied: "the secret REGISTRY_PASSWORD",
	} {
		t.Run(string(fault), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 613)
				w.mustApply(w.release("v1"))
				around, asked := faulty("h2", "Engine.Manifest", fault, -1)
				w.mustRefuse(w.given(around), w.release("v2"), "h2: the image "+repository+":v2", "as the engine says it", says)
				want := 1
				if fault.Passing() {
					want = 3
				}
				if asked() != want {
					t.Errorf("asked %d times, want %d", asked(), want)
				}
				around, _ = faulty("", "Engine.Manifest", fault, -1)
				w.mustRefuse(w.given(around), w.release("v2"), "h1: the image", "h2: the image", "h3: the image")
			})
		})
	}
}

func TestAPullThatFailsForWhatPassesIsDoneAgain(t *testing.T) {
	for _, c := range []struct {
		fault state.RegistryFault
		times int
		calls int
		fails bool
	}{
		{state.FaultUnreached, 2, 3, false},
		{state.FaultStalled, 2, 3, false},
		{state.FaultStalled, -1, 3, true},
		{state.FaultBroken, -1, 3, true},
		{state.FaultDamaged, 1, 1, true},
		{state.FaultReference, 1, 1, true},
		{state.FaultLimit, 1, 1, true},
	} {
		t.Run(fmt.Sprintf("%s, %d times", c.fault, c.times), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 614)
				w.mustApply(w.release("v1"))
				around, calls := faulty("h2", "Engine.Pull", c.fault, c.times)
				controller := w.given(around)
				_, err := controller.Apply(t.Context(), w.release("v2"), reconcile.Options{})
				_ = controller.Close()
				if (err != nil) != c.fails || calls() != c.calls {
					t.Fatalf("pulled %d times: %v", calls(), err)
				}
				if !c.fails {
					w.mustBeEmpty(w.release("v2"))
					return
				}
				if w.versions() != allV1 || w.ImageID("h2", repository+":v2") != "" || !strings.Contains(err.Error(), "h2: get image") || !strings.Contains(err.Error(), "next: ") {
					t.Errorf("%s runs: %v", w.versions(), err)
				}
				w.mustBeEmpty(w.release("v1"))
			})
		})
	}
}

// An engine may take its time to find a registry out of reach: the plan says so after a question each, not after three.
func TestARegistryThatIsSilentForLongIsNotAskedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 618)
		w.mustApply(w.release("v1"))
		around, asked := faulty("", "Engine.Manifest", state.FaultUnreached, -1)
		slowly := func(ctx context.Context, call reconcile.Call, next func(context.Context) error) error {
			if call.Method == "Engine.Manifest" {
				time.Sleep(12 * time.Second)
			}
			return around(ctx, call, next)
		}
		began := time.Now()
		w.mustRefuse(w.given(slowly), w.release("v2"), "h1: the image", "h2: the image", "h3: the image")
		if took := time.Since(began); asked() != 3 || took > 30*time.Second {
			t.Errorf("asked %d times, and said after %s", asked(), took)
		}
	})
}

func TestAnImageForAnotherPlatformIsRefusedWithThePlan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 615)
		w.mustApply(w.release("v1"))
		w.Push(sim.Image{Ref: repository + ":arm", Platforms: []string{"linux/arm64"}, Behaviour: sim.Healthy(0)})
		w.mustRefuse(w.controller(), w.release("arm"), "h1/web: the image "+repository+":arm is for linux/arm64, and the host is linux/amd64",
			"h2/web: the image", "h3/workers: the image", "build and push it for linux/amd64 too")
		emulated := w.release("arm")
		for i := range emulated.Roles {
			emulated.Roles[i].Options = map[string][]string{"platform": {"linux/arm64"}}
		}
		w.mustApply(emulated)
	})
}

func TestAListForSeveralPlatformsIsOneDigestOnEveryHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 616)
		w.SetArch("h2", "arm64")
		_, digest := w.Push(sim.Image{Ref: repository + ":both", Platforms: []string{"linux/amd64", "linux/arm64"}, Behaviour: sim.Healthy(0)})
		w.mustApply(w.release("both"))
		for _, host := range w.Hosts() {
			if w.ImageID(host, repository+"@"+digest) == "" {
				t.Errorf("%s has nothing of the digest %s", host, digest)
			}
		}
	})
}

// otherImage is an engine that has something else than what it was asked to pull.
type otherImage struct{ reconcile.Engine }

func (e otherImage) Image(ctx context.Context, ref string) (state.Image, error) {
	image, err := e.Engine.Image(ctx, ref)
	if strings.Contains(ref, "@") {
		image.ID, image.Digests = "sha256:other", []string{repository + "@sha256:other"}
	}
	return image, err
}

// silentRegistry is an engine that waits for its registry, and waits.
type silentRegistry struct{ reconcile.Engine }

func (silentRegistry) Manifest(ctx context.Context, _ string, _ release.Auth) (state.Manifest, error) {
	<-ctx.Done()
	return state.Manifest{}, ctx.Err()
}

// withEngine puts something between a host's engine and who calls it.
type withEngine struct {
	reconcile.Connector
	host   string
	engine func(reconcile.Engine) reconcile.Engine
}

func (c withEngine) Connect(ctx context.Context, host release.Host) (*reconcile.Connection, error) {
	conn, err := c.Connector.Connect(ctx, host)
	if err == nil && host.Name == c.host {
		conn.Engine = c.engine(conn.Engine)
		open := conn.Bulk
		conn.Bulk = func(ctx context.Context) (reconcile.Engine, func() error, error) {
			engine, end, err := open(ctx)
			if err != nil {
				return nil, nil, err
			}
			return c.engine(engine), end, nil
		}
	}
	return conn, err
}

// behind is a run in which a host's engine is another.
func (w *world) behind(host string, engine func(reconcile.Engine) reconcile.Engine) *reconcile.Controller {
	return w.over(withEngine{connector{w.Connector()}, host, engine})
}

func TestARegistryThatNeverAnswersIsNotTakenForALostHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 619)
		w.mustApply(w.release("v1"))
		c := w.behind("h2", func(e reconcile.Engine) reconcile.Engine { return silentRegistry{e} })
		w.mustRefuse(c, w.release("v2"), "h2: the image", "the registry gave the engine there no answer within 15s", "curl -i")
	})
}

func TestWhatTheRegistryDoesNotHaveIsWaitedFor(t *testing.T) {
	for fault, says := range map[state.RegistryFault][]string{
		state.FaultReference:  {"neither on the hosts nor at the registry; build and push it"},
		state.FaultRepository: {"neither on the hosts nor at the registry (repository unknown", "make the repository at registry.example.com"},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, 620)
			var asked []string
			around := func(ctx context.Context, call reconcile.Call, more func(context.Context) error) error {
				if call.Method == "Engine.Manifest" {
					asked = append(asked, call.Host)
					return &state.RegistryError{Fault: fault, Registry: "registry.example.com", Err: fmt.Errorf("%s unknown: %w", fault, state.ErrNotFound)}
				}
				return more(ctx)
			}
			c := w.given(around)
			defer func() { _ = c.Close() }()
			before := len(w.History())
			_, err := c.Apply(t.Context(), w.release("v1"), reconcile.Options{})
			awaited, ok := errors.AsType[*reconcile.AwaitedError](err)
			if !ok || awaited.What != repository+":v1" || len(w.History()) != before || !slices.Equal(asked, []string{"h1"}) {
				t.Fatalf("%q were asked, %d calls changed something: %v", asked, len(w.History())-before, err)
			}
			for _, words := range says {
				if !strings.Contains(err.Error(), words) {
					t.Errorf("%q is not in: %v", words, err)
				}
			}
		})
	}
}

func TestWhatArrivesIsHeldToTheDigestThatWasPlanned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 617)
		w.mustApply(w.release("v1"))
		c := w.behind("h2", func(e reconcile.Engine) reconcile.Engine { return otherImage{e} })
		_, err := c.Apply(t.Context(), w.release("v2"), reconcile.Options{})
		arrived, ok := errors.AsType[*reconcile.ArrivedError](err)
		if !ok || arrived.Host != "h2" || !strings.HasPrefix(arrived.Image, repository+"@sha256:") || !strings.Contains(arrived.Found, "sha256:other") {
			t.Errorf("it said: %v", err)
		}
		if w.versions() != allV1 || w.ImageID("h2", repository+":v2") != "" {
			t.Errorf("%s runs, and h2 has v2 as %s", w.versions(), w.ImageID("h2", repository+":v2"))
		}
		w.mustBeEmpty(w.release("v1"))
	})
}

func TestATagThatMovesAfterThePlanWasSavedChangesNothingOfIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 618)
		w.mustApply(w.release("v1"))
		saved := w.save(w.release("v2"))
		planned := saved.Plan.Pin.Digest
		_, moved := w.Push(sim.Image{Ref: repository + ":v2", Behaviour: sim.Exits(1, 0)})
		w.mustRefuseSaved(saved, "neither on the host nor at the registry any more", "h1: ", "h2: ", "h3: ")
		w.Keep(planned, repository+":by-digest")
		if _, err := w.applySaved(saved); err != nil || w.versions() != allV2 || planned == moved {
			t.Fatalf("%s: %v", w.versions(), err)
		}
		for _, host := range w.Hosts() {
			if got := w.ImageID(host, repository+":v2"); got == "" || got != w.ImageID(host, repository+"@"+planned) {
				t.Errorf("v2 on %s is %s, and not the image of the plan", host, got)
			}
		}
	})
}

// mustRefuseSaved wants a saved plan to be refused before anything is changed.
func (w *world) mustRefuseSaved(saved plan.Saved, says ...string) {
	w.t.Helper()
	before := len(w.History())
	_, err := w.applySaved(saved)
	if !errors.Is(err, reconcile.ErrProblems) || len(w.History()) != before {
		w.t.Errorf("%d calls changed something: %v", len(w.History())-before, err)
	}
	for _, words := range says {
		if err != nil && !strings.Contains(err.Error(), words) {
			w.t.Errorf("%q is not in: %v", words, err)
		}
	}
}
