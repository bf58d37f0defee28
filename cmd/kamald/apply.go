package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/reconcile"
)

func (p *program) applyCommand() *cobra.Command {
	var (
		options reconcile.Options
		wait    bool
	)
	cmd := &cobra.Command{
		Use:   "apply [FILE]",
		Short: "Make what the file says true on the servers, or carry out a saved plan",
		Long: "Without FILE it plans what deploy.hcl says, and does it. With the FILE that `kamald plan -o FILE` wrote it does exactly that\n" +
			"plan, once, or refuses with exit code 5 and says what has moved since. What is released is in the plan then; deploy.hcl\n" +
			"says how the servers and the secrets are reached, and nothing else.",
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				return p.applySaved(cmd, args[0], wait, options.Ignore)
			}
			return p.carryOut(cmd.Context(), needsRelease, wait, func(ctx context.Context, s *session) (reconcile.Report, error) {
				options.Hosts, options.Roles = p.flags.hosts, p.flags.roles
				return s.Apply(ctx, s.desired, options)
			})
		},
	}
	p.applyFlags(cmd, &options, &wait)
	return cmd
}

// applySaved carries a saved plan out. What was decided when it was made is not decided again.
func (p *program) applySaved(cmd *cobra.Command, path string, wait bool, ignore []plan.Check) error {
	for _, decided := range []string{"retain", "skip-unreachable", "version", "hosts", "roles", "primary", "skip-hooks"} {
		if cmd.Flags().Changed(decided) {
			return fmt.Errorf("--%s was decided when the plan was made: leave it out, or save another plan", decided)
		}
	}
	saved, err := readPlan(path)
	if err != nil {
		return err
	}
	return p.carryOut(cmd.Context(), needsHosts, wait, func(ctx context.Context, s *session) (reconcile.Report, error) {
		return s.ApplySaved(ctx, saved, s.desired, ignore...)
	})
}

// applyFlags are those of every command that carries a plan out.
func (p *program) applyFlags(cmd *cobra.Command, options *reconcile.Options, wait *bool) {
	f := cmd.Flags()
	f.IntVar(&options.Retain, "retain", 0, "how many old containers a role keeps for rollback (default: the file's retain_containers)")
	f.BoolVar(&options.SkipUnreachable, "skip-unreachable", false, "go on without the hosts that cannot be reached")
	p.lockWaitFlag(f, wait)
	p.bandwidthFlag(f)
	ignoreFlag(cmd, &options.Ignore)
	checks := cmd.PreRunE
	cmd.PreRunE = func(cmd *cobra.Command, args []string) error {
		if err := errors.Join(checkRetain(cmd, options.Retain), p.bandwidth.fromEnvironment(cmd.Flags())); err != nil {
			return err
		}
		return checks(cmd, args)
	}
}

// ignoreFlag lets a command go on against checks that judge by what can be known beforehand, and may be wrong.
func ignoreFlag(cmd *cobra.Command, checks *[]plan.Check) {
	names := cmd.Flags().StringSlice("ignore", nil, "`checks` that only warn of what they find on the servers: disk, ports, engine")
	cmd.PreRunE = func(*cobra.Command, []string) (err error) {
		*checks, err = plan.ParseChecks(*names)
		return err
	}
}

// carryOut lets a session change the servers, and reports.
func (p *program) carryOut(ctx context.Context, n need, wait bool, act func(context.Context, *session) (reconcile.Report, error)) error {
	return p.with(ctx, n, func(s *session) error {
		s.LockWait, s.LockWaitLimit = wait, p.lockWait
		s.Throttle = p.bandwidth.throttle()
		p.changes(s)
		logs := p.startLogs(s)
		report, err := act(ctx, s)
		s.progress.end()
		logs.end(report, err)
		return p.showReport(s.desired.App(), report, err)
	})
}
