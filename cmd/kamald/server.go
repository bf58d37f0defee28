package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kamald/kamald/reconcile"
)

func (p *program) serverCommand() *cobra.Command {
	server := &cobra.Command{Use: "server", Short: "Make servers ready, run a command there, leave one out, take it in again, or forget it", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	server.AddCommand(p.bootstrapCommand(), p.serverExecCommand(), p.cordonCommand(), p.uncordonCommand(), p.forgetCommand())
	return server
}

func (p *program) cordonCommand() *cobra.Command {
	var reason, until string
	cmd := &cobra.Command{
		Use:   "cordon HOST",
		Short: "Leave a server out of plans and locks until it is uncordoned",
		Long: "Leaves a server out of plans, locks and looks; what runs there is left alone. It is written on every server of the app that\n" +
			"can be reached, so that everybody who deploys respects it.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			end, err := parseUntil(until, time.Now())
			if err != nil {
				return err
			}
			return p.mark(cmd, "left out from now on; `kamald server uncordon "+args[0]+"` takes it in again", func(s *session) (reconcile.Marked, error) {
				return s.Cordon(cmd.Context(), s.desired, args[0], reason, end)
			})
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why, for whoever asks later")
	cmd.Flags().StringVar(&until, "until", "", "when it ends by itself: a time such as 2026-01-31T18:00:00Z, or a duration such as 4h")
	return cmd
}

func (p *program) uncordonCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "uncordon HOST",
		Short: "Take a cordoned server in again",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.mark(cmd, "taken in again; the next `kamald apply` brings it to where the others are", func(s *session) (reconcile.Marked, error) {
				return s.Uncordon(cmd.Context(), s.desired, args[0])
			})
		},
	}
}

func (p *program) forgetCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "forget HOST",
		Short: "Stop asking for a server that left the file and is gone for good",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.mark(cmd, "forgotten; nothing there was touched", func(s *session) (reconcile.Marked, error) {
				return s.Forget(cmd.Context(), s.desired, args[0])
			})
		},
	}
}

// mark writes an intent and says where it lies.
func (p *program) mark(cmd *cobra.Command, done string, write func(*session) (reconcile.Marked, error)) error {
	return p.with(cmd.Context(), needsHosts, func(s *session) error {
		marked, err := write(s)
		if err != nil {
			return err
		}
		if p.flags.json {
			return p.writeJSON(struct {
				Schema int `json:"schema"`
				reconcile.Marked
			}{schema, marked})
		}
		p.printf("%s: %s\n", marked.Intent.Host, done)
		if len(marked.Held) > 0 {
			p.printf("  when it was last seen it had %s\n", strings.Join(marked.Held, ", "))
		}
		for _, host := range marked.Skipped {
			p.note("%s could not be told: %s; the others know", host.Host, host.Reason)
		}
		return nil
	})
}

// parseUntil reads a time, or a duration from now; "" is no end.
func parseUntil(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if d, err := time.ParseDuration(text); err == nil && d > 0 {
		return now.Add(d).UTC().Round(time.Second), nil
	}
	end, err := time.Parse(time.RFC3339, text)
	if err != nil || !end.After(now) {
		return time.Time{}, fmt.Errorf("--until: %q is neither a time to come, such as 2026-01-31T18:00:00Z, nor a duration such as 4h", text)
	}
	return end.UTC(), nil
}
