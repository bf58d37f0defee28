package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/state"
)

// applied is a report as JSON.
type applied struct {
	Schema int `json:"schema"`
	reconcile.Report
	Build *built               `json:"build,omitempty"` // what `deploy` has built first
	Ready *reconcile.Commanded `json:"ready,omitempty"` // what setup did to the servers before
	News  []string             `json:"news,omitempty"`  // releases of others that were met
	Error string               `json:"error,omitempty"`
}

// showReport says how an apply ended. The error is the apply's own, with what was shown taken out of it.
func (p *program) showReport(app state.App, report reconcile.Report, err error) error {
	if report.Outcome == "" { // nothing was begun
		return err
	}
	if p.flags.json {
		result := applied{Schema: schema, Report: report, Build: p.built, Ready: p.ready, News: p.news}
		if err != nil {
			result.Error = err.Error()
		}
		if failed := p.writeJSON(result); failed != nil {
			return failed
		}
	} else {
		p.rows(report)
		p.ending(app, report, err)
	}
	switch {
	case err != nil:
		return &exit{code: exitError, cause: err}
	case len(report.Skipped) > 0:
		return &exit{code: exitSkipped}
	}
	return nil
}

func (p *program) rows(report reconcile.Report) {
	if report.Kind == plan.KindPrune {
		return // no version moves
	}
	if report.Kind == plan.KindNone || p.flags.quiet && report.Outcome == state.OutcomeSucceeded {
		return
	}
	t := newTable("HOST", "ROLE", "BEFORE", "WANTED", "NOW", "")
	for _, row := range report.Rows {
		t.row(row.Host, row.Role, orNone(row.Before), orNone(row.Wanted), orNone(row.Now), strings.TrimPrefix(row.Why, row.Host+": "))
	}
	p.printf("\n")
	p.showTable(t)
}

// ending is what happened in a line, then what is left and what to do.
func (p *program) ending(app state.App, report reconcile.Report, err error) {
	say := func(format string, args ...any) { _, _ = fmt.Fprintf(p.out.prose(), format, args...) }
	if err != nil {
		_, _ = fmt.Fprintf(p.err.prose(), "%s %v\n\n", p.err.in(red, "kamald:"), err)
	}
	say("%s\n", p.out.in(endingColor(report.Outcome), sentence(app, report, err)))
	for _, gate := range report.Plan.Gates {
		if report.Kind == plan.KindNone && gate.Role != "" && gate.Route == "" {
			say("  %s\n", gate)
		}
	}
	for _, c := range report.Carried {
		say("  %s\n", carried(c))
	}
	if report.Note != "" {
		say("  why: %s\n", report.Note)
	}
	for _, left := range report.Left {
		say("  left: %s\n", left)
	}
	for _, host := range report.Skipped {
		say("  skipped: %s: %s\n", host.Host, host.Reason)
	}
	for _, host := range report.Cordoned {
		say("  left out: %s: %s\n", host.Host, host.Reason)
	}
	for _, host := range report.LeftBehind {
		say("  left behind: %s left the file and cannot be reached: %s; when it is gone for good: `kamald server forget %s`\n", host.Host, host.Reason, host.Host)
	}
	if report.Plan.Partial && err == nil {
		say("next: `kamald apply` releases the rest\n")
	}
	if len(report.Skipped) > 0 {
		say("next: they converge with the next `kamald apply` after they return\n")
	}
	switch {
	case reconcile.IsCancelled(err):
		say("next: nothing; whoever asked for it goes on from here\n")
	case report.Outcome == state.OutcomeCancelled:
		say("next: `kamald apply` goes on from where the servers stand\n")
	case report.OwnFault && report.VersionPolicy != nil:
		say("next: push a version that is mended; %s is quarantined, and `kamald apply --version %s` tries it again\n", report.Version, report.Version)
	case err != nil:
		say("next: mend what is said above and run `kamald apply` again; `kamald plan` shows where the servers stand\n")
	}
}

