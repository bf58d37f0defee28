package main

import (
	"context"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/reconcile/loop"
)

func (p *program) rollbackCommand() *cobra.Command {
	var (
		options reconcile.Options
		back    reconcile.Back
		wait    bool
	)
	cmd := &cobra.Command{
		Use:   "rollback [N | --version V]",
		Short: "Make an earlier release true again",
		Long: "Goes one release back from what the servers run, to release N of `kamald history`, or to the newest release of a version,\n" +
			"with the configuration it had and today's secrets. Each further rollback goes further back.\n" +
			"A release that is under way is asked to end first: it takes back what it has begun, and without N the servers stay on\n" +
			"what they ran before it. Where a daemon of this machine drives the app, with the same store, it does it, and goes on should this\n" +
			"terminal go away.",
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			back.Version = p.flags.version
			if len(args) == 1 {
				number, err := strconv.Atoi(args[0])
				if err != nil || number < 1 {
					return fmt.Errorf("%q is not the number of a release; `kamald history` lists them, --version V goes to a version", args[0])
				}
				if back.Version != "" {
					return fmt.Errorf("give the number of a release or --version, not both")
				}
				back.Number = number
			}
			if r, err := p.driver(cmd); err != nil {
				return err
			} else if r != nil {
				defer r.close()
				return p.order(cmd.Context(), r, loop.Order{Verb: loop.VerbRollback, Number: back.Number, Version: back.Version, SkipHooks: p.flags.skipHooks}, true)
			}
			return p.carryOut(cmd.Context(), needsHosts, wait, func(ctx context.Context, s *session) (reconcile.Report, error) {
				if back.CurrentConfig {
					if err := refuseUnbuilt(s.desired); err != nil {
						return reconcile.Report{}, err
					}
				}
				return s.Rollback(ctx, s.desired, back, options)
			})
		},
	}
	p.applyFlags(cmd, &options, &wait)
	p.serverFlag(cmd)
	cmd.Flags().BoolVar(&back.CurrentConfig, "with-current-config", false, "take only version and image of that release, and the configuration of today's file")
	cmd.Flags().BoolVar(&back.NoCancel, "no-cancel", false, "leave a release that is under way alone (--lock-wait waits for it)")
	return cmd
}
