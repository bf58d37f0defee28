package reconcile

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/state"
)

// Report is how an apply ended, from a fresh look at the servers and not from the steps' own word.
type Report struct {
	Outcome state.Outcome `json:"outcome"`
	Release int           `json:"release,omitempty"` // its number; 0 when nothing was recorded
	Kind    plan.Kind     `json:"kind"`
	// Command is what somebody asked for, where that was no release: start, boot, restart.
	Command string         `json:"command,omitempty"`
	Version string         `json:"version"`
	Rows    []Row          `json:"rows"`
	Skipped []plan.Skipped `json:"skipped,omitempty"` // hosts that could not be reached
	// Cordoned hosts were left out on purpose; of LeftBehind, which left the file, nobody knows what they still run.
	Cordoned   []plan.Skipped `json:"cordoned,omitempty"`
	LeftBehind []plan.Skipped `json:"left_behind,omitempty"`
	Undone     bool           `json:"undone,omitempty"`    // the compensation ran
	OwnFault   bool           `json:"own_fault,omitempty"` // it failed by the version's own fault: a policy does not choose it again
	Left       []string       `json:"left,omitempty"`      // what could not be undone, for a person to look at
	To         int            `json:"to,omitempty"`        // of a rollback: the release that it goes back to
	Note       string         `json:"note,omitempty"`      // of a rollback: why to that one, when nobody named it
	Filter     plan.Filter    `json:"filter,omitzero"`     // what it was limited to
	Carried    []Carried      `json:"carried,omitempty"`   // what was sent of the image from this machine, in the order of the hosts
	Took       time.Duration  `json:"took"`
	// VersionPolicy is what a policy chose the version by; nil when it was given.
	VersionPolicy *plan.Choice `json:"version_policy,omitempty"`
	Plan          plan.Plan    `json:"-"`
}

// Row is one role on one host.
type Row struct {
	Host   string `json:"host"`
	Role   string `json:"role"`
	Before string `json:"before"` // version; "" for none
	Wanted string `json:"wanted"`
	Now    string `json:"now"`
	Why    string `json:"why,omitempty"`
}

// done fills the report's rows from a snapshot.
func (c *Controller) done(report Report, planned Planned, now state.Snapshot, began time.Time) Report {
	report.Plan, report.Version, report.Skipped = planned.Plan, planned.Desired.Version, planned.Plan.Unreachable
	report.Cordoned, report.LeftBehind = planned.Plan.Cordoned, planned.Plan.Left
	report.VersionPolicy = planned.Plan.VersionPolicy
	report.Filter, report.Took = planned.Plan.Filter, c.now().Sub(began)
	app := planned.Desired.App()
	before, after, stops := byName(planned.Snapshot), byName(now), stopsIn(planned.Plan)
	roles := planned.Desired.Roles
	if planned.Plan.Kind == plan.KindAccessory {
		roles = nil
	}
	for _, role := range roles {
		for _, name := range role.Places() {
			if !planned.Plan.Filter.Has(name, role.Name) {
				continue
			}
			row := Row{Host: name, Role: role.Name, Wanted: planned.Desired.Version}
			if host, ok := before[name]; ok {
				row.Before = versionOn(app, *host, role.Name)
			}
			host := after[name]
			if host == nil {
				host = &state.Host{}
			}
			row.Now, row.Why = versionOn(app, *host, role.Name), host.Unreachable
			if by := stops[name+"/"+role.Name]; by != "" && row.Why == "" {
				row.Wanted, row.Why = "", "stopped on purpose by "+by
			}
			report.Rows = append(report.Rows, row)
		}
	}
	report.Rows = append(report.Rows, accessoryRows(planned, before, after)...)
	report.Rows = append(report.Rows, leftRows(planned, now)...)
	if report.Outcome == state.OutcomeSucceeded && (len(report.Skipped) > 0 || planned.Plan.Partial) && report.Kind != plan.KindNone {
		report.Outcome = state.OutcomePartial
	}
	return report
}

