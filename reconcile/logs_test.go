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

// logged is what a reading of logs told, in its order.
type logged struct {
	mu    sync.Mutex
	lines []reconcile.LogLine
	notes []reconcile.LogNote
	err   error
	over  chan struct{}
	end   context.CancelFunc
}

// logs begins to read logs in a run of its own.
func (w *world) logs(o reconcile.LogOptions) *logged { return w.logsOf(w.release("v1"), o) }

func (w *world) logsOf(desired release.Release, o reconcile.LogOptions) *logged {
	ctx, end := context.WithCancel(w.t.Context())
	l := &logged{over: make(chan struct{}), end: end}
	c := w.controller()
	go func() {
		defer close(l.over)
		l.err = c.ReadLogs(ctx, desired, o, func(line reconcile.LogLine) {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.lines = append(l.lines, line)
		}, func(note reconcile.LogNote) {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.notes = append(l.notes, note)
		})
		_ = c.Close()
	}()
	return l
}

func (l *logged) wait() *logged {
	<-l.over
	l.end()
	return l
}

// text is a line a line: "h1 web: text".
func (l *logged) text() (list []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range l.lines {
		list = append(list, fmt.Sprintf("%s %s: %s", line.Host, line.Role, line.Text))
	}
	return list
}

func (l *logged) said() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var text strings.Builder
	for _, note := range l.notes {
		fmt.Fprintf(&text, "%s %s %v: %s\n", note.Host, note.Role, note.Missing, note.Message)
	}
	return text.String()
}

// talks has every container say something, one second after another.
func (w *world) talks(version string, rounds int) (lines []string) {
	for n := range rounds {
		for _, at := range []struct{ host, role string }{{"h3", "workers"}, {"h1", "web"}, {"h2", "web"}} {
			text := fmt.Sprintf("%s %d", version, n)
			w.Say(at.host, "shop-"+at.role+"-"+version, text)
			lines = append(lines, at.host+" "+at.role+": "+text)
			time.Sleep(time.Second)
		}
	}
	return lines
}

func TestTheLogsOfAllPlacesAreOneByTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 3101)
		w.mustApply(w.release("v1"))
		want := w.talks("v1", 4)
		if l := w.logs(reconcile.LogOptions{}).wait(); l.err != nil || !slices.Equal(l.text(), want) || l.said() != "" {
			t.Errorf("%v %s\n%s\nwant\n%s", l.err, l.said(), strings.Join(l.text(), "\n"), strings.Join(want, "\n"))
		}
		if l := w.logs(reconcile.LogOptions{Lines: 1}).wait(); !slices.Equal(l.text(), want[len(want)-3:]) {
			t.Errorf("the last of each: %v", l.text())
		}
		if l := w.logs(reconcile.LogOptions{Since: 3500 * time.Millisecond}).wait(); !slices.Equal(l.text(), want[len(want)-3:]) {
			t.Errorf("not older than 3.5 s: %v", l.text())
		}
		only := reconcile.LogOptions{Roles: []string{"web"}, Hosts: []string{"h2"}, Match: func(text string) bool { return strings.HasSuffix(text, "2") }}
		if l := w.logs(only).wait(); !slices.Equal(l.text(), []string{"h2 web: v1 2"}) {
			t.Errorf("only some: %v", l.text())
		}
	})
}

