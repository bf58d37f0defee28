package reconcile

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// undoOrder is the order of compensation: the old is back before the new goes.
var undoOrder = [][]plan.StepKind{
	{plan.StepPlace},
	{plan.StepStop},
	{plan.StepSwitch, plan.StepUnroute},
	{plan.StepCanary},
	{plan.StepUpdate},
	{plan.StepStart, plan.StepCreate},
	{plan.StepRename},
}

// undo takes back what a failed release has begun, in reverse: restart and prove the old, switch back, stop and remove the new,
// rename back. It goes on past its own failures, and gives what is left for a person.
func (r *run) undo(ctx context.Context, outcomes map[string]outcome) []string {
	u := &undoing{run: r, outcomes: outcomes, stuck: map[string]bool{}}
	if err := u.intend(); err != nil { // what has begun is taken back all the same: the steps' own notes cover it
		u.left = append(u.left, fmt.Sprintf("the store has no note of what was undone: %v", err))
	}
	boots := []plan.StepKind{plan.StepStart, plan.StepCreate}
	u.stage(ctx, boots, r.singleton) // never two at once: the new goes before the old comes back
	for _, kinds := range undoOrder {
		u.stage(ctx, kinds, func(s plan.Step) bool { return !slices.Contains(boots, s.Kind) || !r.singleton(s) })
	}
	return u.left
}

// intend notes what is about to be taken back.
func (u *undoing) intend() error {
	var deeds []deed
	for _, kinds := range undoOrder {
		for _, s := range u.plan.Steps {
			if u.undoes(kinds, s) {
				deeds = append(deeds, undoDeed(s))
			}
		}
	}
	if len(deeds) == 0 {
		return nil
	}
	return u.notes.intend(deeds...)
}

func undoDeed(s plan.Step) deed {
	return deed{kind: "undo", host: s.Host, role: s.Role, step: "undo/" + s.ID, message: "undo: " + describe(s)}
}

// undoes tells whether a step of some kinds is to be taken back.
func (u *undoing) undoes(kinds []plan.StepKind, s plan.Step) bool {
	return slices.Contains(kinds, s.Kind) && u.outcomes[s.ID].begun() && !u.healed(s)
}

// stage undoes the steps of some kinds that were begun, all at once.
func (u *undoing) stage(ctx context.Context, kinds []plan.StepKind, which func(plan.Step) bool) {
	var all branches
	for _, s := range u.plan.Steps {
		if u.undoes(kinds, s) && which(s) {
			all.Go(func() { u.step(ctx, s, u.outcomes[s.ID]) })
		}
	}
	all.Wait()
}

// singleton tells whether a step's role must never run twice.
func (r *run) singleton(s plan.Step) bool {
	if _, is := state.AccessoryOf(s.Role); is {
		return true
	}
	role, ok := r.desired.Role(s.Role)
	return ok && role.Singleton
}

// healed tells whether a step belongs to a slot that healing has put right: what is healthy there is not taken away again
// because something else could not be healed.
func (u *undoing) healed(s plan.Step) bool {
	if u.plan.Kind != plan.KindHeal || s.Role == "" {
		return false
	}
	if s.Kind == plan.StepUpdate {
		return true
	}
	if u.restarts { // each host is for itself: one that has been through it runs what it is to run
		return !slices.ContainsFunc(u.plan.Steps, func(other plan.Step) bool {
			return other.Host == s.Host && other.Role == s.Role && other.Phase < plan.PhaseFinish && u.outcomes[other.ID].err != nil
		})
	}
	proof, proven := u.outcomes["prove/"+s.Host+"/"+s.Role]
	return proven && proof.err == nil && !slices.ContainsFunc(u.plan.Steps, func(other plan.Step) bool {
		return other.Kind == plan.StepStop && other.Host == s.Host && other.Role == s.Role
	})
}

type undoing struct {
	*run
	outcomes map[string]outcome

	mu    sync.Mutex
	left  []string
	stuck map[string]bool // host/role whose route could not be put back: its new container stays, for it may serve
}

