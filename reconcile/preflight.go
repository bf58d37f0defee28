package reconcile

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// preflight asks, for every host that can be reached and lacks the image, whether it can be got there by its digest. What
// cannot is added to the plan's problems, so that all of them are seen at once and nothing is changed.
func (c *Controller) preflight(ctx context.Context, planned *Planned) {
	if planned.Plan.Empty() || planned.Plan.Pin.Value() == "" {
		return
	}
	var lacking []release.Host
	for _, on := range reachable(*planned) { // a plan with problems has no steps to go by
		seen, _ := planned.Snapshot.Host(on.Name)
		serves := slices.ContainsFunc(planned.Desired.Roles, func(role release.Role) bool { return slices.Contains(role.Hosts, on.Name) })
		if _, there := pinned(seen, planned.Desired, planned.Plan.Pin); serves && !there {
			lacking = append(lacking, on)
		}
	}
	found := make([]plan.Problem, len(lacking))
	var asking sync.WaitGroup
	for i, on := range lacking {
		asking.Go(func() { found[i] = c.canGet(ctx, *planned, on) })
	}
	asking.Wait()
	for _, problem := range found {
		if problem.Summary != "" {
			planned.Plan.Problems = append(planned.Plan.Problems, problem)
		}
	}
	slices.SortStableFunc(planned.Plan.Problems, func(a, b plan.Problem) int { return cmp.Compare(a.Host, b.Host) })
}

// canGet tells what is in the way of an image to a host; the zero Problem when nothing is.
func (c *Controller) canGet(ctx context.Context, planned Planned, on release.Host) plan.Problem {
	desired, pin := planned.Desired, planned.Plan.Pin
	what := fmt.Sprintf("the image %s (%s)", desired.Image(), pin.Value())
	if pin.Digest == "" {
		here, err := c.pinFromHere(ctx, desired.Image())
		if err == nil && here.ID == pin.ID {
			return plan.Problem{}
		}
		return plan.Problem{Host: on.Name, Summary: what + " is neither on the host nor on this machine", Next: elsewhere(planned)}
	}
	auth, err := c.auth(desired)
	if err != nil {
		return plan.Problem{Host: on.Name, Summary: what + " is not on the host, and the registry cannot be asked for it: " + err.Error(), Next: "mend that, or go back to another release of `kamald history`"}
	}
	conn, err := c.fleet.Connection(ctx, on)
	if err == nil {
		_, err = conn.Engine.ResolveDigest(ctx, desired.ImageName()+"@"+pin.Digest, auth)
	}
	switch {
	case err == nil:
		return plan.Problem{}
	case errors.Is(err, state.ErrNotFound):
		return plan.Problem{Host: on.Name, Summary: what + " is neither on the host nor at the registry any more", Next: elsewhere(planned)}
	}
	return plan.Problem{Host: on.Name, Summary: what + " is not on the host, and the registry cannot give it: " + why(err, on.Name), Next: "mend that, or go back to another release of `kamald history`"}
}

// elsewhere says where an image still is.
func elsewhere(planned Planned) string {
	var have []string
	for _, host := range planned.Snapshot.Hosts {
		if _, there := pinned(host, planned.Desired, planned.Plan.Pin); there {
			have = append(have, host.Name)
		}
	}
	next := "no server that was reached has it either: build and push that version again, or go back to another release of `kamald history`"
	if len(have) > 0 {
		next = fmt.Sprintf("%s still has it: push it from there, or go back to another release of `kamald history`", strings.Join(have, ", "))
	}
	return next
}

// pinned finds the very image on a host, whatever its tags.
func pinned(host state.Host, desired release.Release, pin plan.Pin) (state.Image, bool) {
	if pin.Digest != "" {
		return host.Image(desired.ImageName() + "@" + pin.Digest)
	}
	return host.Image(pin.ID)
}
