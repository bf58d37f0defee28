package reconcile

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/state"
)

// The rule by which a canary is judged, of all hosts of a group together.
const (
	// canaryEvery is how often both sides are looked at.
	canaryEvery = 2 * time.Second
	// canaryEnough is how many answers of the new version say something.
	canaryEnough = 20
	// canaryWorse is how many points of a hundred its share of 5xx may be above the old version's.
	canaryWorse = 5
)

// CanaryError: a version that was healthy did not do as well as the old one on its share of the traffic.
type CanaryError struct {
	Host, Role string // Host "" for all of the group
	Cause      string
}

// Error implements error.
func (e *CanaryError) Error() string {
	if e.Host == "" {
		return "canary of " + e.Role + ": " + e.Cause
	}
	return fmt.Sprintf("canary of %s on %s: %s", e.Role, e.Host, e.Cause)
}

// canary gives the new container its share. Where a reply is lost the release fails, and the compensation reads what the proxy keeps.
func (r *run) canary(ctx context.Context, conn *Connection, s plan.Step) error {
	role, _ := r.desired.Role(s.Role)
	target := fmt.Sprintf("%s:%d", state.ShortID(r.id(s)), role.Proxy.AppPort)
	err := conn.Proxy.RolloutDeploy(ctx, r.proxyName(), s.Name, []string{target}, r.desired.DeployTimeout, r.desired.DrainTimeout)
	if err != nil {
		return err
	}
	return conn.Proxy.RolloutSet(ctx, r.proxyName(), s.Name, s.Percent)
}

// endRollout ends the route's rollout, which the plan has seen to be a canary of this app's, or has made.
func (r *run) endRollout(ctx context.Context, conn *Connection, name string) error {
	return conn.Proxy.RolloutStop(ctx, r.proxyName(), name, r.desired.DrainTimeout)
}

// hold watches the canaries of a group for its time. It fails as soon as one of them does worse than what it is to replace; then all
// of them end at once, whatever becomes of the release.
func (r *run) hold(ctx context.Context, s plan.Step) error {
	w := &canaryWatch{run: r, sums: map[string]*canarySum{}, starts: map[string]int{}, blind: map[string]error{}}
	for _, other := range r.plan.Steps {
		if other.Kind == plan.StepCanary && other.Group == s.Group {
			w.steps = append(w.steps, other)
		}
	}
	err := w.until(ctx, s)
	if err != nil && !errors.Is(err, errAbandoned) {
		w.end(context.WithoutCancel(ctx))
	}
	return err
}

// end takes every canary of the group back, as far as that goes: what cannot be reached is seen to by the compensation.
func (w *canaryWatch) end(ctx context.Context) {
	for _, s := range w.steps {
		if conn, err := w.connection(ctx, s.Host); err == nil {
			_ = w.endRollout(ctx, conn, s.Name)
		}
	}
}

func (w *canaryWatch) until(ctx context.Context, s plan.Step) error {
	for left := s.Wait; left > 0; left -= canaryEvery {
		if err := sleep(ctx, min(left, canaryEvery)); err != nil {
			return fmt.Errorf("%w the canary: %w", errAbandoned, context.Cause(ctx))
		}
		for _, one := range w.steps {
			if err := w.look(ctx, one); err != nil {
				return err
			}
		}
		if err := w.judge(); err != nil {
			return err
		}
	}
	for _, one := range w.steps {
		if err := w.blind[one.ID]; err != nil {
			return fmt.Errorf("the canary of %s on %s could not be judged: %w", one.Role, one.Host, err)
		}
	}
	w.conclude(s)
	return nil
}

// canaryWatch is what was seen of the canaries of a group.
type canaryWatch struct {
	*run
	steps []plan.Step
	sums  map[string]*canarySum // by host/role
	// starts and blind are by step: how often the engine had started its container again, and why its counts were not read.
	starts map[string]int
	blind  map[string]error
}

// canarySum counts on over a proxy whose program begins to count anew.
type canarySum struct{ past, last state.Sides }

func (c *canarySum) add(now state.Sides) {
	if now.Active.Requests < c.last.Active.Requests || now.Rollout.Requests < c.last.Rollout.Requests {
		c.past.Active, c.past.Rollout = c.past.Active.Add(c.last.Active), c.past.Rollout.Add(c.last.Rollout)
	}
	c.last = now
}

