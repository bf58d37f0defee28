package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/reconcile"
)

func (p *program) adoptCommand() *cobra.Command {
	var dry, wait bool
	cmd := &cobra.Command{
		Use:   "adopt",
		Short: "Take what runs now as the release that is held; restart nothing",
		Long: "Takes what runs, whoever deployed it, as the held release with the file's configuration, and says where what runs is not as the file has it.\n" +
			"Writes release records, and restarts nothing. What the file proposes waits until `kamald resume`.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			version, err := p.runningVersion(cmd.Context())
			if err != nil {
				return err
			}
			p.flags.version = version
			return p.with(cmd.Context(), needsRelease, func(s *session) error {
				s.LockWait, s.LockWaitLimit = wait, p.lockWait
				p.changes(s)
				adopted, err := s.Adopt(cmd.Context(), s.desired, dry)
				s.progress.end()
				if err != nil {
					return err
				}
				return p.showAdopted(adopted)
			})
		},
	}
	cmd.Flags().BoolVar(&dry, "dry-run", false, "say what would be adopted, and write nothing")
	p.lockWaitFlag(cmd.Flags(), &wait)
	return cmd
}

// runningVersion asks the servers, whatever version the file has: the file is then read again at the one that runs.
func (p *program) runningVersion(ctx context.Context) (version string, err error) {
	err = p.with(ctx, needsHosts, func(s *session) error {
		version, err = s.Runs(ctx, s.desired)
		return err
	})
	return version, err
}

func (p *program) showAdopted(adopted reconcile.Adopted) error {
	if p.flags.json {
		if err := p.writeJSON(struct {
			Schema int `json:"schema"`
			reconcile.Adopted
		}{schema, adopted}); err != nil {
			return err
		}
	} else if err := p.adoptedText(adopted); err != nil {
		return err
	}
	if len(adopted.Skipped) > 0 {
		return &exit{code: exitSkipped}
	}
	return nil
}

func (p *program) adoptedText(adopted reconcile.Adopted) error {
	switch {
	case adopted.Already:
		p.printf("Nothing to adopt: the records say that version %s was released.\n", adopted.Version)
	case adopted.Release == 0:
		p.printf("Would adopt version %s.\n", adopted.Version)
	default:
		p.printf("Adopted version %s as release %d, which is held; nothing was restarted.\n", adopted.Version, adopted.Release)
	}
	moved := "moved by hand"
	if adopted.Release > 0 {
		moved = "until now, moved by hand" // latest is at what runs again
	}
	for _, m := range adopted.Moved {
		p.printf("  %s: %s\n", moved, m)
	}
	if len(adopted.Differs) > 0 {
		p.printf("\n%s\n", p.out.in(bold, "What runs is not as the file has it; `kamald apply` would bring it in line:"))
		if err := (plan.Plan{Items: adopted.Differs}).ItemsText(p.out.prose(), plan.TextOptions{Color: p.out.color}); err != nil {
			return err
		}
	}
	for _, host := range adopted.Skipped {
		p.printf("%s\n", fmt.Sprintf("%s: unreachable, so it has no record of this: %s", host.Host, host.Reason))
	}
	return nil
}
