package main

import (
	"github.com/spf13/cobra"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/reconcile"
)

func (p *program) planCommand() *cobra.Command {
	var (
		options  reconcile.Options
		detailed bool
		markdown bool
		file     string
	)
	cmd := &cobra.Command{
		Use:   "plan",
		Short: "Show what would change on the servers",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.with(cmd.Context(), needsRelease, func(s *session) error {
				s.progress.watch()
				options.Hosts, options.Roles = p.flags.hosts, p.flags.roles
				planned, err := s.Plan(cmd.Context(), s.desired, options)
				if err != nil {
					return err
				}
				if err := p.showPlan(planned.Plan, markdown); err != nil {
					return err
				}
				if file != "" {
					if err := p.savePlan(s, planned, file); err != nil {
						return err
					}
				}
				return planExit(planned.Plan, detailed)
			})
		},
	}
	f := cmd.Flags()
	f.StringVarP(&file, "out", "o", "", "save the plan to this `file`, for `kamald apply FILE`")
	f.BoolVar(&detailed, "detailed-exitcode", false, "exit with 2 when there are changes")
	f.BoolVar(&options.Stored, "no-refresh", false, "look at no server: plan from what was seen last")
	f.BoolVar(&options.SkipUnreachable, "skip-unreachable", false, "plan without the hosts that cannot be reached")
	ignoreFlag(cmd, &options.Ignore)
	f.BoolVar(&markdown, "markdown", false, "write Markdown, for a comment on a pull request")
	return cmd
}

func (p *program) showPlan(planned plan.Plan, markdown bool) error {
	switch {
	case p.flags.json:
		return p.writeJSON(struct {
			plan.Plan
			News []string `json:"news,omitempty"`
		}{planned, p.news})
	case markdown:
		return planned.Markdown(p.out)
	}
	return planned.Text(p.out.prose(), plan.TextOptions{Color: p.out.color})
}

func planExit(planned plan.Plan, detailed bool) error {
	switch {
	case len(planned.Problems) > 0:
		return &exit{code: exitError}
	case detailed && !planned.Empty():
		return &exit{code: exitChanges}
	case len(planned.Unreachable) > 0:
		return &exit{code: exitSkipped}
	}
	return nil
}
