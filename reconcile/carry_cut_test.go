package reconcile_test

import (
	"context"
	"fmt"
	"io"
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

func TestAHostThatIsAwayForAWhileGetsItsImageAllTheSame(t *testing.T) {
	for _, away := range []time.Duration{4 * time.Second, 8 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			w := newCarriedWorld(t, 31)
			w.mustApply(w.carried("v1"))
			var once sync.Once
			w.Before(func(c sim.Call) error {
				if c.Host == "h2" && c.Method == "Engine.Load" && !strings.Contains(c.Args, "kamald-carried-") && strings.Contains(c.Args, repository) {
					once.Do(func() {
						w.Cut("h2")
						time.AfterFunc(away, func() { w.Restore("h2") })
					})
				}
				return nil
			})
			report := w.mustApply(w.carried("v2"))
			if two := sentTo(t, report, "h2"); two.Layers != 1 || two.There != 2 {
				t.Errorf("away for %s: %+v", away, two)
			}
			if !strings.Contains(w.progress(), "going on behind what has arrived in 2s (attempt 3 of 5)") {
				t.Errorf("away for %s:\n%s", away, w.progress())
			}
		})
	}
}

func TestAHostThatStaysAwayEndsTheReleaseWithItsLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newCarriedWorld(t, 32)
		w.Before(func(c sim.Call) error {
			if c.Host == "h2" && c.Method == "Engine.Load" && strings.Contains(c.Args, repository) {
				w.Cut("h2")
			}
			return nil
		})
		began := time.Now()
		if _, err := w.apply(t.Context(), w.carried("v1")); err == nil {
			t.Error("it was released")
		}
		if took := time.Since(began); took > 2*time.Minute || w.versions() != "" {
			t.Errorf("after %s it runs %q", took, w.versions())
		}
	})
}

// standing is an engine that takes the first bytes of an archive, and no more, as often as it is told.
type standing struct {
	reconcile.Engine
	left *int
}

func (e standing) Load(ctx context.Context, archive io.Reader) error {
	if *e.left == 0 {
		return e.Engine.Load(ctx, archive)
	}
	*e.left--
	_, _ = archive.Read(make([]byte, 512))
	<-ctx.Done()
	return ctx.Err()
}

func TestWhatStandsStillIsSentOnceMoreOverAnotherConnection(t *testing.T) {
	for times, ends := range map[int]string{1: "", 2: "nothing of what is sent was taken for 1m0s"} {
		synctest.Test(t, func(t *testing.T) {
			w := newCarriedWorld(t, 33)
			w.mustApply(w.carried("v1"))
			left := times
			c := w.behind("h2", func(e reconcile.Engine) reconcile.Engine { return standing{e, &left} })
			defer func() { _ = c.Close() }()
			_, err := c.Apply(t.Context(), w.carried("v2"), reconcile.Options{})
			if ends == "" && err != nil || ends != "" && (err == nil || !strings.Contains(err.Error(), ends)) {
				t.Errorf("it stood %d times: %v", times, err)
			}
			if n := strings.Count(w.progress(), "nothing moved any more on the way; going on behind what has arrived in 1s (attempt 2 of 5)"); n != 1 {
				t.Errorf("it stood %d times:\n%s", times, w.progress())
			}
		})
	}
}

func TestOfAnImageThatTravelsWholeNothingIsSaidToHaveArrived(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newCarriedWorld(t, 34)
		for _, host := range []string{release.LocalHost, "h1", "h2", "h3"} {
			w.KeepAsContainerd(host)
		}
		var once sync.Once
		looks := 0
		w.Before(func(c sim.Call) (err error) {
			switch {
			case c.Host == "h2" && c.Method == "Engine.Load" && c.Args == "": // an image by its ID
				once.Do(func() { err = fmt.Errorf("the line is cut: %w", state.ErrUnreachable) })
			case c.Method == "Engine.Images" && c.Args == "":
				looks++
			}
			return err
		})
		c := w.controller()
		defer func() { _ = c.Close() }()
		c.Throttle = func(context.Context, int) error { time.Sleep(2 * time.Second); return nil }
		if _, err := c.Apply(t.Context(), w.carried("v1"), reconcile.Options{}); err != nil {
			t.Fatal(err)
		}
		said := w.progress()
		if !strings.Contains(said, "the connection was lost on the way; sending it again from the beginning in 1s (attempt 2 of 5)") || strings.Contains(said, "what has arrived") {
			t.Error(said)
		}
		if !strings.Contains(said, " of about ") {
			t.Errorf("how much there is to send is not said:\n%s", said)
		}
		if looks > 0 {
			t.Errorf("what had arrived was looked for %d times", looks)
		}
	})
}
