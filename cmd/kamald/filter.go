package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

// limited marks the commands that --hosts and --roles limit; the others refuse them rather than do more than was asked for.
const limited = "limited by --hosts and --roles"

// limits lets --hosts and --roles limit a command.
func limits(cmd *cobra.Command) *cobra.Command {
	if cmd.Annotations == nil {
		cmd.Annotations = map[string]string{}
	}
	cmd.Annotations[limited] = "yes"
	return cmd
}

// checkLimits refuses --hosts and --roles where they mean nothing.
func (p *program) checkLimits(cmd *cobra.Command) error {
	_, means := cmd.Annotations[limited]
	for name, given := range map[string][]string{"--hosts": p.flags.hosts, "--roles": p.flags.roles} {
		if !means && name == "--hosts" && len(given) > 0 && cmd.Flags().Lookup("host") != nil {
			return fmt.Errorf("--hosts means nothing to `%s`: it takes --host", cmd.CommandPath())
		}
		if !means && len(given) > 0 {
			return fmt.Errorf("%s means nothing to `%s`: it is about every host of the release; leave it out", name, cmd.CommandPath())
		}
	}
	return nil
}
