package main

import (
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/release"
)

func (p *program) envCommand() *cobra.Command {
	env := &cobra.Command{Use: "env", Short: "Secrets on the servers", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	env.AddCommand(p.envPushCommand(), p.envDiffCommand())
	return env
}

func (p *program) envPushCommand() *cobra.Command {
	return limits(&cobra.Command{
		Use:   "push",
		Short: "Put the secrets on the servers; nothing is restarted",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.with(cmd.Context(), needsHosts, func(s *session) error {
				scope, err := plan.FilterOf(s.desired, p.flags.hosts, p.flags.roles)
				if err != nil {
					return err
				}
				pushed, err := s.PushEnv(cmd.Context(), s.desired, scope)
				if err != nil && (len(pushed) == 0 || p.flags.json) {
					return err
				}
				return errors.Join(p.showPushed(s.desired, pushed), err)
			})
		},
	})
}

func (p *program) showPushed(desired release.Release, pushed []string) error {
	if p.flags.json {
		if pushed == nil {
			pushed = []string{}
		}
		return p.writeJSON(map[string]any{"schema": schema, "pushed": pushed})
	}
	if len(pushed) == 0 {
		p.printf("No role of %s has secrets there: nothing to push.\n", desired.App())
		return nil
	}
	for _, where := range pushed {
		host, role, _ := strings.Cut(where, "/")
		p.printf("%s: secrets of %s pushed\n", host, role)
	}
	p.note("Running containers keep what they were started with; `kamald plan` shows what would change.")
	return nil
}
