package main

import (
	"errors"
	"maps"
	"slices"

	"github.com/spf13/cobra"
)

func (p *program) lockCommand() *cobra.Command {
	lock := &cobra.Command{Use: "lock", Short: "The deploy lock on the servers", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	lock.AddCommand(p.lockReleaseCommand())
	return lock
}

func (p *program) lockReleaseCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "release",
		Short: "Take the deploy lock away, whoever holds it",
		Long:  "Takes the deploy lock away on every host of the release and says whose it was. A lock of kamald's own expires by itself when its\nowner is gone; one of Kamal's, or one that a person took, does not. Only for when you know that nobody is deploying.",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.with(cmd.Context(), needsHosts, func(s *session) error {
				taken, err := s.Unlock(cmd.Context(), s.desired)
				if p.flags.json {
					return errors.Join(err, p.writeJSON(map[string]any{"schema": schema, "released": taken}))
				}
				if len(taken) == 0 && err == nil {
					p.printf("There is no deploy lock.\n")
				}
				for _, host := range slices.Sorted(maps.Keys(taken)) {
					p.printf("%s: released the deploy lock of %s (%s)\n", host, taken[host].Owner, taken[host].Message)
				}
				return err
			})
		},
	}
}
