package main

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kamald/kamald/state"
)

// reasonWidth is how much of a reason stands in a table.
const reasonWidth = 80

// past is one release as history shows it.
type past struct {
	Number  int           `json:"number"`
	Version string        `json:"version"`
	Kind    string        `json:"kind"`
	Outcome state.Outcome `json:"outcome"`
	Held    bool          `json:"held,omitempty"` // the newest that succeeded
	Hold    bool          `json:"hold,omitempty"` // and a person holds it: what the file proposes waits
	From    int           `json:"from,omitempty"`
	Who     string        `json:"who"`
	Where   string        `json:"where"`
	Started time.Time     `json:"started"`
	Ended   time.Time     `json:"ended,omitzero"`
	Digest  string        `json:"digest,omitempty"`
	Reason  string        `json:"reason,omitempty"`
}

func (p *program) historyCommand() *cobra.Command {
	var stored bool
	cmd := &cobra.Command{
		Use:   "history",
		Short: "List the releases, newest first",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.with(cmd.Context(), needsHosts, func(s *session) error {
				s.progress.watch()
				var (
					records []state.Record
					err     error
				)
				if stored {
					records, err = s.Store.Releases(s.desired.App())
				} else {
					records, err = s.History(cmd.Context(), s.desired)
				}
				if err != nil {
					return err
				}
				return p.showHistory(s.desired.App(), records)
			})
		},
	}
	cmd.Flags().BoolVar(&stored, "no-refresh", false, "look at no server: only what the store here knows")
	return cmd
}

func (p *program) showHistory(app state.App, records []state.Record) error {
	list, held := []past{}, false
	for _, r := range records {
		item := past{Number: r.Number, Version: r.Version, Kind: r.Kind, Outcome: r.Outcome, From: r.From, Who: r.Who, Where: r.Where,
			Started: r.Started, Ended: r.Ended, Digest: r.Digest, Reason: r.Reason}
		if !held && r.Outcome == state.OutcomeSucceeded {
			item.Held, item.Hold, held = true, r.Hold, true
		}
		list = append(list, item)
	}
	if p.flags.json {
		return p.writeJSON(map[string]any{"schema": schema, "app": app, "releases": list})
	}
	if len(list) == 0 {
		p.printf("No release of %s is known.\n", app)
		return nil
	}
	t := newTable("", "NUMBER", "VERSION", "KIND", "OUTCOME", "STARTED", "TOOK", "BY", "")
	t.whole[5] = true
	for _, r := range list {
		t.row(mark(r.Held), fmt.Sprint(r.Number), r.Version, kindOf(r), string(r.Outcome), r.Started.Local().Format("2006-01-02 15:04:05"),
			took(r), cmp.Or(r.Who, "?")+"@"+cmp.Or(r.Where, "?"), reasonOf(r))
	}
	p.showTable(t)
	return nil
}

func mark(held bool) string {
	if held {
		return "*"
	}
	return ""
}

func kindOf(r past) string {
	if r.From > 0 {
		return fmt.Sprintf("%s to %d", r.Kind, r.From)
	}
	return r.Kind
}

func took(r past) string {
	if r.Ended.IsZero() {
		return "not ended"
	}
	return short(r.Ended.Sub(r.Started))
}

// reasonOf is why a release failed, or that it is held, short enough for a table; --json has all of it.
func reasonOf(r past) string {
	if r.Hold && r.Reason == "" {
		return "held: what the file proposes waits until `kamald resume`"
	}
	line, _, _ := strings.Cut(r.Reason, "\n")
	if runes := []rune(line); len(runes) > reasonWidth {
		return string(runes[:reasonWidth-1]) + "…"
	}
	return line
}