func TestWhatIsNotThereIsSaidPlainly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 3102)
		w.mustApply(w.release("v1"))
		w.talks("v1", 1)
		w.StopContainer("h1", "shop-web-v1")
		w.RemoveContainer("h3", "shop-workers-v1")
		w.Cut("h2")
		l := w.logs(reconcile.LogOptions{}).wait()
		said := l.said()
		for _, want := range []string{"h1 web false: no container of it runs. This is the log of shop-web-v1, which has ended: exit code 137",
			"h2  true: its logs cannot be read: ", "h3 workers false: there is no container of it; `kamald plan`"} {
			if !strings.Contains(said, want) {
				t.Errorf("nobody says %q:\n%s", want, said)
			}
		}
		if l.err != nil || !slices.Equal(l.text(), []string{"h1 web: v1 0"}) {
			t.Errorf("%v %v", l.err, l.text())
		}
		w.Restore("h2")
		if l := w.logs(reconcile.LogOptions{Container: "shop-web-v1", Hosts: []string{"h2"}}).wait(); l.err != nil || !slices.Equal(l.text(), []string{"h2 web: v1 0"}) {
			t.Errorf("by its name: %v %v", l.err, l.text())
		}
		if l := w.logs(reconcile.LogOptions{Container: "shop-web-v9"}).wait(); l.err == nil || !strings.Contains(l.err.Error(), "there is no container shop-web-v9 on h1, h2, h3") {
			t.Errorf("one that is nowhere: %v", l.err)
		}
	})
}

func TestALogThatNobodyKeepsIsSaidAndNotAskedForAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 3103)
		desired := w.release("v1")
		desired.Roles[1].Logging.Driver = "none"
		w.mustApply(desired)
		l := w.logs(reconcile.LogOptions{Follow: true})
		time.Sleep(time.Minute)
		l.end()
		l.wait()
		if n := strings.Count(l.said(), state.ErrNoLog.Error()); n != 1 || !errors.Is(l.err, context.Canceled) {
			t.Errorf("%v: said %d times:\n%s", l.err, n, l.said())
		}
	})
}

// held wants exactly these lines of each place, in their order, whatever the order of those of different ones.
func heldLines(t *testing.T, l *logged, want []string) {
	t.Helper()
	of := func(lines []string, place string) (some []string) {
		for _, line := range lines {
			if strings.HasPrefix(line, place) {
				some = append(some, line)
			}
		}
		return some
	}
	got := l.text()
	for _, place := range []string{"h1 web", "h2 web", "h3 workers"} {
		if a, b := of(got, place), of(want, place); !slices.Equal(a, b) {
			t.Errorf("%s: %d lines came of %d:\n%s\nwant\n%s\n%s", place, len(a), len(b), strings.Join(a, "\n"), strings.Join(b, "\n"), l.said())
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d lines came of %d", len(got), len(want))
	}
}

func TestFollowedLogsGoOnThroughAReleaseAndLostConnections(t *testing.T) {
	for name, trouble := range map[string]func(w *world){
		"nothing":                func(*world) {},
		"sshd restarts":          func(w *world) { w.RestartSSH("h1"); w.RestartSSH("h3") },
		"a host is cut off":      func(w *world) { w.Cut("h2"); time.Sleep(10 * time.Second); w.Restore("h2") },
		"a host swallows it all": func(w *world) { w.BlackHole("h1", true, true); time.Sleep(3 * time.Minute); w.Restore("h1") },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 3104)
				w.image("v2", sim.Behaviour{Ready: 300 * time.Millisecond, Logs: []string{"v2 boots", "v2 is there"}})
				w.mustApply(w.release("v1"))
				before := w.talks("v1", 3)
				l := w.logs(reconcile.LogOptions{Follow: true, Lines: 2})
				time.Sleep(5 * time.Second)
				want := append(slices.Clone(before[3:]), w.talks("v1", 3)...)
				trouble(w)
				want = append(want, w.talks("v1", 2)...)
				time.Sleep(time.Minute)
				w.mustApply(w.release("v2"))
				for _, line := range []string{"v2 boots", "v2 is there"} {
					want = append(want, "h1 web: "+line, "h2 web: "+line, "h3 workers: "+line)
				}
				trouble(w)
				want = append(want, w.talks("v2", 3)...)
				time.Sleep(time.Minute)
				l.end()
				l.wait()
				heldLines(t, l, want)
				for _, want := range []string{"h1 web false: the log of shop-web-v2 joins", "h3 workers false: shop-workers-v1 has ended"} {
					if !strings.Contains(l.said(), want) {
						t.Errorf("nobody says %q:\n%s", want, l.said())
					}
				}
				if lost := strings.Contains(l.said(), "its logs are not followed"); lost != (name != "nothing") || lost != strings.Contains(l.said(), "followed again") {
					t.Errorf("of hosts that were lost it says:\n%s", l.said())
				}
			})
		})
	}
}

