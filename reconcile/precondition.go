package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/state"
)

// MovedError: just before a step acted, something was otherwise than the plan needs it. The step did nothing.
type MovedError struct {
	What  string
	cause error // the engine's own word, where its refusal was the check
}

// Unwrap gives the engine's own word.
func (e *MovedError) Unwrap() error { return e.cause }

func (e *MovedError) Error() string {
	return "stale: " + e.What + "; the step was not begun, so that nobody's work is undone: see `kamald plan`"
}

// precondition asks for what must be true just before a step, where the step's own call does not see to it.
func (r *run) precondition(ctx context.Context, conn *Connection, s plan.Step) error {
	if s.Precondition.Guard != plan.GuardCheck {
		return nil
	}
	switch s.Precondition.Must {
	case plan.MustRouteTo, plan.MustNotRouteTo:
		return r.routeStands(ctx, conn, s)
	case plan.MustBeAt:
		return r.tagStands(ctx, conn, s)
	case plan.MustNotRun:
		c, err := conn.Engine.Inspect(ctx, s.Container, state.View{})
		if err == nil && (c.Running() || c.Status == state.StatusRestarting) {
			return &MovedError{What: fmt.Sprintf("container %s (%s) runs since the plan was made, and is not removed", c.Name, c.ShortID())}
		}
		return unless(err, state.ErrNotFound)
	case plan.MustBeUnused:
		return r.imageUnused(ctx, conn, s)
	}
	return nil
}

// routeStands: traffic is switched only away from where the plan saw it go, and not from a container that somebody else has put
// there meanwhile.
func (r *run) routeStands(ctx context.Context, conn *Connection, s plan.Step) error {
	name := s.Name // of what is about a route
	if must := s.Precondition.Must; must == plan.MustNotRouteTo {
		name = r.desired.RouteName(s.Role)
	}
	routes, err := conn.Proxy.Routes(ctx, r.proxyName())
	if err != nil {
		return err
	}
	kept, there := state.Proxy{Routes: routes}.Route(name)
	target, must := kept.TargetID(), s.Precondition
	switch {
	case must.Must == plan.MustNotRouteTo && target == state.ShortID(must.Value):
		return &MovedError{What: fmt.Sprintf("route %s goes to %s since the plan was made, and it is not stopped", name, s.Name)}
	case must.Must == plan.MustNotRouteTo:
		return nil
	case s.Kind == plan.StepUnroute && !there, s.Kind == plan.StepSwitch && target != "" && target == state.ShortID(r.id(s)):
		return nil // it is so already
	case target != must.Value:
		return &MovedError{What: fmt.Sprintf("route %s goes to %s since the plan was made, where the plan saw %s", name, r.whose(ctx, conn, target), r.whose(ctx, conn, must.Value))}
	case s.OldRoute != nil && s.Kind == plan.StepSwitch && (kept.Stopped != s.OldRoute.Stopped || kept.Paused != s.OldRoute.Paused):
		return &MovedError{What: fmt.Sprintf("route %s was stopped, paused or resumed on purpose since the plan was made", name)}
	}
	return nil
}

// whose names a container and who made it, for a person.
func (r *run) whose(ctx context.Context, conn *Connection, id string) string {
	if id == "" {
		return "nothing"
	}
	c, err := conn.Engine.Inspect(ctx, id, state.View{})
	switch {
	case err != nil:
		return "a container that is not there (" + id + ")"
	case c.Release > 0:
		return fmt.Sprintf("%s (%s, of release %d)", c.Name, id, c.Release)
	}
	return fmt.Sprintf("%s (%s, which kamald did not make)", c.Name, id)
}

// tagStands: latest moves only from where the plan saw it, or it would hide another's release.
func (r *run) tagStands(ctx context.Context, conn *Connection, s plan.Step) error {
	image, err := conn.Engine.Image(ctx, s.Name)
	if unless(err, state.ErrNotFound) != nil {
		return err
	}
	if image.ID == s.Precondition.Value || slices.Contains(image.Tags, r.desired.Image()) {
		return nil
	}
	return &MovedError{What: fmt.Sprintf("tag %s is at %s since the plan was made, where the plan saw %s: another has released", s.Name, imageName(image), orNothing(s.Precondition.Value))}
}

// imageName names an image by all its tags.
func imageName(image state.Image) string {
	if image.ID == "" {
		return "nothing"
	}
	return fmt.Sprintf("%s %v", image.ID, image.Tags)
}

func orNothing(id string) string {
	if id == "" {
		return "nothing"
	}
	return id
}

// moved says of an engine's refusal what it means for the plan: the call was the check.
func moved(s plan.Step, err error) error {
	must := s.Precondition
	switch {
	case err == nil || must.Guard != plan.GuardEngine:
		return err
	case must.Must == plan.MustBeThere && errors.Is(err, state.ErrNotFound):
		return &MovedError{What: fmt.Sprintf("container %s (%s) was removed since the plan was made", s.Name, state.ShortID(must.Value)), cause: err}
	case must.Must == plan.MustBeFree && s.Kind == plan.StepCreate && errors.Is(err, state.ErrConflict):
		return &MovedError{What: fmt.Sprintf("the name %s was taken since the plan was made", s.Name), cause: err}
	}
	return err
}

// secretsStand: a container gets the secrets that it was planned with.
func secretsStand(role string, planned, now map[string]string) error {
	for _, name := range sortedKeys(planned) {
		if !state.SameSecret(planned[name], now[name]) {
			return &MovedError{What: fmt.Sprintf("secret %s of %s was changed on the host since the plan was made", name, role)}
		}
	}
	return nil
}
