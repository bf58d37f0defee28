package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state/bolt"
)

// delays are what the proxies add each way; a round trip takes twice as long.
var delays = []time.Duration{0, 50 * time.Millisecond, 100 * time.Millisecond}

// tally counts remote calls, and those of them that change something.
type tally struct {
	mu     sync.Mutex
	calls  map[string]int // by host
	writes int
}

// intercept counts a call.
func (t *tally) intercept(ctx context.Context, c reconcile.Call, next func(context.Context) error) error {
	t.mu.Lock()
	if t.calls == nil {
		t.calls = map[string]int{}
	}
	t.calls[c.Host]++
	if c.Mutates {
		t.writes++
	}
	t.mu.Unlock()
	return next(ctx)
}

// take gives what was counted, and begins anew.
func (t *tally) take() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var parts []string
	for _, host := range slices.Sorted(maps.Keys(t.calls)) {
		parts = append(parts, fmt.Sprintf("%s %d", host, t.calls[host]))
	}
	text := fmt.Sprintf("%s\t%d", strings.Join(parts, ", "), t.writes)
	t.calls, t.writes = nil, 0
	return text
}

// measurePlans prints the dependent round trips of a plan, and the calls of a plan, of an apply with nothing to do, and of a
// release.
func measurePlans(ctx context.Context, s *site, rounds int) error {
	version, err := s.current(ctx)
	if err != nil {
		return err
	}
	fmt.Printf("\nPlans and releases over the same three hosts behind a delay, from one process; load %s\n\n", load())
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "ROUND TRIP\tFIRST PLAN\tTRIPS\tWARM PLAN\tTRIPS\tRELEASE AFTER IT\tTRIPS")
	var near timing
	for _, delay := range delays {
		var found timing
		if found, version, err = s.behind(ctx, version, delay, rounds); err != nil {
			return err
		}
		if delay == 0 {
			near = found
			_, _ = fmt.Fprintf(w, "as it is\t%s\t\t%s\t\t%s\t\n", ms(found.first), ms(found.warm), ms(found.release))
			continue
		}
		trips := func(there, here time.Duration) float64 { return float64(there-here) / float64(2*delay) }
		_, _ = fmt.Fprintf(w, "+%s\t%s\t%.1f\t%s\t%.1f\t%s\t%.1f\n", ms(2*delay), ms(found.first), trips(found.first, near.first),
			ms(found.warm), trips(found.warm, near.warm), ms(found.release), trips(found.release, near.release))
	}
	_ = w.Flush()
	return s.countCalls(ctx, version)
}

// timing is how long three kinds of work take, in the median.
type timing struct{ first, warm, release time.Duration }

// current is the version that kamald released last.
func (s *site) current(ctx context.Context) (string, error) {
	c, desired, err := s.controller(version(byKamald, 0), "current.db")
	if err != nil {
		return "", err
	}
	defer c.end()
	planned, err := c.Plan(ctx, desired, reconcile.Options{})
	if err != nil {
		return "", err
	}
	if planned.Held == nil {
		return "", fmt.Errorf("no release of %s is recorded on the hosts", desired.App())
	}
	return planned.Held.Version, nil
}

// inProcess is kamald's controller with the store that it needs.
type inProcess struct {
	*reconcile.Controller
	store *bolt.Store
}

func (p inProcess) end() {
	_ = p.Close()
	_ = p.store.Close()
}

func (s *site) controller(version, store string, chain ...reconcile.Interceptor) (inProcess, release.Release, error) {
	desired, err := s.desired(byKamald, version)
	if err != nil {
		return inProcess{}, desired, err
	}
	secrets, err := s.secrets(byKamald, desired)
	if err != nil {
		return inProcess{}, desired, err
	}
	kept, err := bolt.Open(filepath.Join(s.dir, store))
	if err != nil {
		return inProcess{}, desired, err
	}
	return inProcess{reconcile.NewController(reconcile.NewFleet(connector{}, chain...), kept, secrets), kept}, desired, nil
}

