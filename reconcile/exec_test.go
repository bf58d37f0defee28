package reconcile_test

import (
	"bytes"
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

// outputs are what commands wrote, by place.
type outputs struct {
	mu  sync.Mutex
	out map[string]*bytes.Buffer
}

func (o *outputs) streams(in string) func(reconcile.Place) state.Streams {
	o.out = map[string]*bytes.Buffer{}
	return func(p reconcile.Place) state.Streams {
		o.mu.Lock()
		defer o.mu.Unlock()
		b := &bytes.Buffer{}
		o.out[p.Host+"/"+p.Role] = b
		s := state.Streams{Out: b, Err: b}
		if in != "" {
			s.In = strings.NewReader(in)
		}
		return s
	}
}

func (o *outputs) of(place string) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.out[place] == nil {
		return ""
	}
	return o.out[place].String()
}

// execs runs a command in all places in scope.
func (w *world) execs(ctx context.Context, o reconcile.ExecOptions, roles ...string) (done []reconcile.Executed) {
	w.t.Helper()
	desired := w.release("v1")
	places, err := reconcile.Places(desired, nil, roles)
	if err != nil {
		w.t.Fatal(err)
	}
	w.using(func(c *reconcile.Controller) { done = c.Exec(ctx, desired, places, o) })
	return done
}

// extras are containers that are none of a role's, nor a proxy.
func (w *world) extras() (names []string) {
	for _, host := range w.Hosts() {
		for _, c := range w.Containers(host, state.View{}) {
			if c.Role == "" && c.Name != "kamal-proxy" {
				names = append(names, host+"/"+c.Name)
			}
		}
	}
	return names
}

func TestACommandRunsInAContainerLikeTheRolesThatIsGoneAfterwards(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 3201)
		w.mustApply(w.release("v1"))
		var seen []string
		w.Program("look", func(_ context.Context, argv []string, env map[string]string, s state.Streams) int {
			w.mustBeEmpty(w.release("v1")) // it is nobody's while it runs
			w.mu.Lock()
			seen = w.extras()
			w.mu.Unlock()
			fmt.Fprintln(s.Out, strings.Join(argv[1:], "|"), env["TOKEN"], env["LOG_LEVEL"], env["KAMAL_VERSION"], env["KAMAL_HOST"], env["EXTRA"])
			return 0
		})
		var o outputs
		done := w.execs(t.Context(), reconcile.ExecOptions{Argv: []string{"look", "a b", "$HOME"}, Streams: o.streams(""),
			Env: map[string]release.Secret{"EXTRA": release.NewSecret("extra-secret"), "LOG_LEVEL": release.NewSecret("debug")}})
		for _, d := range done {
			if d.Err != nil || d.Code != 0 || d.Version != "v1" || !strings.HasPrefix(d.Container, "shop-"+d.Role+"-exec-v1-") {
				t.Errorf("%+v", d)
			}
			if got, want := o.of(d.Host+"/"+d.Role), "a b|$HOME "+canary+" debug v1 "+d.Host+" extra-secret\n"; got != want {
				t.Errorf("%s: %q, want %q", d.Host, got, want)
			}
		}
		if len(done) != 3 || len(seen) == 0 || len(w.extras()) != 0 {
			t.Errorf("%d ended, there were %v, and are %v", len(done), seen, w.extras())
		}
		for _, e := range w.store.events {
			if strings.Contains(fmt.Sprintf("%+v", e), "extra-secret") || strings.Contains(fmt.Sprintf("%+v", e), "$HOME") {
				t.Errorf("it is noted: %+v", e)
			}
		}
		if last := w.store.events[len(w.store.events)-1]; last.Kind != "exec" || last.Outcome != state.EventDone || !strings.HasPrefix(last.Message, "run look in shop-") {
			t.Errorf("noted is %+v", last)
		}
		if log, _ := w.File("h3", ".kamal/shop-audit.log"); !strings.Contains(string(log), "[workers] Executed look in shop-workers-exec-v1-") {
			t.Errorf("the host's audit file: %s", log)
		}
		w.mustBeEmpty(w.release("v1"))
	})
}

