package main

import (
	"github.com/spf13/cobra"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/reconcile"
)

func (p *program) envDiffCommand() *cobra.Command {
	var detailed bool
	cmd := limits(&cobra.Command{
		Use:   "diff",
		Short: "Name the secrets that differ between here, the servers, and what runs",
		Long: "Compares digests and shows no value: the secrets at hand here, the files that lie on the servers, and what the containers\n" +
			"there were started with.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.with(cmd.Context(), needsHosts, func(s *session) error {
				scope, err := plan.FilterOf(s.desired, p.flags.hosts, p.flags.roles)
				if err != nil {
					return err
				}
				differences, skipped, err := s.EnvDiff(cmd.Context(), s.desired, scope)
				if err != nil {
					return err
				}
				if err := p.showEnvDiff(differences, skipped); err != nil {
					return err
				}
				return envDiffEnd(differences, skipped, detailed)
			})
		},
	})
	cmd.Flags().BoolVar(&detailed, "detailed-exitcode", false, "exit with 2 when something differs")
	return cmd
}

func (p *program) showEnvDiff(differences []reconcile.EnvDifference, skipped []plan.Skipped) error {
	if p.flags.json {
		if differences == nil {
			differences = []reconcile.EnvDifference{}
		}
		return p.writeJSON(map[string]any{"schema": schema, "differences": differences, "unreachable": skipped})
	}
	where, push := "", false
	for _, d := range differences {
		if at := d.Host + " " + d.Role; at != where {
			where = at
			p.printf("%s, %s\n", d.Host, d.Role)
		}
		p.printf("  %s\n", d)
		push = push || d.Change == reconcile.EnvMissing || d.Change == reconcile.EnvOther
	}
	for _, host := range skipped {
		p.printf("%s cannot be reached: %s\n", host.Host, host.Reason)
	}
	switch {
	case len(differences) == 0 && len(skipped) == 0:
		p.printf("No secret differs: the servers and what runs there have the values at hand here.\n")
	case push:
		p.note("`kamald env push` puts those at hand on the servers; the next `kamald apply` starts containers with them.")
	}
	return nil
}

func envDiffEnd(differences []reconcile.EnvDifference, skipped []plan.Skipped, detailed bool) error {
	switch {
	case len(skipped) > 0:
		return &exit{code: exitSkipped}
	case detailed && len(differences) > 0:
		return &exit{code: exitChanges}
	}
	return nil
}
