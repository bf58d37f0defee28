package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/kamald/kamald/reconcile"
)

func (p *program) applyCommand() *cobra.Command {
	var (
		options reconcile.Options
		wait    bool
	)
	cmd := &cobra.Command{
		Use:   "apply",
		Short: "Make what the file says true on the servers",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.carryOut(cmd.Context(), needsRelease, wait, func(ctx context.Context, s *session) (reconcile.Report, error) {
				return s.Apply(ctx, s.desired, options)
			})
		},
	}
	p.applyFlags(cmd, &options, &wait)
	return cmd
}

// applyFlags are those of every command that carries a plan out.
func (p *program) applyFlags(cmd *cobra.Command, options *reconcile.Options, wait *bool) {
	f := cmd.Flags()
	f.IntVar(&options.Retain, "retain", 0, "how many old containers a role keeps for rollback (default: the file's retain_containers)")
	f.BoolVar(&options.SkipUnreachable, "skip-unreachable", false, "go on without the hosts that cannot be reached")
	p.lockWaitFlag(f, wait)
}

// carryOut lets a session change the servers, and reports.
func (p *program) carryOut(ctx context.Context, n need, wait bool, act func(context.Context, *session) (reconcile.Report, error)) error {
	return p.with(ctx, n, func(s *session) error {
		s.LockWait, s.LockWaitLimit = wait, p.lockWait
		p.interrupt.mutating(s.progress.left)
		report, err := act(ctx, s)
		s.progress.end()
		return p.showReport(s.desired.App(), report, err)
	})
}
