package main

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/reconcile"
)

func (p *program) auditCommand() *cobra.Command {
	var (
		filter  reconcile.AuditFilter
		since   time.Duration
		servers bool
	)
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "List what was done to the servers: who, from where, and how it ended",
		Long: "Lists what was done to the servers, the newest last: what was about to be done is in the store here before it is, and how it\n" +
			"ended after it. With --servers the audit files on the servers are read instead: those have Kamal's lines and other\n" +
			"machines' too.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if servers && filter.Release > 0 {
				return errors.New("lines on the servers bear no number of a release: leave --release or --servers out")
			}
			return p.with(cmd.Context(), needsHosts, func(s *session) error {
				if since > 0 {
					filter.Since = time.Now().Add(-since)
				}
				if servers {
					if _, err := plan.FilterOf(s.desired, filter.Hosts, nil); err != nil {
						return err
					}
					entries, skipped, err := s.AuditFiles(cmd.Context(), s.desired, filter)
					return errors.Join(err, p.showAudit(s, entries, skipped))
				}
				entries, err := s.Audit(s.desired.App(), filter)
				if err != nil {
					return err
				}
				return p.showAudit(s, entries, nil)
			})
		},
	}
	f := cmd.Flags()
	f.StringSliceVar(&filter.Hosts, "host", nil, "only these hosts (names and globs)")
	f.IntVar(&filter.Release, "release", 0, "only the release of this number")
	f.DurationVar(&since, "since", 0, "only what is not older than so long, such as 24h")
	f.IntVarP(&filter.Limit, "lines", "n", 50, "the newest so many; 0 is all")
	f.BoolVar(&servers, "servers", false, "read the audit files on the servers")
	return cmd
}

func (p *program) showAudit(s *session, entries []reconcile.AuditEntry, skipped []plan.Skipped) error {
	if p.flags.json {
		if entries == nil {
			entries = []reconcile.AuditEntry{}
		}
		if err := p.writeJSON(map[string]any{"schema": schema, "app": s.desired.App(), "entries": entries, "skipped": skipped}); err != nil {
			return err
		}
	} else {
		p.auditText(s, entries, skipped)
	}
	if len(skipped) > 0 {
		return &exit{code: exitSkipped}
	}
	return nil
}

func (p *program) auditText(s *session, entries []reconcile.AuditEntry, skipped []plan.Skipped) {
	t := newTable("TIME", "BY", "RELEASE", "HOST", "ROLE", "OUTCOME", "")
	t.whole[0] = true
	for _, e := range entries {
		by, number := cmp.Or(e.Who, "?"), "-"
		if e.Where != "" {
			by += "@" + e.Where
		}
		if e.Release > 0 {
			number = fmt.Sprint(e.Release)
		}
		what := e.Message
		if e.Error != "" && e.Error != e.Outcome {
			line, _, _ := strings.Cut(e.Error, "\n")
			what += ": " + line
		}
		t.row(e.At.Local().Format("2006-01-02 15:04:05"), by, number, orDash(e.Host), orDash(e.Role), orDash(e.Outcome), what)
	}
	switch {
	case len(entries) > 0:
		p.showTable(t)
	case len(skipped) == 0:
		p.printf("Nothing that was done to the servers of %s is known.\n", s.desired.App())
	}
	for _, host := range skipped {
		p.note("%s: its audit file cannot be read: %s", host.Host, host.Reason)
	}
}