// stopsIn gives who has stopped a role on purpose, by host/role.
func stopsIn(p plan.Plan) map[string]string {
	stops := map[string]string{}
	for _, gate := range p.Gates {
		if gate.Intent != nil && gate.Intent.Kind == state.IntentStop {
			stops[gate.Host+"/"+gate.Role] = gate.Intent.By()
		}
	}
	return stops
}

// byName finds hosts of a snapshot: a fleet's rows would look through all of them each.
func byName(snapshot state.Snapshot) map[string]*state.Host {
	hosts := make(map[string]*state.Host, len(snapshot.Hosts))
	for i := range snapshot.Hosts {
		hosts[snapshot.Hosts[i].Name] = &snapshot.Hosts[i]
	}
	return hosts
}

// versionOn is the version that a role has on a host: "" for none, "unknown" when the host was not seen.
func versionOn(app state.App, host state.Host, role string) string {
	if host.Unreachable != "" {
		return "unknown"
	}
	c, ok := plan.CurrentOf(app, host, role)
	if !ok {
		return ""
	}
	return c.Version()
}

// note puts each host's own failure into its rows.
func (r *run) note(report *Report, outcomes map[string]outcome, failure error) {
	own := map[string]string{} // host/role → the first failure there
	for _, s := range r.plan.Steps {
		o, at := outcomes[s.ID], s.Host+"/"+s.Role
		if own[at] == "" && o.err != nil && !o.skipped && !errors.Is(o.err, errAbandoned) {
			line, _, _ := strings.Cut(o.err.Error(), "\n")
			own[at] = strings.TrimPrefix(line, s.Host+": ")
		}
	}
	for i, row := range report.Rows {
		if row.Why == "" {
			report.Rows[i].Why = own[row.Host+"/"+row.Role]
		}
		if report.Rows[i].Why == "" && row.Now != row.Wanted {
			report.Rows[i].Why = own[row.Host+"/"] // of a step for all its roles
		}
		if failure != nil && report.Rows[i].Why == "" && row.Now != row.Wanted {
			report.Rows[i].Why = "the release failed elsewhere"
			if report.Outcome == state.OutcomeCancelled {
				report.Rows[i].Why = "the release was interrupted"
			}
			var cancelled *CancelledError
			if errors.As(failure, &cancelled) {
				report.Rows[i].Why = "the release was " + cancelled.By()
			}
		}
	}
}

// endedSince finds what a run has proven and does not run any more, though every step has succeeded: what was seen after it
// counts. The release is recorded all the same, for the servers have it.
func endedSince(report *Report) error {
	if report.Kind == plan.KindPrune {
		return nil
	}
	var errs []error
	for i, row := range report.Rows {
		if row.Wanted == "" || row.Now == row.Wanted || row.Now == "unknown" {
			continue
		}
		report.Rows[i].Why = cmp.Or(row.Why, "it was proven healthy, and does not run any more")
		errs = append(errs, fmt.Errorf("%s: %s %s was proven healthy, and does not run any more", row.Host, row.Role, row.Wanted))
	}
	if len(errs) > 0 {
		report.Outcome = state.OutcomeFailed
	}
	return errors.Join(errs...)
}

// running are the run's own containers that run beside those that serve: a release that halts leaves them to be looked at.
func (r *run) running(snapshot state.Snapshot) (list []string) {
	for _, host := range snapshot.Hosts {
		for _, c := range host.Containers {
			if c.Release != r.record.Number || !c.Running() || c.Service != snapshot.App.Service || c.Destination != snapshot.App.Destination {
				continue
			}
			if serves, ok := plan.CurrentOf(snapshot.App, host, c.Role); ok && serves.ID != c.ID {
				list = append(list, fmt.Sprintf("%s: %s runs beside %s, which serves", host.Name, c.Name, serves.Name))
			}
		}
	}
	return list
}
