package drift

import (
	"fmt"
	"slices"
	"time"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// Schema is the version of the report's JSON.
const Schema = 1

// Report is what one look has found.
type Report struct {
	Schema      int             `json:"schema"`
	App         state.App       `json:"app"`
	Version     string          `json:"version"`
	Release     int             `json:"release,omitempty"` // the held one that it was measured against; 0: the file
	At          time.Time       `json:"at"`
	Findings    []state.Finding `json:"findings"`
	Drift       []plan.Item     `json:"drift"`                 // what drifted as the plan has it, with its fields
	Moved       []plan.HandMove `json:"moved,omitempty"`       // by another than kamald, without a record
	Unreachable []plan.Skipped  `json:"unreachable,omitempty"` // hosts that were not looked at
	Gates       []plan.Gate     `json:"gates,omitempty"`       // what does not serve on purpose: no drift
	Against     string          `json:"against"`               // what it was measured against, for a person
	// Places are what was looked at, in the order of the release: what is clean is said, too.
	Places []Place `json:"places,omitempty"`
}

// Place is one role on one host; role "" is the host itself: its proxy, images and tags.
type Place struct {
	Host string `json:"host"`
	Role string `json:"role,omitempty"`
}

// ReportOf makes the report of a plan that was measured against what was desired: the held release; with held nil, the file.
func ReportOf(p plan.Plan, desired release.Release, held *state.Record, now time.Time) Report {
	r := Report{Places: places(p, desired), Schema: Schema, App: p.App, Version: p.Version, At: now, Findings: Of(p, now), Drift: p.Drifted(), Moved: p.Moved, Unreachable: p.Unreachable, Gates: p.Gates, Against: "the file"}
	if held != nil {
		r.Release, r.Against = held.Number, fmt.Sprintf("release %d", held.Number)
	}
	if r.Drift == nil {
		r.Drift = []plan.Item{}
	}
	return r
}

// Recall gives each finding what is known of it since an earlier look: when it was first seen, and what the engine said.
func (r *Report) Recall(known []state.Finding) {
	for i, f := range r.Findings {
		j := slices.IndexFunc(known, func(k state.Finding) bool { return k.ID == f.ID })
		if j >= 0 && !known[j].Since.IsZero() {
			r.Findings[i].Since, r.Findings[i].Event = known[j].Since, known[j].Event
		}
	}
}

// places are those that the plan says something of, clean ones too.
func places(p plan.Plan, desired release.Release) []Place {
	var all []Place
	for _, host := range desired.Hosts {
		if _, seen := p.Observed[host.Name]; !seen {
			continue
		}
		if p.Filter.Whole() {
			all = append(all, Place{Host: host.Name})
		}
		for _, role := range desired.Roles {
			if slices.Contains(role.Places(), host.Name) && p.Filter.Has(host.Name, role.Name) {
				all = append(all, Place{Host: host.Name, Role: role.Name})
			}
		}
	}
	return all
}

// Summary is what the report comes to, in a line.
func (r Report) Summary() string {
	if r.Clean() {
		return r.title()
	}
	return r.title() + ": " + r.counts()
}

// Clean tells whether nothing was found on the hosts that were looked at.
func (r Report) Clean() bool { return len(r.Findings) == 0 }

// Worst is the worst severity of the findings; "" when there is none.
func (r Report) Worst() string {
	worst := ""
	for _, f := range r.Findings {
		if Worse(f.Severity, worst) > 0 {
			worst = f.Severity
		}
	}
	return worst
}
