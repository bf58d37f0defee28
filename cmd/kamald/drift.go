package main

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// drifted is what was found, as data.
type drifted struct {
	Schema      int            `json:"schema"`
	App         state.App      `json:"app"`
	Version     string         `json:"version"`
	Release     int            `json:"release,omitempty"` // the held one that it was measured against; 0: the file
	Drift       []plan.Item    `json:"drift"`
	Unreachable []plan.Skipped `json:"unreachable,omitempty"`
}

func (p *program) driftCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "drift",
		Short: "Show what was changed on the servers behind the release's back",
		Long:  "Compares the servers with the release that is held, the newest that succeeded; with the file when none is known. Exits with 3 when there is drift.",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.with(cmd.Context(), needsRelease, func(s *session) error {
				found, err := s.drift(cmd.Context())
				if err != nil {
					return err
				}
				return p.showDrift(found)
			})
		},
	}
}

// drift looks once, and plans the held release on what was seen.
func (s *session) drift(ctx context.Context) (drifted, error) {
	options := reconcile.Options{Pin: &plan.Pin{}, SkipUnreachable: true}
	planned, err := s.Plan(ctx, s.desired, options)
	if err != nil {
		return drifted{}, err
	}
	number := 0
	if held := planned.Held; held != nil {
		desired, err := heldRelease(*held, s.desired)
		if err != nil {
			return drifted{}, err
		}
		options.Pin = &plan.Pin{Digest: held.Digest, ID: held.ImageID, From: fmt.Sprintf("release %d", held.Number)}
		options.Stored = allSeen(desired, planned.Snapshot) // what was seen a moment ago is in the store
		if planned, err = s.Plan(ctx, desired, options); err != nil {
			return drifted{}, err
		}
		number = held.Number
	}
	found := drifted{Schema: schema, App: planned.Plan.App, Version: planned.Plan.Version, Release: number, Drift: planned.Plan.Drifted(), Unreachable: planned.Plan.Unreachable}
	if found.Drift == nil {
		found.Drift = []plan.Item{}
	}
	return found, nil
}

// heldRelease is the release of a record, with its hosts reached as the file says today.
func heldRelease(held state.Record, current release.Release) (release.Release, error) {
	var desired release.Release
	if err := json.Unmarshal(held.Release, &desired); err != nil {
		return release.Release{}, fmt.Errorf("release %d cannot be read back: %w", held.Number, err)
	}
	desired.SSH, desired.SecretFiles = current.SSH, current.SecretFiles
	for i, on := range desired.Hosts {
		if now, ok := current.Host(on.Name); ok {
			desired.Hosts[i].Address, desired.Hosts[i].SSH, desired.Hosts[i].HostKey = now.Address, now.SSH, now.HostKey
		}
	}
	return desired, nil
}

func allSeen(desired release.Release, seen state.Snapshot) bool {
	for _, on := range desired.Hosts {
		if _, ok := seen.Host(on.Name); !ok {
			return false
		}
	}
	return true
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
	case len(found.Drift) > 0:
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
	if len(found.Drift) == 0 {
		p.printf("No drift: %s %s runs as %s says.\n", found.App, found.Version, against)
	} else {
		p.printf("%s\n", p.out.in(bold, fmt.Sprintf("%s %s is not as %s says:", found.App, found.Version, against)))
		if err := (plan.Plan{Items: found.Drift}).ItemsText(p.out, plan.TextOptions{Color: p.out.color}); err != nil {
			return err
		}
		p.printf("\nnext: `kamald apply` heals it\n")
	}
	for _, host := range found.Unreachable {
		p.printf("%s: unreachable: %s\n", host.Host, host.Reason)
	}
	return nil
}
