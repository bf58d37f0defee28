package reconcile_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// What people do beside releases, in a random story.

// partial releases to some hosts, or some roles, only.
func (s *story) partial() *command {
	s.wanted = s.next()
	var options reconcile.Options
	if s.d.chance(60) {
		options.Hosts = []string{pick(s.d, s.wanted.Hosts...).Name}
	} else {
		options.Roles = []string{pick(s.d, s.wanted.Roles...).Name}
	}
	s.tell("apply %s to %v %v", s.wanted.Version, options.Hosts, options.Roles)
	if whole(s.wanted, options) {
		options = reconcile.Options{}
	}
	return s.applying(s.ctx, "laptop", s.wanted, options)
}

// whole tells whether a filter leaves nothing out.
func whole(desired release.Release, options reconcile.Options) bool {
	return len(options.Hosts) > 0 && len(desired.Hosts) == 1 || len(options.Roles) > 0 && len(desired.Roles) == 1
}

// cordon leaves a host out for a while, or takes one back.
func (s *story) cordon() *command {
	if len(s.aside) > 0 {
		s.uncordon()
		return nil
	}
	host := pick(s.d, s.wanted.Hosts...).Name
	s.tell("cordon %s", host)
	s.aside = append(s.aside, host)
	return s.run("laptop", s.wanted, func(c *reconcile.Controller) (reconcile.Report, error) {
		_, err := c.Cordon(s.ctx, s.wanted, host, "work on it", time.Time{})
		return reconcile.Report{Kind: plan.KindNone}, err
	})
}

func (s *story) uncordon() {
	for _, host := range s.aside {
		s.tell("uncordon %s", host)
		s.run("laptop", s.wanted, func(c *reconcile.Controller) (reconcile.Report, error) {
			_, err := c.Uncordon(s.ctx, s.wanted, host)
			return reconcile.Report{Kind: plan.KindNone}, err
		})
	}
	if s.ctx.Err() == nil && s.calm {
		s.aside = nil
	}
}

// leave takes a host out of the file, or puts all back that were there.
func (s *story) leave() *command {
	if s.whole != nil {
		s.tell("all hosts are back in the file")
		s.base, s.whole = *s.whole, nil
		return s.release()
	}
	host := pick(s.d, s.base.Hosts...).Name
	left := without(s.base, host)
	if slices.ContainsFunc(left.Roles, func(role release.Role) bool { return len(role.Hosts) == 0 }) {
		return nil
	}
	s.tell("%s leaves the file", host)
	all := s.base
	s.base, s.whole = left, &all
	return s.release()
}

// drop takes out of a release what is not in the file any more. It is false when a role is left with nothing.
func (s *story) drop(desired *release.Release) bool {
	for _, on := range desired.Hosts {
		if _, there := s.base.Host(on.Name); !there {
			*desired = without(*desired, on.Name)
		}
	}
	return !slices.ContainsFunc(desired.Roles, func(role release.Role) bool { return len(role.Hosts) == 0 })
}

// saved plans, lets somebody move the world or not, and applies what was planned then.
func (s *story) saved() *command {
	desired := s.next()
	file, err := s.saves(desired)
	s.tell("save the plan of %s: %v", desired.Version, err)
	if err != nil {
		return nil
	}
	moved := s.d.chance(40)
	if moved {
		c := s.release()
		if c.err != nil || c.killed {
			return c
		}
		moved = slices.ContainsFunc(s.Hosts(), func(host string) bool { return len(c.engineCalls(host)) > 0 })
	}
	before := s.wanted
	s.wanted = desired
	c := s.run("laptop", desired, func(c *reconcile.Controller) (reconcile.Report, error) {
		return c.ApplySaved(s.ctx, file, desired)
	})
	s.tell("apply the saved plan of %s, moved %t", desired.Version, moved)
	var stale *reconcile.StaleError
	switch {
	case moved && c.err == nil && !c.killed:
		s.find(violation{"saved", "", "a stale plan was applied"})
	case errors.As(c.err, &stale):
		s.wanted = before
		if slices.ContainsFunc(s.Hosts(), func(host string) bool { return len(c.engineCalls(host)) > 0 }) {
			s.find(violation{"saved", "", "a stale plan changed something"})
		}
		if s.calm && !moved && !strings.Contains(c.err.Error(), "deploy lock") {
			s.find(violation{"saved", "", fmt.Sprintf("nothing moved: %v", c.err)})
		}
	case c.err == nil && !c.killed:
		s.configs[desired.Version] = desired
	}
	return c
}

func (s *story) saves(desired release.Release) (plan.Saved, error) {
	c := s.controllerOf(&command{by: "reader", app: desired.App()})
	defer func() { _ = c.Close() }()
	planned, err := c.Plan(s.ctx, desired, reconcile.Options{})
	if err != nil {
		return plan.Saved{}, err
	}
	return c.SavePlan(planned, "test"), nil
}

// locked takes the lock by hand: nobody else changes anything until it is given back.
func (s *story) locked() *command {
	s.tell("take the lock by hand")
	s.hands = true
	held := s.run("a person", s.wanted, func(c *reconcile.Controller) (reconcile.Report, error) {
		return reconcile.Report{Kind: plan.KindNone}, c.AcquireLock(s.ctx, s.wanted, "hands off")
	})
	if held.err == nil && !held.killed {
		desired := s.next()
		c := s.run("laptop", desired, func(c *reconcile.Controller) (reconcile.Report, error) {
			c.LockWait = false
			return c.Apply(s.ctx, desired, reconcile.Options{SkipUnreachable: true})
		})
		if slices.ContainsFunc(s.Hosts(), func(host string) bool { return len(c.engineCalls(host)) > 0 }) {
			s.find(violation{"I5", "", "something is changed while a person holds the lock"})
		}
	}
	s.unlock()
	return held
}