// look sees whether a canary's container is well, and reads what both sides have answered. A host that cannot be reached now may be
// at the next look; the switch needs it.
func (w *canaryWatch) look(ctx context.Context, s plan.Step) error {
	conn, err := w.connection(ctx, s.Host)
	if err != nil {
		w.blind[s.ID] = err
		return nil
	}
	c, err := conn.Engine.Inspect(ctx, w.id(s), state.View{})
	switch {
	case errors.Is(err, state.ErrNotFound):
		return &CanaryError{Host: s.Host, Role: s.Role, Cause: "its container was removed"}
	case err == nil && !c.Running():
		return w.unwell(ctx, conn, s, "it ended: "+endOf(c))
	case err == nil && w.restarted(s, c):
		return w.unwell(ctx, conn, s, "it ended and was started again by the engine")
	case err == nil && c.Health == "unhealthy":
		return w.unwell(ctx, conn, s, "Docker's health check says unhealthy")
	}
	sides, err := conn.Proxy.Sides(ctx, w.proxyName(), s.Name)
	if errors.Is(err, state.ErrNotFound) {
		return &CanaryError{Host: s.Host, Role: s.Role, Cause: fmt.Sprintf("somebody has ended the rollout of route %s, or has removed the route", s.Name)}
	}
	w.blind[s.ID] = err
	if err != nil {
		return nil // as above: a call that failed once is made again
	}
	at := s.Host + "/" + s.Role
	if w.sums[at] == nil {
		w.sums[at] = &canarySum{}
	}
	w.sums[at].add(sides)
	for _, target := range sides.Targets {
		if target.Health == "unhealthy" {
			return w.unwell(ctx, conn, s, "the proxy finds it unhealthy: "+cmp.Or(target.Cause, "no cause is known"))
		}
	}
	return nil
}

// restarted tells whether the engine has started the container again since the first look.
func (w *canaryWatch) restarted(s plan.Step, c state.Container) bool {
	before, known := w.starts[s.ID]
	w.starts[s.ID] = c.RestartCount
	return known && c.RestartCount > before
}

// unwell is a failure of one container, with its last log lines as after a failed proof.
func (w *canaryWatch) unwell(ctx context.Context, conn *Connection, s plan.Step, cause string) error {
	failure := &UnhealthyError{Host: s.Host, Role: s.Role, Container: s.Container, Cause: cause}
	if lines, err := conn.Engine.Logs(ctx, w.id(s), logTail, time.Time{}); err == nil {
		failure.Logs = lines
	}
	return fmt.Errorf("canary: %w", failure)
}

// of adds up what both sides of a role have answered on all hosts of the group.
func (w *canaryWatch) of(role string) (active, rollout state.Side) {
	for at, sum := range w.sums {
		if strings.HasSuffix(at, "/"+role) {
			active = active.Add(sum.past.Active).Add(sum.last.Active)
			rollout = rollout.Add(sum.past.Rollout).Add(sum.last.Rollout)
		}
	}
	return active, rollout
}

func (w *canaryWatch) roles() (names []string) {
	for _, s := range w.steps {
		if !slices.Contains(names, s.Role) {
			names = append(names, s.Role)
		}
	}
	return names
}

// judge compares the shares of 5xx.
func (w *canaryWatch) judge() error {
	for _, role := range w.roles() {
		if active, rollout := w.of(role); worse(active, rollout) {
			return &CanaryError{Role: role, Cause: w.said(active, rollout)}
		}
	}
	return nil
}

// worse is the rule: enough answers of the new version, and a share of 5xx that is clearly above the old version's.
func worse(active, rollout state.Side) bool {
	if rollout.Requests < canaryEnough {
		return false
	}
	before := 0.0
	if active.Requests > 0 {
		before = 100 * float64(active.Errors) / float64(active.Requests)
	}
	return 100*float64(rollout.Errors)/float64(rollout.Requests) > before+canaryWorse
}

func (w *canaryWatch) said(active, rollout state.Side) string {
	return fmt.Sprintf("%d of %d answers of %s were 5xx, %d of %d of %s", rollout.Errors, rollout.Requests, w.plan.Version,
		active.Errors, active.Requests, cmp.Or(w.plan.Before, "the old version"))
}

// conclude says what was seen, and where that was too little to say anything.
func (w *canaryWatch) conclude(s plan.Step) {
	for _, role := range w.roles() {
		active, rollout := w.of(role)
		message := fmt.Sprintf("canary of %s: %s", role, w.said(active, rollout))
		if rollout.Requests < canaryEnough {
			message += fmt.Sprintf("; fewer than %d of the new version say nothing, so it was switched without their word", canaryEnough)
			w.mu.Lock()
			w.remarks = append(w.remarks, message)
			w.mu.Unlock()
		}
		w.c.report(Progress{Kind: "news", Role: role, Step: s.ID, Message: message})
	}
}

// endCanary takes a canary back: the route's own targets get all requests again. What the proxy keeps is what happened.
func (u *undoing) endCanary(ctx context.Context, conn *Connection, s plan.Step) (string, error) {
	what := "end the canary of " + s.Name
	routes, err := conn.Proxy.Routes(ctx, u.proxyName())
	if err != nil {
		return what, err
	}
	kept, _ := state.Proxy{Routes: routes}.Route(s.Name)
	if kept.Rollout == nil || !slices.ContainsFunc(kept.Rollout.Targets, func(target string) bool { return strings.HasPrefix(target, state.ShortID(u.id(s))+":") }) {
		return "", nil
	}
	return what, u.endRollout(ctx, conn, s.Name)
}
