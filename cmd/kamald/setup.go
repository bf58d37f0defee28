package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/kamald/kamald/reconcile"
)

func (p *program) setupCommand() *cobra.Command {
	var (
		options           reconcile.Options
		wait              bool
		fromDistro        bool
		skipPush, noCache bool
	)
	cmd := limits(&cobra.Command{
		Use:   "setup",
		Short: "From fresh servers to a release: install Docker where it is missing, build, push, apply",
		Long: "Makes the servers ready as `kamald server bootstrap` does, then goes on as `kamald deploy` does: the image is built and pushed, and\n" +
			"what the file says is made true with its secrets, network, proxy and containers. Nothing is built or deployed before every server\n" +
			"is ready, but for those that cannot be reached, with --skip-unreachable. On servers that are ready it is a deploy like any other, and one that was interrupted is run again.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ready := func(s *session) error {
				if err := refuseChosen(s.desired); err != nil && !skipPush {
					return err // before a server is touched
				}
				skip := options.SkipUnreachable || s.desired.Rollout.SkipUnreachable // as the plan will decide
				return p.makeReady(cmd.Context(), s, reconcile.BootstrapOptions{FromDistro: fromDistro, SkipUnreachable: skip})
			}
			if err := p.with(cmd.Context(), needsRelease, ready); err != nil {
				return err
			}
			return p.deploy(cmd.Context(), options, wait, skipPush, noCache)
		},
	})
	p.applyFlags(cmd, &options, &wait)
	deployFlags(cmd, &skipPush, &noCache)
	fromDistroFlag(cmd, &fromDistro)
	return cmd
}

// makeReady makes the servers ready for a release, and shows what it did where that is not all in the result of the release.
func (p *program) makeReady(ctx context.Context, s *session, options reconcile.BootstrapOptions) error {
	done, err := p.bootstrap(ctx, s, options)
	p.interrupt.mutating(nil)
	p.ready = &done
	if err != nil {
		p.note("nothing was deployed: not every server is ready")
		return p.showCommanded(done, err)
	}
	if !p.flags.json && !p.flags.quiet {
		p.commandedText(done, nil)
	}
	return nil
}