// unlock gives back what a person holds; one who is cut off or killed does it later.

func (s *story) unlock() {
	if !s.hands {
		return
	}
	s.hands = !s.calm
	s.run("a person", s.wanted, func(c *reconcile.Controller) (reconcile.Report, error) {
		_, err := c.Unlock(s.t.Context(), s.wanted)
		return reconcile.Report{Kind: plan.KindNone}, err
	})
}

// change gives the secret another value, and rolls it out.
func (s *story) change() *command {
	s.turn = fmt.Sprint("-", s.d.IntN(1000))
	s.tell("the secret is another")
	return s.again()
}

// rethink asks for a rollback while a release is under way.
func (s *story) rethink() *command {
	back, ok := s.configs[s.wanted.Version]
	if !ok || !s.settled || !s.drop(&back) {
		return nil
	}
	back.RetainContainers = s.base.RetainContainers // as the file says today
	one := s.next()
	s.tell("apply %s, and roll back to %s meanwhile", one.Version, back.Version)
	done := make(chan *command)
	go func() { done <- s.applying(s.ctx, "another", one, reconcile.Options{}) }()
	time.Sleep(s.d.upTo(20 * time.Second))
	s.wanted, s.backed = back, true
	c := s.run("laptop", back, func(c *reconcile.Controller) (reconcile.Report, error) {
		return c.Rollback(s.ctx, one, reconcile.Back{Version: back.Version}, reconcile.Options{})
	})
	<-done
	return c
}

// lose takes the store away: it is a cache of what the servers know.
func (s *story) lose() *command {
	s.tell("the store is lost")
	s.desk.mu.Lock()
	s.desk.apps = map[state.App]*memory{}
	s.desk.mu.Unlock()
	return s.again()
}

// neighbour releases another destination of the service on the same hosts, alone or while ours is released.
func (s *story) neighbour() *command {
	desired := s.edge(s.next().Version)
	if s.d.chance(30) {
		desired.Version = s.wanted.Version // both keep one image
	}
	s.beside = &desired
	s.tell("apply %s to edge", desired.Version)
	if s.d.chance(50) {
		return s.applying(s.ctx, "another", desired, reconcile.Options{})
	}
	done := make(chan *command)
	go func() { done <- s.applying(s.ctx, "another", desired, reconcile.Options{}) }()
	time.Sleep(time.Millisecond + s.d.upTo(5*time.Second)) // two that begin at one instant have no order
	c := s.release()
	if other := <-done; other.err != nil {
		s.tell("  edge: %v", other.err)
	}
	return c
}

// edge is the release for the destination beside, with routes of its own.
func (s *story) edge(version string) release.Release {
	desired := s.at(version)
	if s.beside != nil {
		desired = *s.beside
		desired.Version = version
		return desired
	}
	desired.Destination, desired.RetainContainers = "edge", 1
	desired.Roles = slices.Clone(desired.Roles)
	for i := range desired.Roles {
		if desired.Roles[i].Proxy != nil {
			own := *desired.Roles[i].Proxy
			own.Options.Hosts = []string{desired.Roles[i].Name + "-edge.example.com"}
			desired.Roles[i].Proxy = &own
		}
	}
	return desired
}

// neighbourConverges wants two rounds to be enough for the destination beside.
func (s *story) neighbourConverges() {
	if s.beside == nil {
		return
	}
	c := s.applying(s.ctx, "laptop", *s.beside, reconcile.Options{})
	if c.err != nil {
		c = s.applying(s.ctx, "laptop", *s.beside, reconcile.Options{})
	}
	if c.err != nil {
		s.find(violation{"convergence", "", fmt.Sprintf("two rounds are not enough for edge: %v", c.err)})
		return
	}
	if got, want := s.ours(s.beside.App()), runs(*s.beside); got != want {
		s.find(violation{"convergence", "", fmt.Sprintf("%s runs at edge and not %s", got, want)})
	}
	s.find(s.planIsEmpty(*s.beside, "after an apply")...)
}

// runs is what ours gives when all of a release runs.
func runs(desired release.Release) string {
	var want []string
	for _, role := range desired.Roles {
		for _, host := range role.Hosts {
			want = append(want, fmt.Sprintf("%s/%s=%s", host, role.Name, desired.Version))
		}
	}
	slices.Sort(want)
	return strings.Join(want, " ")
}

// afterwards is I7 in the middle of a story: after a release that nothing disturbed, what is wanted is all there is; after a
// failed one that was taken back, what was wanted before.
func (s *story) afterwards(c *command) {
	if c != nil && (c.err != nil && !c.report.Undone || c.killed) {
		s.settled = false
	}
	if c != nil && s.crowded(c) { // of two at once either may be the last
		s.settled = false
		return
	}
	if c == nil || c.app != s.wanted.App() || c.report.Kind == plan.KindNone || c.report.Kind == "" {
		return
	}
	failed := c.err != nil && c.report.Undone && len(c.report.Left) == 0 && c.desired.Version != s.wanted.Version
	done := c.err == nil && c.report.Outcome == state.OutcomeSucceeded && c.desired.Version == s.wanted.Version && len(c.report.LeftBehind) == 0
	if s.calm && !c.killed && len(s.aside) == 0 && !s.backed && s.turn == "" && (done || failed && s.settled && len(s.down) == 0) {
		s.find(s.planIsEmpty(s.wanted, "in the middle of the story")...)
	}
	if !failed {
		s.settled = done
	}
}
