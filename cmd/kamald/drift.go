package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/state"
)

// drifted is what was found, as data.
type drifted struct {
	Schema      int             `json:"schema"`
	App         state.App       `json:"app"`
	Version     string          `json:"version"`
	Release     int             `json:"release,omitempty"` // the held one that it was measured against; 0: the file
	Drift       []plan.Item     `json:"drift"`
	Unreachable []plan.Skipped  `json:"unreachable,omitempty"`
	Moved       []plan.HandMove `json:"moved,omitempty"` // by another than kamald, without a record
	Gates       []plan.Gate     `json:"gates,omitempty"` // what does not serve on purpose: no drift
}

func (p *program) driftCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "drift",
		Short: "Show what was changed on the servers behind the release's back",
		Long:  "Compares the servers with the release that is held, the newest that succeeded; with the file when none is known. Exits with 3 when there is drift.",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.with(cmd.Context(), needsHosts, func(s *session) error {
				found, err := s.drift(cmd.Context(), reconcile.Options{Hosts: p.flags.hosts, Roles: p.flags.roles})
				if err != nil {
					return err
				}
				return p.showDrift(found)
			})
		},
	}
}

// drift asks for the difference to the held release.
func (s *session) drift(ctx context.Context, options reconcile.Options) (drifted, error) {
	planned, err := s.Drift(ctx, s.desired, options)
	if err != nil {
		return drifted{}, err
	}
	if planned.Held == nil && s.desired.Version == "" {
		return drifted{}, errors.New("no release is recorded on the servers yet, and the file's version is not known here: give --version")
	}
	found := drifted{Schema: schema, App: planned.Plan.App, Version: planned.Plan.Version, Drift: planned.Plan.Drifted(), Unreachable: planned.Plan.Unreachable, Moved: planned.Plan.Moved, Gates: planned.Plan.Gates}
	if planned.Held != nil {
		found.Release = planned.Held.Number
	}
	if found.Drift == nil {
		found.Drift = []plan.Item{}
	}
	return found, nil
}

func (p *program) showDrift(found drifted) error {
	if p.flags.json {
		if err := p.writeJSON(found); err != nil {
			return err
		}
	} else if err := p.driftText(found); err != nil {
		return err
	}
	switch {
	case len(found.Drift) > 0 || len(found.Moved) > 0:
		return &exit{code: exitDrift}
	case len(found.Unreachable) > 0:
		return &exit{code: exitSkipped}
	}
	return nil
}

func (p *program) driftText(found drifted) error {
	against := "the file"
	if found.Release > 0 {
		against = fmt.Sprintf("release %d", found.Release)
	}
	if len(found.Drift) == 0 && len(found.Moved) == 0 {
		p.printf("No drift: %s %s runs as %s says.\n", found.App, found.Version, against)
	} else {
		p.printf("%s\n", p.out.in(bold, fmt.Sprintf("%s %s is not as %s says:", found.App, found.Version, against)))
		if err := (plan.Plan{Items: found.Drift}).ItemsText(p.out, plan.TextOptions{Color: p.out.color}); err != nil {
			return err
		}
		p.driftNext(found)
	}
	for _, g := range found.Gates {
		p.printf("on purpose: %s\n", g)
	}
	for _, host := range found.Unreachable {
		p.printf("%s: unreachable: %s\n", host.Host, host.Reason)
	}
	return nil
}

// driftNext says what to do: what somebody moved to another version is not put back unasked.
func (p *program) driftNext(found drifted) {
	if len(found.Moved) == 0 {
		p.printf("\nnext: `kamald apply` heals it\n")
		return
	}
	p.printf("\nmoved by hand:\n")
	for _, m := range found.Moved {
		p.printf("  %s\n", m)
	}
	p.printf("next: `kamald adopt` takes what runs now as the held release, `kamald release VERSION` goes to that version\n")
}
