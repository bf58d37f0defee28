package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

func (p *program) proxyCommand() *cobra.Command {
	proxy := &cobra.Command{Use: "proxy", Short: "The proxy on the servers: look at it, start, stop, replace or remove it", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	proxy.AddCommand(
		p.proxyDetailsCommand(), p.proxyRoutesCommand(), p.proxyLogsCommand(),
		p.proxyBootCommand(), p.proxyRebootCommand(), p.proxyStartCommand(), p.proxyStopCommand(), p.proxyRestartCommand(), p.proxyRemoveCommand(),
		p.proxyPauseCommand(), p.proxyResumeCommand(), p.proxySwitchCommand(),
	)
	return proxy
}

// onlyHosts marks a command that is about whole hosts: it can be limited by --hosts, and --roles means nothing to it.
func onlyHosts(cmd *cobra.Command) *cobra.Command {
	cmd.PreRunE = func(cmd *cobra.Command, _ []string) error {
		if cmd.Flags().Changed("roles") {
			return fmt.Errorf("--roles means nothing to `%s`: all roles of a host share its proxy; leave it out", cmd.CommandPath())
		}
		return nil
	}
	return limits(cmd)
}