func (u *undoing) step(ctx context.Context, s plan.Step, o outcome) {
	what := "undo: " + describe(s)
	err := Guard(func() (err error) {
		what, err = u.act(ctx, s, o)
		return err
	})
	u.c.tellDefect(err)
	if what == "" {
		what = "nothing to undo: " + describe(s)
		if err == nil {
			u.notes.end(undoDeed(s), errSkipped)
			return
		}
	}
	u.notes.end(undoDeed(s), err)
	u.audit.undone(s, what, err)
	if err != nil {
		u.mu.Lock()
		u.left = append(u.left, fmt.Sprintf("%s: %s: %v", s.Host, what, err))
		u.stuck[s.Host+"/"+s.Role] = true
		u.mu.Unlock()
		u.c.report(Progress{Kind: "warn", Host: s.Host, Role: s.Role, Step: s.ID, Message: fmt.Sprintf("could not %s: %v", what, err), Err: fmt.Errorf("could not %s: %w", what, err)})
		return
	}
	u.c.report(Progress{Kind: "undone", Host: s.Host, Role: s.Role, Step: s.ID, Message: what})
}

// act undoes one step; "" when there is nothing to undo.
func (u *undoing) act(ctx context.Context, s plan.Step, o outcome) (string, error) {
	if err := u.locks.lostOn(s.Host); err != nil {
		return "undo: " + describe(s), err // another may hold the lock there
	}
	if _, untouched := errors.AsType[*MovedError](o.err); untouched {
		return "", nil
	}
	conn, err := u.connection(ctx, s.Host)
	if err != nil {
		return "undo: " + describe(s), err
	}
	switch s.Kind {
	case plan.StepPlace:
		return u.putBack(ctx, conn, s)
	case plan.StepStop:
		if err := u.stays(s); err != nil {
			return "start " + s.Name + " again", err
		}
		return "start " + s.Name + " again", u.restart(ctx, conn, s)
	case plan.StepSwitch:
		return u.switchBack(ctx, conn, s)
	case plan.StepCanary:
		return u.endCanary(ctx, conn, s)
	case plan.StepUnroute:
		return "route " + s.Name + " again", u.reroute(ctx, conn, s)
	case plan.StepUpdate:
		return "set the limits of " + s.Name + " back", conn.Engine.Update(ctx, u.id(s), s.Previous)
	case plan.StepStart:
		return u.stopAdopted(ctx, conn, s)
	case plan.StepCreate:
		return u.removeMade(ctx, conn, s)
	case plan.StepRename:
		if o.err != nil && !errors.Is(o.err, state.ErrUnreachable) {
			return "", nil
		}
		return "rename " + s.NewName + " back", conn.Engine.Rename(ctx, s.Container, s.Name)
	}
	return "", nil
}

// restart starts an old container again and waits until it is healthy, before anything is switched back to it.
func (u *undoing) restart(ctx context.Context, conn *Connection, s plan.Step) error {
	if err := conn.Engine.Start(ctx, s.Container); err != nil {
		return err
	}
	own := u.madeBy(s.Host, s.Container)
	role, ok := own.Role(s.Role)
	if !ok {
		own = u.desired
		role, ok = own.Role(s.Role)
	}
	if !ok {
		return nil // an orphan: it runs again, and nobody knows how to ask it
	}
	proof := u.proof(s, role, s.Container)
	proof.desired = own
	if name, beside := state.AccessoryOf(s.Role); beside {
		if a, ok := own.Accessory(name); ok {
			proofOf(proof, a)
		}
	}
	return proof.prove(ctx)
}

// madeBy is the release that an old container is of, as far as a record says so: it knows how the container is asked, and the new
// one may ask elsewhere. Without a record of its own it is what is held, and without any the new one.
func (u *undoing) madeBy(on, container string) release.Release {
	record := newestRecord(u.seen)
	host, _ := u.seen.Host(on)
	records, _ := u.c.Store.Releases(u.desired.App()) // what is held is good enough where they cannot be read
	for _, c := range host.Containers {
		i := slices.IndexFunc(records, func(r state.Record) bool { return c.ID == container && r.Number == c.Release })
		if i >= 0 {
			record = &records[i]
		}
	}
	if record == nil {
		return u.desired
	}
	own, err := unpackRelease(record.Release)
	if err != nil {
		return u.desired
	}
	return own
}

