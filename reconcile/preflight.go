package reconcile

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// preflight asks, for every host that can be reached and lacks the image, whether it can be got there, by its digest or from this
// machine, and runs there. What cannot is added to the plan's problems, so that all of them are seen at once and nothing is changed.
func (k *credentials) preflight(ctx context.Context, planned *Planned, flight *plan.Preflight) {
	if planned.Plan.Empty() || planned.Plan.Pin.Value() == "" {
		return
	}
	lacking := imageless(*planned)
	var here local
	if planned.Plan.Pin.Digest == "" && len(lacking) > 0 {
		if here = k.c.askHere(ctx, planned.Desired.Image()); here.err != nil {
			planned.Plan.Problems = append(planned.Plan.Problems, notAskedHere(planned.Desired, here.err))
			return
		}
	}
	found := make([][]plan.Problem, len(lacking))
	var asking branches
	for i, on := range lacking {
		asking.Go(func() {
			if planned.Plan.Pin.Digest == "" {
				found[i] = canCarry(*planned, on, here)
			} else {
				found[i] = k.canGet(ctx, *planned, on)
			}
		})
	}
	if tight, is := tightest(*planned, lacking); is && planned.Plan.Pin.Digest != "" {
		asking.Go(func() { flight.Weighs(k.weigh(ctx, *planned, tight)) })
	}
	asking.Wait()
	planned.Plan.Problems = append(planned.Plan.Problems, slices.Concat(found...)...)
	slices.SortStableFunc(planned.Plan.Problems, func(a, b plan.Problem) int { return cmp.Compare(a.Host, b.Host) })
}

// ampleRoom is what a host has free in bytes where nobody asks how large the image is: hardly one is larger.
const ampleRoom = 16 << 30

// tightest is the host with the least room for the image, where one has so little that the image's size is worth a question.
func tightest(planned Planned, lacking []release.Host) (tight release.Host, is bool) {
	least := int64(ampleRoom)
	for _, on := range lacking {
		if seen, _ := planned.Snapshot.Host(on.Name); seen.FreeBytes >= 0 && seen.FreeBytes < least {
			least, tight, is = seen.FreeBytes, on, true
		}
	}
	return tight, is
}

// weigh asks the registry how large the image is; 0 where it does not say, which an engine's own answer explains better.
func (k *credentials) weigh(ctx context.Context, planned Planned, on release.Host) (size int64) {
	conn, err := k.c.fleet.Connection(ctx, on)
	if err != nil || conn.Registry == nil {
		return 0
	}
	seen, _ := planned.Snapshot.Host(on.Name)
	platform := cmp.Or(plan.PullPlatform(planned.Desired, on.Name), "linux/"+seen.Engine.Arch)
	_ = k.show(ctx, slowFault, func(auth release.Auth) (err error) {
		size, err = conn.Registry.Size(ctx, planned.Desired.ImageName()+"@"+planned.Plan.Pin.Digest, platform, auth)
		return err
	})
	return size
}

// imageless are the hosts that the image has to come to.
func imageless(planned Planned) []release.Host {
	var hosts []release.Host
	for _, on := range reachable(planned) {
		seen, _ := planned.Snapshot.Host(on.Name)
		_, there := pinned(seen, planned.Desired, planned.Plan.Pin)
		// A plan with problems may have no steps to go by.
		comes := len(planned.Plan.Problems) > 0 && serves(planned, on.Name) ||
			slices.ContainsFunc(planned.Plan.Steps, func(s plan.Step) bool { return s.Kind == plan.StepImage && s.Host == on.Name })
		if comes && !there {
			hosts = append(hosts, on)
		}
	}
	return hosts
}

// serves tells whether a host has a role in the plan's scope.
func serves(planned Planned, host string) bool {
	return slices.ContainsFunc(planned.Desired.Roles, func(role release.Role) bool {
		return slices.Contains(role.Places(), host) && planned.Plan.Filter.Has(host, role.Name)
	})
}

// canGet tells what is in the way of an image from its registry to a host; none when nothing is.
func (k *credentials) canGet(ctx context.Context, planned Planned, on release.Host) []plan.Problem {
	desired, pin := planned.Desired, planned.Plan.Pin
	what := fmt.Sprintf("the image %s (%s)", desired.Image(), pin.Value())
	manifest, err := k.pinned, error(nil)
	if k.pinnedOn != on.Name {
		manifest, err = k.ask(ctx, on, desired.ImageName()+"@"+pin.Digest)
	}
	switch {
	case err == nil:
		seen, _ := planned.Snapshot.Host(on.Name)
		return plan.WrongPlatform(desired, planned.Plan.Filter, seen, manifest.Platforms)
	case errors.Is(err, state.ErrNotFound):
		return []plan.Problem{{Host: on.Name, Summary: what + " is neither on the host nor at the registry any more", Next: elsewhere(planned)}}
	}
	return []plan.Problem{notGiven(desired, on.Name, what, err)}
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