// behind gives the median times behind a delay, and the version that the hosts run afterwards.
func (s *site) behind(ctx context.Context, version string, delay time.Duration, rounds int) (timing, string, error) {
	var firsts, warms, releases []time.Duration
	for i := range rounds {
		next := "behind-" + strconv.Itoa(int(delay.Milliseconds())) + "-" + strconv.Itoa(i)
		if err := s.build(ctx, byKamald, next); err != nil {
			return timing{}, version, err
		}
		found, err := s.planAndRelease(ctx, version, next, delay)
		if err != nil {
			return timing{}, version, err
		}
		version = next
		firsts, releases, warms = append(firsts, found[0]), append(releases, found[1]), append(warms, found[2:]...)
	}
	return timing{median(firsts), median(warms), median(releases)}, version, nil
}

// planAndRelease plans the current version once cold and a few times warm, and releases the next, through delaying proxies of
// its own. It gives the time of the first plan, of the release, and of each warm plan.
func (s *site) planAndRelease(ctx context.Context, version, next string, delay time.Duration) ([]time.Duration, error) {
	c, desired, err := s.controller(version, next+".db")
	if err != nil {
		return nil, err
	}
	defer c.end()
	for i := range desired.Hosts {
		host := &desired.Hosts[i]
		proxy, err := newDelayed(host.Address+":22", delay)
		if err != nil {
			return nil, err
		}
		defer proxy.close()
		host.Address, host.SSH.Port, host.SSH.PortDefault = "127.0.0.1", proxy.port(), false
		// The key is the host's own, under the proxy's address: the first connection writes it down.
		host.SSH.KnownHosts, host.SSH.AcceptNew = []string{filepath.Join(s.dir, next+"-"+host.Name)}, true
	}
	found := make([]time.Duration, 2, 5)
	for i := range 4 {
		began := time.Now()
		planned, err := c.Plan(ctx, desired, reconcile.Options{})
		took := time.Since(began)
		if err != nil {
			return nil, err
		}
		if !planned.Plan.Empty() || len(planned.Plan.Unreachable) > 0 {
			return nil, fmt.Errorf("the plan of %s is not empty:\n%v", version, planned.Plan)
		}
		if i == 0 {
			found[0] = took
		} else {
			found = append(found, took)
		}
	}
	desired.Version = next
	began := time.Now()
	_, err = c.Apply(ctx, desired, reconcile.Options{})
	found[1] = time.Since(began)
	return found, err
}

// countCalls prints how many remote calls the three kinds of work make.
func (s *site) countCalls(ctx context.Context, version string) error {
	if err := s.build(ctx, byKamald, "counted"); err != nil {
		return err
	}
	calls := &tally{}
	c, desired, err := s.controller(version, "calls.db", calls.intercept)
	if err != nil {
		return err
	}
	defer c.end()
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "\nREMOTE CALLS\tBY HOST\tTHAT WRITE")
	if _, err := c.Plan(ctx, desired, reconcile.Options{}); err != nil {
		return err
	}
	_, _ = fmt.Fprintln(w, "the first plan\t"+calls.take())
	if _, err := c.Plan(ctx, desired, reconcile.Options{}); err != nil {
		return err
	}
	_, _ = fmt.Fprintln(w, "a warm plan\t"+calls.take())
	report, err := c.Apply(ctx, desired, reconcile.Options{})
	if err != nil {
		return err
	}
	if report.Kind != plan.KindNone || calls.writes > 0 {
		return fmt.Errorf("an apply with nothing to do was a %s and made %d calls that write", report.Kind, calls.writes)
	}
	_, _ = fmt.Fprintln(w, "an apply with nothing to do\t"+calls.take())
	desired.Version = "counted"
	if _, err := c.Apply(ctx, desired, reconcile.Options{}); err != nil {
		return err
	}
	_, _ = fmt.Fprintln(w, "a release\t"+calls.take())
	return w.Flush()
}
