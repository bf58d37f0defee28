package main

import (
	"context"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/kamald/kamald/reconcile"
)

func (p *program) rollbackCommand() *cobra.Command {
	var (
		options reconcile.Options
		wait    bool
	)
	cmd := &cobra.Command{
		Use:   "rollback [N | --version V]",
		Short: "Make an earlier release true again",
		Long: "Goes back to the release before the current one, to release N of `kamald history`, or to the newest release of a version,\n" +
			"with the configuration it had and the secrets that lie on the servers now.",
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			back := reconcile.Back{Version: p.flags.version}
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
			return p.carryOut(cmd.Context(), needsHosts, wait, func(ctx context.Context, s *session) (reconcile.Report, error) {
				return s.Rollback(ctx, s.desired, back, options)
			})
		},
	}
	p.applyFlags(cmd, &options, &wait)
	return cmd
}
