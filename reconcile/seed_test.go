package reconcile_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// story is one random run: a fleet, operations on it with faults among them, and the end of faults.
type story struct {
	*history
	d       draw
	base    release.Release
	wanted  release.Release // what the last operation that asked for a good version asked for
	configs map[string]release.Release
	version int
	backed  bool             // a rollback may hold
	calm    bool             // nothing disturbs the operation
	settled bool             // what is wanted is known to run, and nothing else was tried since
	hands   bool             // a person may hold the lock
	aside   []string         // hosts that may be cordoned
	whole   *release.Release // the file before a host left it; nil when none has
	beside  *release.Release // what another destination on the same hosts wants; nil without one
	ctx     context.Context
	lines   []string // what happened, for whoever reads a failure
}

// play tells the story of one seed. It gives what the checker found and what happened.
func play(t *testing.T, seed uint64) (found, lines []string) {
	d := drawing(seed)
	h := observed(newWorld(t, seed))
	s := &story{history: h, d: d, configs: map[string]release.Release{}, ctx: t.Context()}
	s.base = drawnFleet(d, h)
	s.tell("%d hosts, roles %s, %+v, retain %d", len(h.Hosts()), rolesOf(s.base), s.base.Rollout, s.base.RetainContainers)
	h.beside("h1", "by-hand", nil)
	h.beside("h1", "shop-web-beta-v1", map[string]string{"service": "shop", "role": "web", "destination": "beta"})
	s.wanted = s.next()
	h.must(s.wanted)
	s.configs[s.wanted.Version], s.settled = s.wanted, true
	for range 2 + d.IntN(4) {
		s.operate()
	}
	s.converge()
	s.tell("%d calls until %s", h.Calls(), time.Now().Format(time.RFC3339Nano))
	return h.violations(), s.lines
}

func rolesOf(desired release.Release) string {
	var list []string
	for _, role := range desired.Roles {
		list = append(list, role.Name+"@"+strings.Join(role.Hosts, ","))
	}
	return strings.Join(list, " ")
}

func (s *story) tell(format string, args ...any) {
	s.lines = append(s.lines, fmt.Sprintf(format, args...))
}

// next is the next version, a good one.
func (s *story) next() release.Release {
	s.version++
	version := fmt.Sprintf("v%d", 100+s.version)
	goodVersion(s.d, s.history, version)
	return s.at(version)
}

func (s *story) at(version string) release.Release {
	desired := s.base
	desired.Version = version
	return desired
}

// operate does one thing, disturbed or not.
func (s *story) operate() {
	s.resume()
	s.recovered()
	var what []string
	ctx, interrupt := context.WithCancel(s.t.Context())
	defer interrupt()
	s.ctx, s.calm = ctx, true
	if s.d.chance(60) {
		what = disturbance(s.d, s.history, interrupt)
		s.calm = false
	}
	kinds := []func() *command{s.release, s.release, s.release, s.breakIt, s.breakIt, s.configure, s.goBack, s.drift, s.pushEnv, s.twice, s.again, s.prune,
		s.partial, s.cordon, s.leave, s.saved, s.locked, s.change, s.rethink, s.neighbour, s.neighbour, s.lose}
	c := pick(s.d, kinds...)()
	if c != nil {
		s.tell("  = %s %v killed=%t left=%v", c.report.Outcome, c.err, c.killed, c.report.Left)
	}
	s.afterwards(c)
	s.ctx = s.t.Context()
	if len(what) > 0 {
		s.tell("  disturbed: %s", strings.Join(what, "; "))
		s.endOfTroubles()
		s.calm = true
		s.unlock()
	}
}

func (s *story) apply(desired release.Release, options reconcile.Options) *command {
	c := s.applying(s.ctx, "laptop", desired, options)
	if c.err == nil && !c.killed {
		s.configs[desired.Version] = desired
	}
	return c
}

func (s *story) release() *command {
	s.wanted = s.next()
	s.tell("apply %s", s.wanted.Version)
	return s.apply(s.wanted, reconcile.Options{})
}

func (s *story) again() *command {
	s.tell("apply %s again", s.wanted.Version)
	return s.apply(s.wanted, reconcile.Options{})
}

func (s *story) prune() *command {
	s.tell("apply %s with retain 1", s.wanted.Version)
	s.wanted.RetainContainers = 1
	s.base.RetainContainers = 1
	return s.apply(s.wanted, reconcile.Options{Retain: 1})
}

func (s *story) breakIt() *command {
	s.version++
	desired := s.at(fmt.Sprintf("v%d", 100+s.version))
	brokenVersion(s.d, s.history, desired.Version)
	s.tell("apply %s, which is broken", desired.Version)
	if desired.Rollout.Halt { // what is left half-way may be broken, and its requests are nobody's fault
		for _, host := range s.Hosts() {
			s.fell(host)
		}
	}
	return s.apply(desired, reconcile.Options{})
}

