package reconcile_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kamald/kamald/drivers/image"
	"github.com/kamald/kamald/drivers/sim"
	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// unfilled is a spool that reads no archive.
type unfilled struct {
	reconcile.Spool
	why error
}

func (s unfilled) Fill(context.Context, io.Reader, []string) error { return s.why }

// mustBlameHere wants a release to have failed by this machine's fault, said once, with no word against a host.
func (w *world) mustBlameHere(err error, texts ...string) {
	w.t.Helper()
	mustSay(w.t, err, append(texts, "next: ")...)
	if err == nil {
		return
	}
	if _, is := errors.AsType[*reconcile.HereError](err); !is || errors.Is(err, state.ErrUnreachable) {
		w.t.Errorf("this machine is not blamed: %v", err)
	}
	said := err.Error() + "\n" + w.progress()
	for _, not := range []string{"has no room on the file system of", "all of it is sent", "attempt 2", "was damaged", "connection was lost"} {
		if strings.Contains(said, not) {
			w.t.Errorf("it says %q: %s", not, said)
		}
	}
}

func TestWhatFailsOnThisMachineIsNotTheHostsFault(t *testing.T) {
	for _, c := range []struct {
		name  string
		whole bool
		why   error
		save  func(reconcile.Engine) reconcile.Engine
		says  []string
	}{
		{name: "the disk of the spool is full", why: fmt.Errorf("write /srv/tmp/x: %w", syscall.ENOSPC),
			says: []string{"this machine has no room in /srv/tmp", "no space left on device", "TMPDIR"}},
		{name: "an archive that does not read", why: errors.New("it does not read as an archive"), says: []string{"this machine did not get the layers ready", "/srv/tmp", "does not read"}},
		{name: "an engine that goes away", why: fmt.Errorf("the connection ended: %w", state.ErrUnreachable), says: []string{"this machine", "the connection ended"}},
		{name: "an engine that refuses", save: saving(nil, fmt.Errorf("local: save: %w", state.ErrUnreachable)), says: []string{"this machine's engine did not give the image out: save"}},
		{name: "a whole image that an engine refuses", whole: true, save: saving(nil, fmt.Errorf("local: save: %w", state.ErrUnreachable)),
			says: []string{"this machine's engine did not give the image out: save"}},
		{name: "a whole image that breaks off", whole: true, save: saving(io.MultiReader(strings.NewReader(strings.Repeat("x", 1000)), broken{}), nil),
			says: []string{"after 1000 bytes this machine could not read on", "unexpected EOF"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newCarriedWorld(t, 41)
				for _, host := range []string{release.LocalHost, "h1", "h2", "h3"} {
					if c.whole {
						w.KeepAsContainerd(host)
					}
				}
				w.mustApply(w.carried("v1"))
				run := w.controller()
				if c.save != nil {
					run = w.behind(release.LocalHost, c.save)
				}
				defer func() { _ = run.Close() }()
				if c.why != nil {
					run.NewSpool = func() reconcile.Spool { return unfilled{&image.Spool{Dir: "/srv/tmp"}, c.why} }
				}
				_, err := run.Apply(t.Context(), w.carried("v2"), reconcile.Options{})
				w.mustBlameHere(err, c.says...)
				if w.versions() != allV1 {
					t.Errorf("it runs %s", w.versions())
				}
			})
		})
	}
}

// broken is the end of a stream that ends too early.
type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// saver is an engine that gives something else out than an image.
type saver struct {
	reconcile.Engine
	archive io.Reader
	err     error
}

func (e saver) Save(context.Context, ...string) (io.ReadCloser, error) {
	if e.err != nil {
		return nil, e.err
	}
	return io.NopCloser(e.archive), nil
}

func saving(archive io.Reader, err error) func(reconcile.Engine) reconcile.Engine {
	return func(e reconcile.Engine) reconcile.Engine { return saver{e, archive, err} }
}

func TestAnEngineOfThisMachineThatHangsIsWaitedForOnceAndNamed(t *testing.T) {
	for _, whole := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			w := newCarriedWorld(t, 42)
			for _, host := range []string{release.LocalHost, "h1", "h2", "h3"} {
				if whole {
					w.KeepAsContainerd(host)
				}
			}
			w.Before(func(c sim.Call) error {
				if c.Method == "Engine.Save" {
					w.FreezeEngine(release.LocalHost)
				}
				return nil
			})
			began := time.Now()
			_, err := w.apply(t.Context(), w.carried("v1"))
			w.mustBlameHere(err, "this machine's engine did not give the image out: it took longer than 15m0s")
			if took := time.Since(began); took > 16*time.Minute {
				t.Errorf("whole %v: it took %s", whole, took)
			}
		})
	}
}

// Where each host is on its own, one reading that failed is enough for all.
func TestAReadingThatFailedIsNotDoneAgainForTheNextHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newCarriedWorld(t, 43)
		w.mustApply(w.carried("v1"))
		for host, name := range map[string]string{"h1": "shop-web-v1", "h2": "shop-web-v1", "h3": "shop-workers-v1"} {
			w.RemoveContainer(host, name)
			w.Untag(host, repository+":v1")
			w.Untag(host, repository+":latest")
		}
		var reads atomic.Int32
		w.Before(func(c sim.Call) error {
			if c.Method == "Engine.Save" {
				reads.Add(1)
				return errors.New("the engine has lost a layer")
			}
			return nil
		})
		_, err := w.apply(t.Context(), w.carried("v1"))
		w.mustBlameHere(err, "the engine has lost a layer", "h1: ", "h2: ", "h3: ")
		if n := reads.Load(); n != 1 {
			t.Errorf("it was read %d times", n)
		}
	})
}
