package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// showRelease shows one release of the history: who and when, how it ended and why, its steps, and what it said.
func (p *program) showRelease(cmd *cobra.Command, number string) error {
	return p.with(cmd.Context(), needsHosts, func(s *session) error {
		record, err := s.find(cmd.Context(), number)
		if err != nil {
			return err
		}
		settings, err := settingsOf(record)
		if err != nil {
			return err
		}
		steps, err := s.stepsOf(record)
		if err != nil {
			return err
		}
		if p.flags.json {
			return p.writeJSON(map[string]any{"schema": schema, "record": record, "steps": steps, "settings": settings})
		}
		t := newTable("RELEASE", fmt.Sprintf("%d of %s", record.Number, record.App))
		t.row("version", record.Version)
		t.row("outcome", string(record.Outcome))
		if record.Reason != "" {
			t.row("why", strings.ReplaceAll(record.Reason, "\n", "\n         "))
		}
		t.row("kind", kindOf(past{Kind: record.Kind, From: record.From}))
		t.row("by", record.Who+"@"+record.Where)
		t.row("started", record.Started.Local().Format("2006-01-02 15:04:05"))
		t.row("took", took(past{Started: record.Started, Ended: record.Ended}))
		t.row("image", record.Image)
		t.row("digest", record.Digest+record.ImageID)
		p.printf("%s\n\nSteps, as the store here knows them:\n", t)
		for _, step := range steps {
			p.printf("  %-10s  %s\n", step.Outcome, step.ID)
		}
		p.printf("\nConfiguration:\n")
		for _, setting := range settings {
			p.printf("  %s = %s\n", setting.Path, setting.Value)
		}
		return nil
	})
}

// stepped is a step of a release and how it ended.
type stepped struct {
	ID      string `json:"id"`
	Outcome string `json:"outcome"`
}

// stepsOf gives the steps of a release's plan with their last word in the store; none when another machine made it.
func (s *session) stepsOf(record state.Record) ([]stepped, error) {
	plans, err := s.Store.Plans(record.App, 0)
	if err != nil {
		return nil, err
	}
	events, err := s.Store.Events(record.App, 0)
	if err != nil {
		return nil, err
	}
	steps := []stepped{}
	for _, kept := range plans {
		var made plan.Plan
		if kept.Release != record.Number || json.Unmarshal(kept.Plan, &made) != nil {
			continue
		}
		for _, step := range made.Steps {
			if step.Kind == plan.StepGate || step.Kind == plan.StepBarrier {
				continue
			}
			i := slices.IndexFunc(events, func(e state.Event) bool { return e.Release == record.Number && e.Step == step.ID })
			outcome := "not begun"
			if i >= 0 {
				outcome = string(events[i].Outcome)
			}
			steps = append(steps, stepped{step.ID, outcome})
		}
		break
	}
	return steps, nil
}

// find gives a release by its number, or its newest by version; a miss lists what is there.
func (s *session) find(ctx context.Context, arg string) (state.Record, error) {
	records, err := s.History(ctx, s.desired)
	if err != nil {
		return state.Record{}, err
	}
	number, _ := strconv.Atoi(arg)
	var there []string
	for _, r := range records {
		if r.Number == number {
			return r, nil
		}
		there = append(there, fmt.Sprintf("%d (version %s)", r.Number, r.Version))
	}
	if len(there) == 0 {
		return state.Record{}, fmt.Errorf("there is no release %s: no release of %s is known", arg, s.desired.App())
	}
	return state.Record{}, fmt.Errorf("there is no release %s; there are %s", arg, strings.Join(there, ", "))
}

// settingsOf gives what a recorded release said, its image's digest with it.
func settingsOf(record state.Record) ([]release.Setting, error) {
	var r release.Release
	if err := json.Unmarshal(record.Release, &r); err != nil {
		return nil, fmt.Errorf("release %d cannot be read back: %w", record.Number, err)
	}
	for i := range r.Hosts {
		r.Hosts[i].SSH = release.SSH{} // how it was reached is no part of what it was
	}
	list := release.Settings(r)
	if digest := record.Digest + record.ImageID; digest != "" {
		list = append([]release.Setting{{Path: "digest", Value: digest}}, list...)
	}
	return list, nil
}
