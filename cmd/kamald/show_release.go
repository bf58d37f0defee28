package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// showRelease shows one release of the history: who and when, how it ended and why, what it was to change, which steps did not
// end well, and what it deployed.
func (p *program) showRelease(cmd *cobra.Command, arg string) error {
	return p.with(cmd.Context(), needsHosts, func(s *session) error {
		record, err := s.find(cmd.Context(), arg)
		if err != nil {
			return err
		}
		settings, err := settingsOf(record)
		if err != nil {
			return err
		}
		made, steps, err := s.stepsOf(record)
		if err != nil {
			return err
		}
		if p.flags.json {
			return p.writeJSON(map[string]any{"schema": schema, "record": record, "items": made.Items, "steps": steps, "settings": settings})
		}
		p.printf("%s\n", recordTable(record))
		if err := p.stepsText(record, made, steps); err != nil {
			return err
		}
		p.printf("\nConfiguration:\n")
		for _, setting := range settings {
			p.printf("  %s = %s\n", setting.Path, setting.Value)
		}
		return nil
	})
}

func recordTable(record state.Record) *table {
	t := newTable("RELEASE", fmt.Sprintf("%d of %s", record.Number, record.App))
	t.row("version", record.Version)
	t.row("outcome", string(record.Outcome))
	if record.Reason != "" {
		t.row("why", strings.ReplaceAll(record.Reason, "\n", "\n         "))
	}
	t.row("kind", kindOf(past{Kind: record.Kind, From: record.From}))
	if record.Hold {
		t.row("held", "what the file proposes waits, until `kamald resume`")
	}
	t.row("by", cmp.Or(record.Who, "?")+"@"+cmp.Or(record.Where, "?"))
	t.row("started", record.Started.Local().Format("2006-01-02 15:04:05"))
	t.row("took", took(past{Started: record.Started, Ended: record.Ended}))
	t.row("image", record.Image)
	t.row("digest", record.Digest+record.ImageID)
	return t
}

// stepsText says what the release was to change, and which of its steps did not end well; -v lists all.
func (p *program) stepsText(record state.Record, made plan.Plan, steps []stepped) error {
	if len(steps) == 0 {
		p.printf("\nIts steps are not known here: another machine made it, or the store is new.\n")
		return nil
	}
	p.printf("\nWhat it was to change:\n")
	if err := made.ItemsText(p.out.prose(), plan.TextOptions{Color: p.out.color}); err != nil {
		return err
	}
	counts, order := map[string]int{}, []string{}
	for _, step := range steps {
		if counts[step.Outcome]++; counts[step.Outcome] == 1 {
			order = append(order, step.Outcome)
		}
	}
	var sums []string
	for _, outcome := range order {
		sums = append(sums, fmt.Sprintf("%d %s", counts[outcome], outcome))
	}
	p.printf("\nSteps: %s\n", strings.Join(sums, ", "))
	for _, step := range steps {
		bad := step.Outcome == state.EventFailed || step.Outcome == reconcile.AuditNotEnded
		if !bad && !p.flags.verbose {
			continue
		}
		line := fmt.Sprintf("  %-9s  %s", step.Outcome, strings.TrimSpace(step.Host+" "+step.Message))
		if step.Error != "" && step.Error != step.Outcome && record.Reason == "" {
			line += ": " + reasonOf(past{Reason: strings.TrimPrefix(step.Error, step.Host+": ")})
		}
		p.printf("%s\n", line)
	}
	return nil
}

// stepped is a step of a release and how it ended.
type stepped struct {
	ID      string `json:"id"`
	Host    string `json:"host,omitempty"`
	Message string `json:"message"`
	Outcome string `json:"outcome"`
	Error   string `json:"error,omitempty"`
}