func (s *story) configure() *command {
	level := fmt.Sprint("level-", s.d.IntN(1000))
	s.base.Roles = slices.Clone(s.base.Roles)
	for i := range s.base.Roles {
		s.base.Roles[i].Env.Clear = map[string]string{"LOG_LEVEL": level}
	}
	s.wanted = s.at(s.wanted.Version)
	s.tell("apply %s with %s", s.wanted.Version, level)
	return s.apply(s.wanted, reconcile.Options{})
}

// resume lifts the hold that a rollback has set.
func (s *story) resume() {
	if !s.backed {
		return
	}
	s.backed = false
	s.run("laptop", s.wanted, func(c *reconcile.Controller) (reconcile.Report, error) {
		_, err := c.Resume(s.t.Context(), s.wanted)
		return reconcile.Report{Kind: plan.KindNone}, err
	})
}

// recovered: what somebody has ended before is no excuse for what fails from now on, where it serves again; after a broken
// version that was not taken back it may.
func (s *story) recovered() {
	if s.base.Rollout.Halt {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.down)
}

// goBack rolls back to a version that was released before.
func (s *story) goBack() *command {
	s.mu.Lock()
	released := slices.Clone(s.released[s.base.App()])
	s.mu.Unlock()
	released = slices.DeleteFunc(released, func(v string) bool { return v == s.wanted.Version || strings.HasPrefix(v, perhaps) })
	if len(released) == 0 {
		return nil
	}
	desired, ok := s.configs[released[len(released)-1]]
	if !ok || !s.drop(&desired) {
		return nil
	}
	desired.RetainContainers = s.base.RetainContainers // as the file says today
	s.tell("roll back to %s", desired.Version)
	current := s.wanted
	s.wanted, s.backed = desired, true
	return s.run("laptop", desired, func(c *reconcile.Controller) (reconcile.Report, error) {
		return c.Rollback(s.ctx, current, reconcile.Back{Version: desired.Version}, reconcile.Options{})
	})
}

// drift is a hand on a server.
func (s *story) drift() *command {
	s.settled = false
	host := pick(s.d, s.Hosts()...)
	s.fell(host)
	for _, c := range s.Glance(host) {
		if c.Service != "shop" || c.Destination != s.base.Destination || c.Role == "" || s.d.chance(40) {
			continue
		}
		switch s.d.IntN(5) {
		case 0:
			s.tell("by hand: stop %s on %s", c.Name, host)
			s.StopContainer(host, c.ID)
		case 1:
			s.tell("by hand: remove %s on %s", c.Name, host)
			s.RemoveContainer(host, c.ID)
		case 2:
			s.tell("by hand: limit %s on %s", c.Name, host)
			s.UpdateContainer(host, c.ID, map[string][]string{"cpus": {"500000000"}})
		case 3:
			s.tell("by hand: detach %s on %s", c.Name, host)
			s.DetachNetwork(host, c.ID, "kamal")
		case 4:
			s.tell("by hand: take the route of %s away on %s", c.Role, host)
			s.RemoveRoute(host, s.base.App().RouteName(c.Role))
		}
	}
	return s.again()
}

func (s *story) pushEnv() *command {
	s.tell("env push")
	return s.run("laptop", s.wanted, func(c *reconcile.Controller) (reconcile.Report, error) {
		_, err := c.PushEnv(s.ctx, s.wanted, plan.Filter{})
		return reconcile.Report{Outcome: state.OutcomeSucceeded, Kind: "none"}, err
	})
}

// twice has two people release at once.
func (s *story) twice() *command {
	one, other := s.next(), s.next()
	s.wanted = other
	s.tell("apply %s and %s at once", one.Version, other.Version)
	done := make(chan *command)
	go func() { done <- s.applying(s.ctx, "another", one, reconcile.Options{}) }()
	time.Sleep(s.d.upTo(5 * time.Second))
	c := s.applying(s.ctx, "laptop", other, reconcile.Options{})
	<-done
	return c
}

// converge wants two rounds to be enough when the faults have ended.
func (s *story) converge() {
	s.endOfTroubles()
	s.tell("faults have ended")
	s.resume()
	s.uncordon()
	var c *command
	for range 2 {
		c = s.apply(s.wanted, reconcile.Options{})
		s.tell("  = %s %v", c.report.Outcome, c.err)
		if c.err == nil {
			break
		}
	}
	if c.err != nil {
		s.find(violation{"convergence", "", fmt.Sprintf("two rounds are not enough: %v", c.err)})
		return
	}
	if got, want := s.ours(s.wanted.App()), runs(s.wanted); got != want {
		s.find(violation{"convergence", "", fmt.Sprintf("%s runs and not %s", got, want)})
	}
	s.neighbourConverges()
	s.find(s.planIsEmpty(s.wanted, "after an apply")...)
	s.find(s.wrapUp()...)
}

// replayed runs one seed and reports what was found with the line that replays it.
func replayed(t *testing.T, seed uint64) (violations int) {
	var found, lines []string
	synctest.Test(t, func(t *testing.T) { found, lines = play(t, seed) })
	if len(found) > 0 {
		t.Errorf("%s\n  replay: KAMALD_SEED=%d go test ./reconcile -run TestRandom -v\n  %s", strings.Join(found, "\n"), seed, strings.Join(lines, "\n  "))
	}
	return len(found)
}