// An engine says in its own words that an image has no such program; what to do is for kamald to say.
func TestAProgramThatTheImageLacksIsNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.mustApply(w.release("v1"))
		w.Before(func(c sim.Call) error {
			if c.Method == "Engine.RunThrough" || c.Method == "Engine.Start" {
				return errors.New(`start container 4a86a31c5a54: unable to start container process: exec: "bash": executable file not found in $PATH: unknown`)
			}
			return nil
		})
		for _, detach := range []bool{false, true} {
			var o outputs
			for _, done := range w.execs(t.Context(), reconcile.ExecOptions{Argv: []string{"bash", "-l"}, Streams: o.streams(""), Detach: detach}, "web") {
				if done.Err == nil || !strings.Contains(done.Err.Error(), "\n  next: the image has no program \"bash\" that can be run") {
					t.Errorf("%v", done.Err)
				}
			}
		}
	})
}

func TestACommandRunsInTheContainerThatServes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 3202)
		w.mustApply(w.release("v1"))
		var o outputs
		done := w.execs(t.Context(), reconcile.ExecOptions{Argv: []string{"cat"}, Reuse: true, Streams: o.streams("from here")}, "web")
		if len(done) != 2 || o.of("h1/web") != "from here" || o.of("h2/web") != "from here" || done[0].Container != "shop-web-v1" {
			t.Errorf("%+v", done)
		}
		done = w.execs(t.Context(), reconcile.ExecOptions{Argv: []string{"exit", "7"}, Reuse: true, Streams: o.streams("")})
		for _, d := range done {
			if d.Code != 7 || d.Err != nil {
				t.Errorf("%+v", d)
			}
		}
		for _, reuse := range []bool{true, false} {
			done = w.execs(t.Context(), reconcile.ExecOptions{Argv: []string{"true"}, Version: "v9", Reuse: reuse, Streams: o.streams("")}, "workers")
			if !strings.Contains(done[0].Error, "of version v9") {
				t.Errorf("a version that is not there: %+v", done)
			}
			done = w.execs(t.Context(), reconcile.ExecOptions{Argv: []string{"true"}, Version: "v1", Reuse: reuse, Streams: o.streams("")}, "workers")
			if done[0].Err != nil || done[0].Version != "v1" {
				t.Errorf("a version that is there: %+v", done)
			}
		}
		w.StopContainer("h1", "shop-web-v1")
		w.Cut("h2")
		done = w.execs(t.Context(), reconcile.ExecOptions{Argv: []string{"true"}, Reuse: true, Streams: o.streams("")})
		if !strings.Contains(done[0].Error, "no container of web runs here") || done[1].Err == nil || done[2].Err != nil {
			t.Errorf("%+v", done)
		}
	})
}

func TestACommandThatNobodyWaitsForStaysUntilAPrune(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 3203)
		w.mustApply(w.release("v1"))
		var o outputs
		done := w.execs(t.Context(), reconcile.ExecOptions{Argv: []string{"work"}, Detach: true, Streams: o.streams("")}, "workers")
		extras := w.extras()
		if len(done) != 1 || done[0].Err != nil || !slices.Equal(extras, []string{"h3/" + done[0].Container}) {
			t.Fatalf("%+v %v", done, extras)
		}
		prune := func() {
			w.using(func(c *reconcile.Controller) {
				if _, err := c.Prune(t.Context(), w.release("v1"), reconcile.Options{}); err != nil {
					t.Error(err)
				}
			})
		}
		prune()
		w.mustApply(w.release("v2"))
		if !slices.Equal(w.extras(), extras) {
			t.Fatalf("it was taken away while it ran: %v", w.extras())
		}
		w.StopContainer("h3", done[0].Container)
		prune()
		if left := w.extras(); len(left) != 0 {
			t.Errorf("it is there still: %v", left)
		}
	})
}

