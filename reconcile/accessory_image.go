package reconcile

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// canGetBeside tells what is in the way of the images that a plan brings to a host for accessories: their registries are asked, from the
// host, with the credentials of a pull.
func (c *Controller) canGetBeside(ctx context.Context, planned *Planned, on release.Host, seen state.Host) []plan.Problem {
	var steps []plan.Step
	for _, s := range planned.Plan.Steps {
		if s.Kind == plan.StepPull && s.Host == on.Name {
			steps = append(steps, s)
		}
	}
	found := make([][]plan.Problem, len(steps))
	var asking branches
	for i, s := range steps {
		asking.Go(func() {
			if problem := c.canGetAccessory(ctx, planned.Desired, on, seen, s); problem.Summary != "" {
				found[i] = []plan.Problem{problem}
			}
		})
	}
	asking.Wait()
	var problems []plan.Problem
	for _, list := range found {
		problems = append(problems, list...)
	}
	return problems
}

// canGetAccessory is what is in the way of one; the zero Problem when nothing is.
func (c *Controller) canGetAccessory(ctx context.Context, desired release.Release, on release.Host, seen state.Host, s plan.Step) plan.Problem {
	name, _ := state.AccessoryOf(s.Role)
	a, _ := desired.Accessory(name)
	manifest, err := c.accessoryCredentials(desired, a).ask(ctx, on, s.Name)
	if err == nil {
		return plan.WrongAccessoryPlatform(a, seen, manifest.Platforms)
	}
	asked, next := imageBeside(desired, a, s.Name), "see that the host reaches the registry that has it"
	fault, told := errors.AsType[*state.RegistryError](err)
	switch {
	case told:
		next = asked.advice(on.Name, fault)
	case errors.Is(err, state.ErrNotFound):
		next = "push it, or correct " + asked.all
	case errors.Is(err, state.ErrDenied):
		next = asked.deniedAdvice()
	}
	return plan.Problem{Host: on.Name, Role: s.Role, Summary: fmt.Sprintf("its image %s cannot be got there: %s", s.Name, why(err, on.Name)), Next: next}
}

// imageBeside is an accessory's image.
func imageBeside(desired release.Release, a release.Accessory, ref string) wanted {
	asked := wanted{ref: ref, server: "registry.server", all: "`image` of accessory " + strconv.Quote(a.Name), ours: true, login: desired.Registry}
	if a.Registry != nil {
		asked.login = a.Registry
	} else if desired.Registry == nil || desired.Registry.Server != release.ServerOf(ref) {
		asked.ours, asked.login = false, nil
	}
	return asked
}
