package main

import (
	"context"
	"net"

	"github.com/spf13/cobra"

	"github.com/kamald/kamald/drivers/registry"
)

func (p *program) registryCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "registry", Short: "The registry that images come from: see that it lets in this machine and the hosts", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	cmd.AddCommand(p.registryLoginCommand(), p.registryLogoutCommand())
	return cmd
}

func (p *program) registryLoginCommand() *cobra.Command {
	return onlyHosts(&cobra.Command{
		Use:   "login",
		Short: "Try the registry's credentials from here and from each host; nothing is kept anywhere",
		Long: "Asks the registry whether it lets in who shows the credentials of the registry block: from this machine, and by each host's engine.\n" +
			"No host has to be logged in: kamald shows the credentials with each pull, and leaves them nowhere.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.with(cmd.Context(), needsHosts, func(s *session) error {
				here := p.here
				if here == nil {
					var dialer net.Dialer
					here = registry.New(dialer.DialContext, registry.Options{}).Login
				}
				done, err := s.Login(cmd.Context(), s.desired, here, p.flags.hosts)
				if failed := p.showCommanded(done, err); failed != nil || len(done.Done) == 0 {
					return failed
				}
				p.note("No host was logged in, for none has to be: kamald shows the credentials with each pull.")
				return nil
			})
		},
	})
}

func (p *program) registryLogoutCommand() *cobra.Command {
	return onlyHosts(&cobra.Command{
		Use:   "logout",
		Short: "Take away the login that Kamal, or docker login, has left on each host",
		Long: "Takes the registry's entry out of the SSH user's ~/.docker/config.json on each host, where `kamal registry login` has left it. Whatever\n" +
			"else is in that file stays. kamald itself leaves no login anywhere.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.with(cmd.Context(), needsHosts, func(s *session) error {
				p.changes(s)
				done, err := s.Logout(context.WithoutCancel(cmd.Context()), s.desired, p.flags.hosts)
				return p.showCommanded(done, err)
			})
		},
	})
}
