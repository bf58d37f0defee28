package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/state"
)

func (p *program) pruneCommand() *cobra.Command {
	var (
		options        reconcile.Options
		wait, rehearse bool
	)
	cmd := &cobra.Command{
		Use:   "prune",
		Short: "Remove old containers and images that no rollback needs",
		Long: "Removes old containers beyond what a role keeps for rollback, images that no container, no rollback and no destination needs,\n" +
			"what failed releases left, and files that interrupted runs left. What runs is never touched. Hosts that cannot be reached are\n" +
			"skipped (exit code 6).",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkRetain(cmd, options.Retain); err != nil {
				return err
			}
			if rehearse {
				return p.with(cmd.Context(), needsHosts, func(s *session) error {
					s.Secrets = nothing{} // what is kept is no matter of secrets
					planned, err := s.PlanPrune(cmd.Context(), s.desired, options)
					if err != nil {
						return err
					}
					return p.showPrune(planned)
				})
			}
			return p.carryOut(cmd.Context(), needsHosts, wait, func(ctx context.Context, s *session) (reconcile.Report, error) {
				s.Secrets = nothing{}
				return s.Prune(ctx, s.desired, options)
			})
		},
	}
	f := cmd.Flags()
	f.IntVar(&options.Retain, "retain", 0, "how many older versions a role keeps for rollback (default: the file's retain_containers)")
	f.BoolVar(&rehearse, "dry-run", false, "show what would go, and how much that frees at most")
	p.lockWaitFlag(f, &wait)
	return cmd
}

// checkRetain refuses to keep nothing: there would be no way back.
func checkRetain(cmd *cobra.Command, retain int) error {
	if cmd.Flags().Changed("retain") && retain < 1 {
		return reconcile.ErrRetain
	}
	return nil
}

// pruned says what a prune has removed.
func pruned(app state.App, report reconcile.Report) string {
	counts := map[plan.Resource]int{}
	var bytes int64
	for _, item := range report.Plan.Items {
		counts[item.Resource]++
		bytes += item.Bytes
	}
	if len(report.Plan.Items) == 0 {
		return fmt.Sprintf("Nothing to prune: all that %s has on the servers is kept for something.", app)
	}
	text := fmt.Sprintf("Pruned %s in %s: %d containers, %d images (up to %s), %d files", app, short(report.Took), counts[plan.ResourceContainer],
		counts[plan.ResourceImage], plan.Size(bytes), counts[plan.ResourceFile])
	if report.Outcome == state.OutcomePartial {
		return text + ", but not on every host."
	}
	return text + "."
}

func (p *program) showPrune(planned reconcile.Planned) error {
	if p.flags.json {
		if err := p.writeJSON(planned.Plan); err != nil {
			return err
		}
	} else if err := planned.Plan.Text(p.out.prose(), plan.TextOptions{Color: p.out.color}); err != nil {
		return err
	}
	switch {
	case len(planned.Plan.Problems) > 0:
		return &exit{code: exitError}
	case len(planned.Plan.Unreachable) > 0:
		return &exit{code: exitSkipped}
	}
	return nil
}