func TestACommandThatIsNotWaitedForAnyMoreLeavesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 3204)
		w.mustApply(w.release("v1"))
		w.Program("sleep", func(ctx context.Context, _ []string, _ map[string]string, _ state.Streams) int {
			<-ctx.Done()
			return 1
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		var o outputs
		for _, d := range w.execs(ctx, reconcile.ExecOptions{Argv: []string{"sleep"}, Streams: o.streams("")}) {
			if !errors.Is(d.Err, context.DeadlineExceeded) {
				t.Errorf("%+v", d)
			}
		}
		if left := w.extras(); len(left) != 0 {
			t.Errorf("it left %v", left)
		}
	})
}

// Whatever call fails, nothing that serves is touched, and at most a container that the engine removes when it ends is left.
func TestACommandMeetsFaultsAtEveryCall(t *testing.T) {
	for n := 1; ; n++ {
		ended := false
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, 3205)
			w.mustApply(w.release("v1"))
			from := w.Calls()
			fault := []func(int){w.FailNth, w.LostReplyNth, w.HangNth}[n%3]
			fault(from + n)
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
			defer cancel()
			var o outputs
			done := w.execs(ctx, reconcile.ExecOptions{Argv: []string{"echo", "it ran"}, Streams: o.streams("")}, "workers")
			ended = w.Calls() < from+n
			w.ClearHooks()
			if d := done[0]; d.Err == nil && o.of("h3/workers") != "it ran\n" {
				t.Errorf("n=%d: it ended well, and wrote %q", n, o.of("h3/workers"))
			} else if d.Err != nil && strings.Contains(d.Error, canary) {
				t.Errorf("n=%d: %s", n, d.Error)
			}
			if left := w.extras(); len(left) > 0 && !w.removalFailed() {
				t.Errorf("n=%d: %+v left %v", n, done, left)
			}
			if w.versions() != "h1/web=v1 h2/web=v1 h3/workers=v1" {
				t.Errorf("n=%d: %s", n, w.versions())
			}
			w.mustBeEmpty(w.release("v1"))
		})
		if ended || t.Failed() {
			if n < 8 {
				t.Fatalf("only %d calls", n)
			}
			return
		}
	}
}

// removalFailed tells whether somebody was told that a container could not be removed.
func (w *world) removalFailed() bool {
	return slices.ContainsFunc(w.log, func(p reconcile.Progress) bool {
		return p.Kind == "warn" && strings.Contains(p.Message, "could not be removed")
	})
}

// A command may take as long as it wants. The end of the connection under it is noticed, and is not its own: nobody asked it to stop.
func TestALongCommandIsNotCutShortAndALostConnectionIsSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 3207)
		w.mustApply(w.release("v1"))
		w.Program("long", func(ctx context.Context, _ []string, _ map[string]string, s state.Streams) int {
			select {
			case <-ctx.Done():
				return 1
			case <-time.After(3 * time.Hour):
				fmt.Fprint(s.Out, "done")
				return 4
			}
		})
		var o outputs
		for _, reuse := range []bool{true, false} {
			run := func() reconcile.Executed {
				return w.execs(t.Context(), reconcile.ExecOptions{Argv: []string{"long"}, Reuse: reuse, Streams: o.streams("")}, "workers")[0]
			}
			if d := run(); d.Err != nil || d.Code != 4 || o.of("h3/workers") != "done" || len(w.extras()) != 0 {
				t.Errorf("reuse %v: %+v %q", reuse, d, o.of("h3/workers"))
			}
			time.AfterFunc(time.Hour, func() { w.RestartSSH("h3") })
			d := run()
			says := "; it may go on in shop-workers-v1"
			if !reuse {
				says = "; the command goes on in the container " + d.Container + ", and it is removed at its end\n  next: `kamald app logs --follow --container " + d.Container + " --hosts h3`"
			}
			if !errors.Is(d.Err, state.ErrUnreachable) || !strings.Contains(d.Error, says) || d.Running == reuse {
				t.Errorf("reuse %v: the connection was lost: %+v", reuse, d)
			}
			if left := w.extras(); reuse != (len(left) == 0) {
				t.Errorf("reuse %v: there is %v", reuse, left)
			}
		}
	})
}
