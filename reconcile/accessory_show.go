package reconcile

import (
	"context"
	"slices"
	"time"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// AccessoryStatus is an accessory on one host, as it was seen.
type AccessoryStatus struct {
	Host        string       `json:"host"`
	Accessory   string       `json:"accessory"`
	Unreachable string       `json:"unreachable,omitempty"`
	Container   string       `json:"container,omitempty"` // its name; "" when there is none
	Image       string       `json:"image,omitempty"`
	State       state.Status `json:"state,omitempty"`
	Health      string       `json:"health,omitempty"` // Docker's; "" without a health check
	Since       time.Time    `json:"since,omitzero"`   // when it was started
	Notes       []string     `json:"notes,omitempty"`  // what is otherwise than the file says, and why
}

// Accessories looks at accessories, on the hosts that are given or all of theirs.
func (c *Controller) Accessories(ctx context.Context, desired release.Release, names, hosts []string) ([]AccessoryStatus, error) {
	planned, err := c.planAt(ctx, desired, Options{Accessories: names, Hosts: hosts, Pin: &plan.Pin{}, SkipUnreachable: true})
	if err != nil {
		return nil, err
	}
	return accessoriesOf(planned, names, planned.Plan.Filter), nil
}

// AccessoriesIn tells of all accessories in the scope of a look as Accessories does, without another look.
func (c *Controller) AccessoriesIn(ctx context.Context, desired release.Release, found Look) ([]AccessoryStatus, error) {
	var names []string
	for _, a := range desired.Accessories {
		names = append(names, a.Name)
	}
	if len(names) == 0 {
		return []AccessoryStatus{}, nil
	}
	if undecided(desired) {
		desired.Version = heldVersion(desired, found.Snapshot)
	}
	planned, err := c.planFrom(ctx, desired, found.Snapshot, nil, Options{Accessories: names, Pin: &plan.Pin{}, SkipUnreachable: true, Stored: true})
	return accessoriesOf(planned, names, found.Scope), err
}

// accessoriesOf are what a plan that is about accessories has seen, in the file's order.
func accessoriesOf(planned Planned, names []string, scope plan.Filter) []AccessoryStatus {
	list := []AccessoryStatus{}
	for _, a := range planned.Desired.Accessories {
		role := state.AccessoryRole(a.Name)
		for _, name := range a.Hosts {
			if !slices.Contains(names, a.Name) || !scope.Has(name, role) {
				continue
			}
			host, _ := planned.Snapshot.Host(name)
			one := AccessoryStatus{Host: name, Accessory: a.Name, Unreachable: host.Unreachable}
			if found, there := plan.AccessoryOn(a, host); there {
				one.Container, one.Image, one.State, one.Health, one.Since = found.Name, imageIn(found), found.Status, found.Health, found.Started
			}
			for _, item := range planned.Plan.Items {
				if item.Host == name && item.Role == role && (item.Resource == plan.ResourceContainer || item.Resource == plan.ResourceRoute) {
					one.Notes = append(one.Notes, item.Says())
				}
			}
			for _, gate := range planned.Plan.Gates {
				switch {
				case gate.Host != name || gate.Role != role:
				case gate.Intent == nil:
					one.Notes = append(one.Notes, "its route is "+gate.State+"; `kamald accessory restart "+a.Name+"` has it serve again")
				default:
					one.Notes = append(one.Notes, "stopped on purpose by "+gate.Intent.By())
				}
			}
			list = append(list, one)
		}
	}
	return list
}

// imageIn is what a container was made from.
func imageIn(c state.Container) string {
	if c.Asked != nil {
		return c.Asked.Image
	}
	return c.Live.Image
}

// accessoryRows are a report's rows of accessories that a plan has made, started or routed.
func accessoryRows(planned Planned, before, after map[string]*state.Host) []Row {
	var rows []Row
	for _, s := range planned.Plan.Steps {
		name, is := state.AccessoryOf(s.Role)
		has := func(kind plan.StepKind) bool {
			return slices.ContainsFunc(planned.Plan.Steps, func(o plan.Step) bool { return o.Kind == kind && o.Host == s.Host && o.Role == s.Role })
		}
		if !is || s.Kind != plan.StepStart && (s.Kind != plan.StepSwitch || has(plan.StepStart)) {
			continue
		}
		a, _ := planned.Desired.Accessory(name)
		row := Row{Host: s.Host, Role: s.Role}
		if host := before[s.Host]; host != nil {
			c, there := plan.AccessoryOn(a, *host)
			if there && c.Running() {
				row.Before = imageIn(c)
			}
			if there && (!c.Running() || s.Kind == plan.StepSwitch) {
				row.Wanted = imageIn(c) // it is started, or routed, as it is
			}
		}
		if has(plan.StepCreate) {
			row.Wanted = a.Image
		}
		host := after[s.Host]
		if host == nil {
			host = &state.Host{}
		}
		switch c, there := plan.AccessoryOn(a, *host); {
		case host.Unreachable != "":
			row.Now, row.Why = "unknown", host.Unreachable
		case there && c.Running():
			row.Now = imageIn(c)
		}
		rows = append(rows, row)
	}
	return rows
}
