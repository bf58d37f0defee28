package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kamald/kamald/plan/drift"
	"github.com/kamald/kamald/reconcile"
)

// driftFlags are how drift is shown, and of when.
type driftFlags struct {
	format  string
	output  string // a file; "": standard output
	history bool
	limit   int
}

func (p *program) driftCommand() *cobra.Command {
	var flags driftFlags
	cmd := &cobra.Command{
		Use:   "drift",
		Short: "Show what was changed on the servers behind the release's back",
		Long: "Compares the servers with the release that is held, the newest that succeeded; with the file when none is known. Exits with 3 when\n" +
			"there is drift, and with 6 when there is none and a host was skipped. --history looks at no server: it shows what the daemon has\n" +
			"found and healed. With --server it is what that daemon saw at its last look.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := p.checkDrift(cmd, &flags); err != nil {
				return err
			}
			if p.server != "" {
				return p.withDaemon(cmd, func(r *remote) error { return p.showDrift(daemonDrift(r.status), flags) })
			}
			return p.with(cmd.Context(), needsHosts, func(s *session) error {
				s.progress.watch()
				if flags.history {
					return p.driftHistory(s, flags)
				}
				report, err := s.drift(cmd.Context(), reconcile.Options{Hosts: p.flags.hosts, Roles: p.flags.roles})
				if err != nil {
					return err
				}
				if !report.Clean() {
					_ = s.DriftHooks(cmd.Context(), s.desired, report.Summary()) // it is said, and the drift is the news
				}
				return p.showDrift(report, flags)
			})
		},
	}
	cmd.Flags().StringVar(&flags.format, "format", "", "how it is shown: table, json, markdown, junit, sarif or html (default table)")
	cmd.Flags().StringVarP(&flags.output, "output", "o", "", "write it to this `file`, and not to standard output")
	cmd.Flags().BoolVar(&flags.history, "history", false, "what was found and healed, as the store here knows it")
	p.serverFlag(cmd)
	cmd.Flags().IntVarP(&flags.limit, "number", "n", 50, "with --history: at most so many, the newest; 0 for all")
	return cmd
}

// driftForms write a report, by the names of their formats.
func (p *program) driftForms() map[string]func(drift.Report, io.Writer) error {
	return map[string]func(drift.Report, io.Writer) error{
		"table": func(r drift.Report, w io.Writer) error {
			if w == p.out {
				return r.Text(p.out.prose(), drift.TextOptions{Color: p.out.color})
			}
			return r.Text(w, drift.TextOptions{})
		},
		"json":     drift.Report.JSON,
		"markdown": drift.Report.Markdown,
		"junit":    drift.Report.JUnit,
		"sarif": func(r drift.Report, w io.Writer) error {
			return r.SARIF(w, drift.SARIFOptions{File: p.flags.file, Version: version})
		},
		"html": drift.Report.HTML,
	}
}

// checkDrift finds flags that do not go together, before any server is looked at.
func (p *program) checkDrift(cmd *cobra.Command, flags *driftFlags) error {
	if flags.format == "" {
		flags.format = "table"
		if p.flags.json {
			flags.format = "json"
		}
	}
	_, known := p.driftForms()[flags.format]
	switch {
	case !known:
		return fmt.Errorf("--format: %q is none of table, json, markdown, junit, sarif and html", flags.format)
	case p.flags.json && flags.format != "json":
		return fmt.Errorf("--json and --format %s ask for two things: leave one out", flags.format)
	case flags.history && flags.format != "table" && flags.format != "json":
		return fmt.Errorf("--history is shown as a table or as JSON, and not as %s", flags.format)
	case flags.history && flags.output != "":
		return errors.New("--history is written to standard output: leave --output out")
	case !flags.history && cmd.Flags().Changed("number"):
		return errors.New("--number is for --history")
	}
	p.flags.json = flags.format == "json" // errors, too
	return reportable(flags.output, p.flags.file)
}

// drift asks for the difference to the held release, and for what the daemon knows of it since earlier.
func (s *session) drift(ctx context.Context, options reconcile.Options) (drift.Report, error) {
	planned, err := s.Drift(ctx, s.desired, options)
	if err != nil {
		return drift.Report{}, err
	}
	if planned.Held == nil && s.desired.Version == "" {
		return drift.Report{}, errors.New("no release is recorded on the servers yet, and the file's version is not known here: give --version")
	}
	report := drift.ReportOf(planned.Plan, planned.Desired, planned.Held, time.Now())
	watch, _, err := s.Store.Watch(report.App)
	report.Recall(watch.Findings)
	return report, err
}

func (p *program) showDrift(report drift.Report, flags driftFlags) error {
	show := p.driftForms()[flags.format]
	if flags.output == "" {
		if err := show(report, p.out); err != nil {
			return err
		}
	} else {
		var b bytes.Buffer
		if err := show(report, &b); err != nil {
			return err
		}
		if err := writeReport(flags.output, b.Bytes()); err != nil {
			return fmt.Errorf("the report cannot be written: %w", err)
		}
		p.note("Written to %s.", flags.output)
	}
	switch {
	case !report.Clean():
		return &exit{code: exitDrift}
	case len(report.Unreachable) > 0:
		return &exit{code: exitSkipped}
	}
	return nil
}

// driftHistory shows what the daemon found, and what became of it, the newest last.
func (p *program) driftHistory(s *session, flags driftFlags) error {
	events, err := s.Store.Events(s.desired.App(), 0)
	if err != nil {
		return err
	}
	found := drift.History(events, drift.HistoryFilter{Limit: flags.limit, Hosts: p.flags.hosts, Roles: p.flags.roles})
	if p.flags.json {
		return p.writeJSON(map[string]any{"schema": schema, "app": s.desired.App(), "entries": found})
	}
	if len(found) == 0 {
		p.printf("No drift of %s is known here: the daemon writes down what it finds.\n", s.desired.App())
		return nil
	}
	t := newTable("TIME", "OUTCOME", "HOST", "ROLE", "CLASS", "")
	for _, e := range slices.Backward(found) {
		t.row(e.At.Local().Format("2006-01-02 15:04:05"), e.Outcome, orDash(e.Host), orDash(e.Role), orDash(e.Class), strings.Join(strings.Fields(e.Message), " "))
	}
	p.showTable(t)
	return nil
}