// carried says what was sent of the image to a host.
func carried(c reconcile.Carried) string {
	text := fmt.Sprintf("carried: %s: %s sent", c.Host, plan.Size(c.Sent))
	if c.Layers+c.There > 0 {
		text += fmt.Sprintf(", %d of %d layers", c.Layers, c.Layers+c.There)
	}
	if c.There > 0 {
		text += fmt.Sprintf("; %s were there already", plan.Size(c.ThereBytes))
	}
	return text
}

func endingColor(outcome state.Outcome) string {
	switch outcome {
	case state.OutcomeSucceeded:
		return green
	case state.OutcomePartial:
		return yellow
	}
	return red
}

func sentence(app state.App, report reconcile.Report, err error) string {
	what := fmt.Sprintf("%s %s", app, report.Version)
	number := ""
	if report.Release > 0 && report.Kind != plan.KindHeal {
		number = fmt.Sprintf(" (release %d)", report.Release)
	}
	switch report.Outcome {
	case state.OutcomeSucceeded, state.OutcomePartial:
		if report.Kind == plan.KindPrune {
			return pruned(app, report)
		}
		if report.Kind == plan.KindNone && len(report.Skipped) > 0 {
			return fmt.Sprintf("Nothing to do on the hosts that can be seen: %s runs there as written.", what)
		}
		if report.Kind == plan.KindNone {
			return fmt.Sprintf("Nothing to do: %s runs as written.", what)
		}
		if report.Kind == plan.KindAccessory {
			return fmt.Sprintf("The accessories of %s are as the file says, after %s.", app, short(report.Took))
		}
		done := map[string]string{"start": "Started ", "boot": "Booted ", "restart": "Restarted "}[report.Command]
		if done == "" || report.Kind != plan.KindHeal {
			done = map[plan.Kind]string{plan.KindRollback: "Rolled back to ", plan.KindHeal: "Healed ", plan.KindConfig: "Reconfigured "}[report.Kind]
		}
		if done == "" {
			done = "Released "
		}
		text := fmt.Sprintf("%s%s%s in %s", done, what, number, short(report.Took))
		switch {
		case report.Plan.Partial:
			return fmt.Sprintf("%s, only %s: a partial release.", text, report.Plan.Filter)
		case report.Outcome == state.OutcomePartial:
			return text + ", but not on every host."
		}
		return text + "."
	}
	verb := "failed"
	var cancelled *reconcile.CancelledError
	switch {
	case errors.As(err, &cancelled):
		verb = "was " + cancelled.By()
	case report.Outcome == state.OutcomeCancelled:
		verb = "was interrupted"
	}
	return fmt.Sprintf("%s of %s%s %s after %s; %s.", nameOf(report), what, number, verb, short(report.Took), aftermath(report))
}

func nameOf(report reconcile.Report) string {
	if report.Command != "" && report.Kind == plan.KindHeal {
		return "The " + report.Command
	}
	switch report.Kind {
	case plan.KindRollback:
		return "The rollback"
	case plan.KindHeal:
		return "The healing"
	case plan.KindPrune:
		return "The pruning"
	case plan.KindAccessory:
		return "The boot of accessories"
	case plan.KindConfig:
		return "The change of configuration"
	}
	return "The release"
}

// aftermath says what a failure has left, by what was read back from the servers.
func aftermath(report reconcile.Report) string {
	moved := slices.ContainsFunc(report.Rows, func(r reconcile.Row) bool { return r.Before != r.Now })
	switch {
	case report.Undone && len(report.Left) > 0:
		return "it was undone as far as it could be, see below"
	case report.Undone && !moved:
		return "it was undone: every role runs what it ran before"
	case report.Undone:
		return "it was undone, and not every role runs what it ran before"
	}
	stays := func(r reconcile.Row) bool { return r.Wanted != "" && r.Now != r.Wanted }
	if slices.ContainsFunc(report.Rows, stays) {
		return "nothing was undone: the servers stand as the table says"
	}
	return "nothing was undone: every role runs the new version"
}

func orNone(version string) string {
	if version == "" {
		return "none"
	}
	return strings.TrimSpace(version)
}
