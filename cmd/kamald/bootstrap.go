package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/kamald/kamald/reconcile"
)

// whileInstalling is what a signal does to a bootstrap.
var whileInstalling = interruptText{
	first: "interrupted: an installation that has begun is let run to its end; interrupt again to leave at once",
	left: []string{
		"  an installation that is under way goes on there by itself",
		"next: `kamald server bootstrap` shows where the servers stand, and does what is missing",
	},
}

func (p *program) bootstrapCommand() *cobra.Command {
	var fromDistro bool
	cmd := limits(&cobra.Command{
		Use:   "bootstrap",
		Short: "Install Docker on the servers that have none, and see that it runs",
		Long: "Looks at every server of the file at once. Where Docker answers nothing is touched. Where it is missing it is installed, by Docker's\n" +
			"own script (https://get.docker.com, fetched whole before it is run); where it does not run it is started; a user that is not root\n" +
			"is added to the group docker. It needs root there, or sudo without a password. It can be run again at any time.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.with(cmd.Context(), needsHosts, func(s *session) error {
				done, err := p.bootstrap(cmd.Context(), s, reconcile.BootstrapOptions{FromDistro: fromDistro})
				return p.showCommanded(done, err)
			})
		},
	})
	fromDistroFlag(cmd, &fromDistro)
	return cmd
}

func fromDistroFlag(cmd *cobra.Command, fromDistro *bool) {
	cmd.Flags().BoolVar(fromDistro, "from-distro", false, "take the distribution's own package of Docker instead of Docker's script")
}

// bootstrap makes the session's servers ready.
func (p *program) bootstrap(ctx context.Context, s *session, options reconcile.BootstrapOptions) (reconcile.Commanded, error) {
	p.changes(s)
	p.interrupt.says(whileInstalling)
	defer p.interrupt.says(whileReleasing)
	options.Hosts, options.Roles = p.flags.hosts, p.flags.roles
	done, err := s.Bootstrap(ctx, s.desired, options)
	s.progress.end()
	return done, err
}
