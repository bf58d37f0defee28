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
	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// heard is what a watch told, in its order.
type heard struct {
	mu    sync.Mutex
	lines []string // "up", "lost: …", or the event in words
	at    []time.Time
	over  chan struct{}
	end   context.CancelFunc
}

// watching follows the named hosts, in a run of its own, until it is stopped.
func (w *world) watching(names ...string) *heard {
	ctx, end := context.WithCancel(w.t.Context())
	h := &heard{over: make(chan struct{}), end: end}
	c := w.controller()
	var hosts []release.Host
	for _, name := range names {
		hosts = append(hosts, release.Host{Name: name, Address: name})
	}
	go func() {
		defer close(h.over)
		c.Watch(ctx, hosts, h.hear)
		_ = c.Close()
	}()
	return h
}

func (h *heard) hear(what reconcile.Happening) {
	h.mu.Lock()
	defer h.mu.Unlock()
	line := "lost: " + what.Lost
	switch {
	case what.Up:
		line = "up"
	case what.Event != nil:
		line = what.Event.String()
	}
	h.lines, h.at = append(h.lines, line), append(h.at, time.Now())
}

// take gives what was heard since the last time.
func (h *heard) take() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	lines := h.lines
	h.lines, h.at = nil, nil
	return lines
}

// want compares what was heard with lines; one that ends in "…" is a beginning.
func (h *heard) want(t *testing.T, when string, want ...string) {
	t.Helper()
	got := h.take()
	same := slices.EqualFunc(got, want, func(a, b string) bool {
		begins, ok := strings.CutSuffix(b, "…")
		return a == b || ok && strings.HasPrefix(a, begins)
	})
	if !same {
		t.Errorf("%s: heard\n  %s\nwant\n  %s", when, strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

// stop ends the watch and waits for it.
func (h *heard) stop() {
	h.end()
	<-h.over
}

// service runs a container by hand that is the app's.
func (w *world) service(host, name string) {
	w.RunContainer(host, name, state.Spec{Image: repository + ":v1", Network: "none", Restart: "no"},
		map[string]string{state.LabelService: "shop", state.LabelRole: "web", state.LabelDestination: ""}, nil)
}

// placed has an image on every host, for what is run there by hand.
func placed(t *testing.T) *world {
	w := newWorld(t, 1)
	for _, host := range w.Hosts() {
		w.Place(host, sim.Image{Ref: repository + ":v1"})
	}
	return w
}

func TestAWatchTellsWhatHappensOnAHostAsItDoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := placed(t)
		w.service("h1", "shop-web-v0")
		h := w.watching("h1")
		time.Sleep(time.Second)
		h.want(t, "at first", "up", "container shop-web-v0 was created", "container shop-web-v0 was started")
		w.service("h1", "shop-web-v1")
		time.Sleep(time.Second)
		h.want(t, "by hand", "container shop-web-v1 was created", "container shop-web-v1 was started")
		w.Misbehave("h1", "shop-web-v1", sim.Exits(7, time.Hour))
		began := time.Now()
		time.Sleep(2 * time.Hour)
		h.mu.Lock()
		at := h.at
		h.mu.Unlock()
		h.want(t, "by itself", "container shop-web-v1 died, exit code 7")
		if len(at) == 1 && at[0].Sub(began) > time.Hour {
			t.Errorf("the end of a container was told %s after the program began", at[0].Sub(began))
		}
		w.Retag("h1", repository+":v1", repository+":latest")
		w.RemoveContainer("h1", "shop-web-v1")
		time.Sleep(time.Second)
		h.want(t, "a tag and a removal", "image reference "+repository+":latest was set", "container shop-web-v1 was removed")
		h.stop()
	})
}

func TestAConnectionThatIsCutIsToldOnceAndTakenUpWhereItWasLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := placed(t)
		h := w.watching("h1", "h2")
		time.Sleep(time.Minute)
		h.want(t, "at first", "up", "up")
		w.service("h1", "shop-web-v1") // nobody hears of it any more
		w.Cut("h1")
		w.service("h1", "shop-web-v2")
		time.Sleep(10 * time.Minute)
		h.want(t, "cut off", "lost: …")
		w.Restore("h1")
		time.Sleep(time.Minute)
		h.want(t, "back", "up", "container shop-web-v1 was created", "container shop-web-v1 was started",
			"container shop-web-v2 was created", "container shop-web-v2 was started")
		w.RestartSSH("h1")
		w.StopContainer("h1", "shop-web-v2")
		time.Sleep(time.Minute)
		h.want(t, "a restart of sshd", "lost: …", "up", "container shop-web-v2 was sent a signal", "container shop-web-v2 died, exit code 137")
		h.stop()
	})
}

func TestWhatWasToldIsNotToldAgainAfterAReconnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := placed(t)
		h := w.watching("h1")
		time.Sleep(time.Second)
		w.service("h1", "shop-web-v1")
		time.Sleep(100 * time.Millisecond) // it is told, and lies within the rewind
		h.take()
		for range 3 {
			w.RestartSSH("h1")
			time.Sleep(5 * time.Second)
			h.want(t, "another connection", "lost: …", "up")
		}
		h.stop()
	})
}

