package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/plan/drift"
	"github.com/kamald/kamald/reconcile/loop"
)

// daemonStatus is what the daemon says that drives the app; nil: none does.
func (p *program) daemonStatus(cmd *cobra.Command) (*loop.Status, error) {
	desired, err := p.load(cmd.Context(), needsHosts)
	if err != nil {
		return nil, err
	}
	r, err := p.daemon(cmd.Context(), desired.App())
	if err != nil || r == nil {
		return nil, err
	}
	defer r.close()
	return &r.status, nil
}

// resumeBy has the daemon lift the hold, so that it sees at once what may be released again.
func (p *program) resumeBy(cmd *cobra.Command, r *remote) error {
	held := r.status.Held
	lifted := held != nil && held.Hold
	if lifted {
		if _, err := r.Resume(cmd.Context(), r.app); err != nil {
			return err
		}
	}
	switch {
	case p.flags.json && held != nil:
		return p.writeJSON(map[string]any{"schema": schema, "lifted": lifted, "release": held.Number, "version": held.Version})
	case p.flags.json:
		return p.writeJSON(map[string]any{"schema": schema, "lifted": false})
	case !lifted:
		p.printf("Nothing is held: what is proposed waits for nobody.\n")
	default:
		p.printf("The hold of release %d (version %s) is lifted: what is proposed is released when it is something else.\n", held.Number, held.Version)
	}
	return nil
}

// daemonText says what the daemon makes of the app, with the reason and the age of whatever is not as it should be.
func (p *program) daemonText(s *loop.Status) {
	if s == nil {
		return
	}
	led := ""
	if s.Leader != nil {
		led = ", led by " + plan.Printable(s.Leader.Name)
	}
	p.printf("daemon: mode %s, looked %s ago (%s)%s\n", s.Mode, ago(s.Round.At), s.Round.Why, led)
	if s.Round.Error != "" {
		p.printf("  %s the last look failed: %s\n", p.out.in(red, "✗"), plan.Printable(s.Round.Error))
	}
	for _, c := range s.Conditions {
		where := ""
		if c.Host != "" || c.Role != "" {
			where = " " + strings.Trim(c.Host+"/"+c.Role, "/")
		}
		p.printf("  %s%s for %s: %s\n", p.out.in(yellow, c.Kind), where, ago(c.Since), plan.Printable(c.Reason))
		if c.Next != "" {
			p.printf("    next: %s\n", plan.Printable(c.Next))
		}
	}
}

func ago(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return time.Since(t).Round(time.Second).String()
}

// daemonDrift is a daemon's own report: what it saw at its last look, and since when.
func daemonDrift(s loop.Status) drift.Report {
	report := drift.Report{Schema: drift.Schema, App: s.App, At: s.Round.At, Findings: s.Findings, Against: "what is held"}
	if s.Held != nil {
		report.Version, report.Release, report.Against = s.Held.Version, s.Held.Number, fmt.Sprintf("release %d", s.Held.Number)
	}
	for _, place := range s.Places {
		report.Places = append(report.Places, drift.Place{Host: place.Host, Role: place.Role})
		if place.Unreachable != "" {
			report.Unreachable = append(report.Unreachable, plan.Skipped{Host: place.Host, Reason: place.Unreachable})
		}
	}
	return report
}
