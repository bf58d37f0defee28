package reconcile_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kamald/kamald/drivers/sim"
	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/release"
)

// slowly reaches a host late.
type slowly struct {
	reconcile.Connector
	host string
	by   time.Duration
}

func (s slowly) Connect(ctx context.Context, host release.Host) (*reconcile.Connection, error) {
	if host.Name == s.host {
		time.Sleep(s.by)
	}
	return s.Connector.Connect(ctx, host)
}

func TestWhichCallsAreUnderWayIsKnownWhileTheyLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 661)
		w.push("v1", sim.Healthy(0), time.Minute)
		flights := &reconcile.InFlight{}
		c := w.controller()
		through := reconcile.NewController(reconcile.NewFleet(flights.Connecting(slowly{connector{w.Connector()}, "h3", 10 * time.Second}), flights.Intercept), w.store, c.Secrets)
		defer func() { _ = through.Close() }()
		ended := make(chan error, 1)
		go func() {
			_, err := through.Apply(t.Context(), w.release("v1"), reconcile.Options{})
			ended <- err
		}()
		began := time.Now()
		time.Sleep(9 * time.Second)
		if calls := flights.Calls(); len(calls) != 1 || calls[0].Host != "h3" || calls[0].Method != "Connect" || calls[0].Since.Sub(began) > time.Second || calls[0].Step != "" {
			t.Errorf("while a host is reached: %+v", calls)
		}
		time.Sleep(31 * time.Second)
		pulls := flights.Calls()
		if !slices.ContainsFunc(pulls, func(f reconcile.Flight) bool {
			return f.Host == "h2" && f.Method == "Engine.Pull" && f.Mutates && strings.HasPrefix(f.Step, "image/h2") && time.Since(f.Since) > 25*time.Second
		}) {
			t.Errorf("while images are pulled: %+v", pulls)
		}
		if !slices.IsSortedFunc(pulls, func(a, b reconcile.Flight) int { return a.Since.Compare(b.Since) }) {
			t.Errorf("the oldest is not the first: %+v", pulls)
		}
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
		if calls := flights.Calls(); len(calls) > 0 {
			t.Errorf("when all has ended: %+v", calls)
		}
	})
}

func TestAPullSaysHowMuchHasComeAndAProofWhatItWaitsFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 662)
		w.Push(sim.Image{Ref: repository + ":v1", Behaviour: sim.Healthy(4 * time.Second), PullTakes: 10 * time.Second, Size: 100 << 20,
			Labels: map[string]string{"service": "shop", "version": "v1"}})
		w.mustApply(w.release("v1"))
		var bytes, waits []reconcile.Progress
		w.mu.Lock()
		defer w.mu.Unlock()
		for _, p := range w.log {
			if p.Host == "h1" && p.Kind == "bytes" && strings.HasPrefix(p.Step, "image/") {
				bytes = append(bytes, p)
			}
			if p.Host == "h1" && p.Kind == "waiting" {
				waits = append(waits, p)
			}
			if p.Step != "" && p.Kind == "done" && p.Phase == "" {
				t.Errorf("a step of a plan has no phase: %+v", p)
			}
		}
		if len(bytes) < 8 || bytes[4].Total != 100<<20 || bytes[4].Bytes < 40<<20 || bytes[4].Bytes > 60<<20 || !strings.HasSuffix(bytes[4].Message, " of 100 MiB") ||
			bytes[4].Phase != plan.PhasePrepare.String() || !bytes[4].Passing() {
			t.Errorf("of its pull it said %+v", bytes)
		}
		if len(waits) == 0 || len(waits) > 3 || !strings.HasPrefix(waits[0].Message, "prove shop-web-v1 healthy: ") || !waits[0].Passing() {
			t.Errorf("of its proof it said %+v", waits)
		}
	})
}

func TestWhatWillBeCarriedOutIsToldBeforeItsFirstStep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 663)
		c := w.controller()
		defer func() { _ = c.Close() }()
		var told []plan.Plan
		log := c.Report
		c.Planned = func(p plan.Plan) { told = append(told, p) }
		c.Report = func(p reconcile.Progress) {
			if p.Kind == "begin" && len(told) != 1 {
				t.Errorf("a step began when %d plans were told", len(told))
			}
			log(p)
		}
		report, err := c.Apply(t.Context(), w.release("v1"), reconcile.Options{})
		if err != nil || len(told) != 1 || len(told[0].Steps) != len(report.Plan.Steps) {
			t.Fatalf("%d plans were told: %v", len(told), err)
		}
		if _, err := c.Apply(t.Context(), w.release("v1"), reconcile.Options{}); err != nil || len(told) != 1 {
			t.Errorf("of nothing to do %d plans were told: %v", len(told)-1, err)
		}
	})
}
