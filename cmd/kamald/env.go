package main

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kamald/kamald/release"
)

func (p *program) envCommand() *cobra.Command {
	env := &cobra.Command{Use: "env", Short: "Secrets on the servers", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	env.AddCommand(p.envPushCommand())
	return env
}

func (p *program) envPushCommand() *cobra.Command {
	var patterns []string
	cmd := &cobra.Command{
		Use:   "push",
		Short: "Put the secrets on the servers; nothing is restarted",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.with(cmd.Context(), needsHosts, func(s *session) error {
				hosts, err := chooseHosts(s.desired, patterns)
				if err != nil {
					return err
				}
				pushed, err := s.PushEnv(cmd.Context(), s.desired, hosts)
				if err != nil {
					return err
				}
				return p.showPushed(s.desired, pushed)
			})
		},
	}
	cmd.Flags().StringSliceVar(&patterns, "hosts", nil, "only these hosts: names or globs, separated by commas")
	return cmd
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

// chooseHosts gives the release's hosts that one of the patterns names, all of them when there are none.
func chooseHosts(desired release.Release, patterns []string) ([]string, error) {
	var all, chosen []string
	for _, host := range desired.Hosts {
		all = append(all, host.Name)
	}
	for _, pattern := range patterns {
		found := false
		for _, name := range all {
			matches, err := path.Match(pattern, name)
			if err != nil {
				return nil, fmt.Errorf("--hosts: %q is not a glob: %w", pattern, err)
			}
			found = found || matches
			if matches && !slices.Contains(chosen, name) {
				chosen = append(chosen, name)
			}
		}
		if !found {
			return nil, fmt.Errorf("--hosts: no host is named %q; the hosts are %s", pattern, strings.Join(all, ", "))
		}
	}
	return chosen, nil
}
