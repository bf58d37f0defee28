package main

import (
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/kamald/kamald/state"
)

func (p *program) approveCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "approve [WORD]",
		Short: "Let the daemon do what waits for a person",
		Long: "A change that would remove more of what runs than `max_remove`, what no release asks for any more, and a proposal that is not newer\n" +
			"than what is held wait for an approval. `kamald status` and the dashboard show what it is, and its WORD; without one whatever waits now is approved.",
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.withDaemon(cmd, func(r *remote) error {
				word := r.status.Approve
				if len(args) == 1 {
					word = args[0]
				}
				if word == "" {
					return errors.New("nothing waits for an approval")
				}
				if _, err := r.Approve(cmd.Context(), r.app, word); err != nil {
					return err
				}
				p.printf("Approved: %s.\n", word)
				return nil
			})
		},
	}
	p.serverFlag(cmd)
	return cmd
}

func (p *program) pauseCommand() *cobra.Command {
	var (
		pause state.Pause
		span  time.Duration
	)
	cmd := &cobra.Command{
		Use:   "pause",
		Short: "Keep the daemon from touching an app, or a part of it, for a while",
		Long:  "The daemon goes on looking, and reports. While any part is paused it rolls nothing out; it heals what is not paused.",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.withDaemon(cmd, func(r *remote) error {
				if span < 0 {
					return errors.New("--for is a time from now, such as 2h")
				}
				pause.Since = time.Now().UTC().Round(time.Second)
				if span > 0 {
					pause.Until = pause.Since.Add(span)
				}
				if _, err := r.Pause(cmd.Context(), r.app, pause); err != nil {
					return err
				}
				until := "until `kamald unpause`"
				if span > 0 {
					until = "until " + pause.Until.Format(time.RFC3339)
				}
				p.printf("%s is paused %s.\n", r.app, until)
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&pause.Host, "host", "", "only this `host`")
	cmd.Flags().StringVar(&pause.Role, "role", "", "only this `role`")
	cmd.Flags().StringVar(&pause.Reason, "reason", "", "why, for whoever sees it")
	cmd.Flags().DurationVar(&span, "for", 0, "how long, such as 2h (default: until `kamald unpause`)")
	p.serverFlag(cmd)
	return cmd
}

func (p *program) unpauseCommand() *cobra.Command {
	var host, role string
	cmd := &cobra.Command{
		Use:   "unpause",
		Short: "End a pause: the daemon heals and rolls out again",
		Long:  "Ends the pause of the part that is named as it was paused. `kamald resume` is another thing: it lifts the hold of a release.",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.withDaemon(cmd, func(r *remote) error {
				if _, err := r.Unpause(cmd.Context(), r.app, host, role); err != nil {
					return err
				}
				p.printf("The pause of %s has ended.\n", r.app)
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&host, "host", "", "the `host` that was paused")
	cmd.Flags().StringVar(&role, "role", "", "the `role` that was paused")
	p.serverFlag(cmd)
	return cmd
}