func TestAHostThatFallsSilentIsNoticed(t *testing.T) {
	for name, silence := range map[string]func(*world){
		"its network swallows all": func(w *world) { w.BlackHole("h1", true, true) },
		"its answers are lost":     func(w *world) { w.BlackHole("h1", false, true) },
		"its engine is frozen":     func(w *world) { w.FreezeEngine("h1") },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := placed(t)
				h := w.watching("h1")
				time.Sleep(20 * time.Second)
				h.take()
				silence(w)
				time.Sleep(95 * time.Second)
				h.want(t, name, "lost: it fell silent: …")
				time.Sleep(10 * time.Minute)
				h.want(t, "later", []string{}...)
				w.Restore("h1")
				w.ThawEngine("h1")
				time.Sleep(2 * time.Minute)
				h.want(t, "back", "up")
				h.stop()
			})
		})
	}
}

func TestAnEngineThatRestartsIsFollowedAgainAndItsConnectionStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := placed(t)
		w.RunContainer("h1", "shop-web-v1", state.Spec{Image: repository + ":v1", Network: "none", Restart: "unless-stopped"},
			map[string]string{state.LabelService: "shop"}, nil)
		time.Sleep(time.Minute)
		h := w.watching("h1")
		time.Sleep(time.Minute)
		h.want(t, "at first", "up")
		w.RestartEngine("h1", 5*time.Second)
		time.Sleep(time.Minute)
		h.want(t, "restarted", "lost: …", "up", "container shop-web-v1 was started")
		w.Reboot("h1", 30*time.Second)
		time.Sleep(2 * time.Minute)
		h.want(t, "rebooted", "lost: …", "up", "container shop-web-v1 was started")
		h.stop()
	})
}

// TestTheEndOfAStreamAloneLosesNoConnection: others have calls on it.
func TestTheEndOfAStreamAloneLosesNoConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		fleet := reconcile.NewFleet(connector{w.Connector()})
		on := release.Host{Name: "h1", Address: "h1"}
		first, err := fleet.Connection(t.Context(), on)
		if err != nil {
			t.Fatal(err)
		}
		go func() { time.Sleep(time.Second); w.RestartEngine("h1", 0) }()
		if err := first.Engine.Events(t.Context(), time.Time{}, func(state.EngineEvent) {}); !errors.Is(err, state.ErrUnreachable) {
			t.Errorf("the stream ended with %v", err)
		}
		if second, err := fleet.Connection(t.Context(), on); second != first || err != nil {
			t.Errorf("there is another connection: %v", err)
		}
		enough := errors.New("enough")
		ctx, end := context.WithCancelCause(t.Context())
		go func() { time.Sleep(time.Second); end(enough) }()
		if err := first.Engine.Events(ctx, time.Time{}, func(state.EngineEvent) {}); !errors.Is(err, enough) {
			t.Errorf("the stream ended with %v, and not with its context's cause", err)
		}
		_ = fleet.Close()
	})
}

// TestAHostThatCannotBeReachedIsTriedEverMoreSeldom, and at last about every half minute; the same in every run.
func TestAHostThatCannotBeReachedIsTriedEverMoreSeldom(t *testing.T) {
	var runs []string
	for range 2 {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, 1)
			var mu sync.Mutex
			var tries []time.Time
			w.Before(func(c sim.Call) error {
				mu.Lock()
				defer mu.Unlock()
				tries = append(tries, time.Now())
				return errors.New("injected")
			})
			h := w.watching("h1")
			time.Sleep(10 * time.Minute)
			h.want(t, "never reached", "lost: …")
			h.stop()
			if len(tries) < 20 || len(tries) > 55 {
				t.Errorf("it was tried %d times in ten minutes", len(tries))
			}
			for i := 1; i < len(tries); i++ {
				if pause := tries[i].Sub(tries[i-1]); pause > 31*time.Second || i == 1 && pause > time.Second || i > 10 && pause < 14*time.Second {
					t.Errorf("between attempts %d and %d lie %s", i, i+1, pause)
				}
			}
			runs = append(runs, fmt.Sprint(tries))
		})
	}
	if runs[0] != runs[1] {
		t.Error("two runs differ")
	}
}

func TestAnIdleWatchAsksOneQuestionAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		h := w.watching("h1", "h2", "h3")
		time.Sleep(time.Second)
		calls := w.called()
		time.Sleep(time.Hour)
		for host, n := range calls() {
			if n < 58 || n > 60 {
				t.Errorf("%s: %d calls in an hour", host, n)
			}
		}
		h.want(t, "idle", "up", "up", "up")
		h.stop()
	})
}

// TestOneWhoListensSlowlyHoldsUpNoOtherHost.
func TestOneWhoListensSlowlyHoldsUpNoOtherHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := placed(t)
		ctx, end := context.WithCancel(t.Context())
		var mu sync.Mutex
		told, inside := map[string]int{}, map[string]int{}
		c := w.controller()
		over := make(chan struct{})
		go func() {
			defer close(over)
			c.Watch(ctx, []release.Host{{Name: "h1", Address: "h1"}, {Name: "h2", Address: "h2"}}, func(what reconcile.Happening) {
				mu.Lock()
				inside[what.Host]++
				if told[what.Host]++; inside[what.Host] > 1 {
					t.Errorf("%s: two are told at once", what.Host)
				}
				mu.Unlock()
				if what.Host == "h1" {
					time.Sleep(time.Hour)
				}
				mu.Lock()
				inside[what.Host]--
				mu.Unlock()
			})
		}()
		time.Sleep(time.Second)
		for n := range 5 {
			for _, host := range []string{"h1", "h2"} {
				w.service(host, fmt.Sprintf("shop-web-v%d", n))
			}
		}
		time.Sleep(time.Minute)
		mu.Lock()
		if told["h1"] != 1 || told["h2"] != 11 {
			t.Errorf("told: %v", told)
		}
		mu.Unlock()
		end()
		<-over
		_ = c.Close()
	})
}