// switchBack puts the route as it was, with all its options. What was not routed before is taken away.
func (u *undoing) switchBack(ctx context.Context, conn *Connection, s plan.Step) (string, error) {
	if o := u.outcomes[s.ID]; o.err != nil {
		// Whatever the error was, what the proxy keeps is what happened.
		routes, err := conn.Proxy.Routes(ctx, u.proxyName())
		if kept, ok := (state.Proxy{Routes: routes}).Route(s.Name); err == nil && (!ok || kept.TargetID() != state.ShortID(u.id(s))) {
			return "", nil // the old route stands
		}
	}
	if s.OldRoute == nil {
		return "take route " + s.Name + " away", u.unroute(ctx, conn, s.Host, s.Name)
	}
	return "switch traffic of " + s.Name + " back", u.deploy(ctx, conn, s.Host, *s.OldRoute)
}

// reroute brings a route back that was taken away, stopped or paused as it was: the proxy keeps that of routes that it knows only.
func (u *undoing) reroute(ctx context.Context, conn *Connection, s plan.Step) error {
	old := *s.OldRoute
	err := u.deploy(ctx, conn, s.Host, old)
	switch {
	case err != nil:
	case old.Stopped:
		err = conn.Proxy.Stop(ctx, u.proxyName(), old.Name, old.StopMessage, 0)
	case old.Paused:
		err = conn.Proxy.Pause(ctx, u.proxyName(), old.Name, 0, cmp.Or(old.MaxPause, 30*time.Second))
	}
	return err
}

// stopAdopted stops a container that was there before and was started by this run; one that the run made is removed with its
// creation.
func (u *undoing) stopAdopted(ctx context.Context, conn *Connection, s plan.Step) (string, error) {
	if _, made := u.outcomes["create/"+s.Host+"/"+s.Role]; made || u.isStuck(s) {
		return "", nil
	}
	role, _ := u.desired.Role(s.Role)
	return "stop " + s.Name, stop(ctx, conn, s.Container, role.Stop.Grace)
}

// removeMade stops and removes what this run made; by its name where the reply was lost, and only when the fence on it is ours.
func (u *undoing) removeMade(ctx context.Context, conn *Connection, s plan.Step) (string, error) {
	if u.isStuck(s) {
		return "remove " + s.Name, errors.New("its route could not be put back, so it stays: it may be serving")
	}
	c, err := conn.Engine.Inspect(ctx, u.id(s), state.View{})
	if errors.Is(err, state.ErrNotFound) {
		return "", nil
	}
	what := "remove " + s.Name
	if err != nil {
		return what, err
	}
	if c.Fence != u.record.Fence {
		return "", nil // another's, or an older run's: not ours to remove
	}
	role, _ := u.desired.Role(s.Role)
	if err := stop(ctx, conn, c.ID, role.Stop.Grace); err != nil {
		return what, err
	}
	return what, unless(conn.Engine.Remove(ctx, c.ID), state.ErrNotFound)
}

// stays says why a singleton's old container must not come back: the new one may still run.
func (u *undoing) stays(s plan.Step) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, at := range sortedKeys(u.stuck) {
		if _, beside := state.AccessoryOf(s.Role); beside && at != s.Host+"/"+s.Role {
			continue // each of its hosts has one of its own
		}
		if u.singleton(s) && strings.HasSuffix(at, "/"+s.Role) {
			return fmt.Errorf("the role is a singleton, and the new container on %s could not be ended", strings.TrimSuffix(at, "/"+s.Role))
		}
	}
	return nil
}

func (u *undoing) isStuck(s plan.Step) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.stuck[s.Host+"/"+s.Role]
}