// stepsOf gives a release's plan and its steps with their last word in the store; none when another machine made it.
func (s *session) stepsOf(record state.Record) (made plan.Plan, steps []stepped, err error) {
	steps = []stepped{}
	plans, err := s.Store.Plans(record.App, 0)
	if err != nil {
		return made, steps, err
	}
	events, err := s.Store.Events(record.App, 0)
	if err != nil {
		return made, steps, err
	}
	i := slices.IndexFunc(plans, func(kept state.PlanRecord) bool { return kept.Nonce == record.Plan && kept.Release == record.Number })
	if i < 0 {
		return made, steps, nil
	}
	if err := json.Unmarshal(plans[i].Plan, &made); err != nil {
		return made, steps, fmt.Errorf("the plan of release %d in the store cannot be read: %w", record.Number, err)
	}
	last := map[string]state.Event{}
	for _, e := range slices.Backward(events) { // the newest first, so that it is the one that stays
		if e.Nonce == record.Plan && e.Kind != "undo" {
			last[e.Step] = e
		}
	}
	for _, step := range made.Steps {
		if step.Kind == plan.StepGate || step.Kind == plan.StepBarrier {
			continue
		}
		one := stepped{ID: step.ID, Host: step.Host, Message: step.ID, Outcome: state.EventNotBegun}
		if e, known := last[step.ID]; known {
			one.Message, one.Outcome, one.Error = e.Message, e.Outcome, e.Error
		}
		if one.Outcome == state.EventIntended {
			one.Outcome = reconcile.AuditNotEnded
		}
		steps = append(steps, one)
	}
	return made, steps, nil
}

// mostListed is how many releases an error lists.
const mostListed = 10

// find gives a release by its number, or the newest of a version; a miss lists the newest that are there.
func (s *session) find(ctx context.Context, arg string) (state.Record, error) {
	records, err := s.History(ctx, s.desired)
	if err != nil {
		return state.Record{}, err
	}
	number, _ := strconv.Atoi(arg)
	match := slices.IndexFunc(records, func(r state.Record) bool { return number > 0 && r.Number == number })
	if match < 0 {
		match = slices.IndexFunc(records, func(r state.Record) bool { return r.Version == arg })
	}
	if match >= 0 {
		return records[match], nil
	}
	if len(records) == 0 {
		return state.Record{}, fmt.Errorf("there is no release %s: no release of %s is known; the first `kamald apply` makes one", arg, s.desired.App())
	}
	var there, versions []string
	for i, r := range records {
		versions = append(versions, r.Version)
		if i < mostListed {
			there = append(there, fmt.Sprintf("%d (version %s)", r.Number, r.Version))
		}
	}
	text := fmt.Sprintf("there is no release %s; there are %s", arg, strings.Join(there, ", "))
	if more := len(records) - mostListed; more > 0 {
		text += fmt.Sprintf(" and %d older: `kamald history` lists them", more)
	}
	return state.Record{}, errors.New(text + "." + release.DidYouMean(arg, versions))
}

// settingsOf gives what a recorded release deployed, its image's digest with it.
func settingsOf(record state.Record) ([]release.Setting, error) {
	var r release.Release
	if err := json.Unmarshal(record.Release, &r); err != nil {
		return nil, fmt.Errorf("release %d cannot be read back: %w", record.Number, err)
	}
	list := deployed(r)
	if digest := record.Digest + record.ImageID; digest != "" {
		list = append([]release.Setting{{Path: "digest", Value: digest}}, list...)
	}
	return list, nil
}

// deployed are the settings of a release but for how its hosts are reached and where its secrets are read from.
func deployed(r release.Release) []release.Setting {
	r.SSH, r.SecretFiles, r.SecretFetches, r.Leaving = release.SSH{}, nil, nil, nil
	r.Hosts = slices.Clone(r.Hosts)
	for i, on := range r.Hosts {
		r.Hosts[i].SSH, r.Hosts[i].HostKey = release.SSH{}, ""
		if on.Address == on.Name {
			r.Hosts[i].Address = ""
		}
	}
	return release.Settings(r)
}