func TestTheLogOfOneContainerIsFollowedToItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 3105)
		w.mustApply(w.release("v1"))
		l := w.logs(reconcile.LogOptions{Container: "shop-workers-v1", Follow: true})
		time.Sleep(5 * time.Second)
		w.Say("h3", "shop-workers-v1", "last words")
		w.StopContainer("h3", "shop-workers-v1")
		if l.wait(); l.err != nil || !slices.Equal(l.text(), []string{"h3 workers: last words"}) || !strings.Contains(l.said(), "shop-workers-v1 has ended") {
			t.Errorf("%v %v %s", l.err, l.text(), l.said())
		}
	})
}

// Who follows one container waits for a host that cannot be reached, as who follows them all does.
func TestTheLogOfOneContainerIsFollowedAsSoonAsItsHostIsReached(t *testing.T) {
	for name, there := range map[string]bool{"shop-workers-v1": true, "shop-workers-v9": false} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, 3108)
			w.mustApply(w.release("v1"))
			w.Say("h3", "shop-workers-v1", "first words")
			w.Cut("h3")
			l := w.logs(reconcile.LogOptions{Container: name, Follow: true})
			time.Sleep(5 * time.Minute)
			w.Restore("h3")
			time.Sleep(time.Minute)
			w.Say("h3", "shop-workers-v1", "last words")
			w.StopContainer("h3", "shop-workers-v1")
			l.wait()
			switch {
			case !there && (l.err == nil || !strings.Contains(l.err.Error(), "there is no container shop-workers-v9 on h1, h2, h3")):
				t.Errorf("one that is nowhere: %v", l.err)
			case there && (l.err != nil || !slices.Equal(l.text(), []string{"h3 workers: first words", "h3 workers: last words"})):
				t.Errorf("%v %v", l.err, l.text())
			}
			if said := l.said(); strings.Contains(said, " true: ") || strings.Count(said, "h3  false: its logs are not followed: ") != 1 {
				t.Errorf("it says:\n%s", said)
			}
		})
	}
}

func TestTheProxiesLogsAreReadTheSameWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 3106)
		w.mustApply(w.release("v1"))
		w.Say("h2", "kamal-proxy", "two")
		time.Sleep(time.Second)
		w.Say("h1", "kamal-proxy", "one")
		w.RemoveContainer("h1", "kamal-proxy")
		if l := w.logs(reconcile.LogOptions{Proxy: true}).wait(); l.err != nil || !slices.Equal(l.text(), []string{"h2 : two"}) || !strings.Contains(l.said(), "h1  false: there is no proxy") {
			t.Errorf("%v %v %s", l.err, l.text(), l.said())
		}
	})
}

// A container that is kept for a rollback has an old log, and what starts it again asks for none of that.
func TestAnOldContainerThatStartsAgainJoinsFromThere(t *testing.T) {
	for name, cut := range map[string]bool{"it is heard": false, "it is found after a cut": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 3107)
				w.mustApply(w.release("v1"))
				w.talks("v1", 3)
				w.mustApply(w.release("v2"))
				before := w.talks("v2", 1)
				l := w.logs(reconcile.LogOptions{Follow: true})
				time.Sleep(time.Minute)
				if cut {
					w.Cut("h1")
					w.StopContainer("h1", "shop-web-v2")
					w.StartContainer("h1", "shop-web-v1")
					w.Say("h1", "shop-web-v1", "v1 again")
					time.Sleep(time.Minute)
					w.Restore("h1")
				} else if back := w.rollBack(t.Context(), w.release("v2"), reconcile.Back{}); back.err != nil {
					t.Fatal(back.err)
				} else {
					w.Say("h1", "shop-web-v1", "v1 again")
				}
				time.Sleep(time.Minute)
				l.end()
				l.wait()
				heldLines(t, l, append(before, "h1 web: v1 again"))
			})
		})
	}
}
