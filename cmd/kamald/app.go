package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/kamald/kamald/reconcile"
)

func (p *program) appCommand() *cobra.Command {
	app := &cobra.Command{Use: "app", Short: "The app on the servers: look at it, its logs, a command in its container; stop, start, restart, remove it; maintenance", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	app.AddCommand(p.appDetailsCommand(), p.appContainersCommand(), p.appImagesCommand(), p.appVersionCommand(), p.appStaleCommand(), p.appLogsCommand(), p.appExecCommand(),
		p.appBootCommand(), p.appStartCommand(), p.appStopCommand(), p.appRestartCommand(), p.appRemoveCommand(), p.maintenanceCommand(), p.liveCommand())
	return app
}

func (p *program) maintenanceCommand() *cobra.Command {
	var (
		wait  bool
		m     reconcile.Maintenance
		drain = seconds(-1)
		lasts time.Duration
	)
	cmd := &cobra.Command{
		Use:   "maintenance",
		Short: "Answer every request to the app with 503 until it is live again",
		Long: "Has the proxies answer requests to the app's proxied roles with 503 and the message. The containers go on. Who, why and until when\n" +
			"is noted on each host: plans and releases respect it, and a release in maintenance brings the new version and keeps the 503.\n" +
			"With --for the first `kamald apply` after that time ends it.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			m.Drain = time.Duration(drain)
			var err error
			if m.Until, err = untilAfter(cmd, "maintenance", lasts); err != nil {
				return err
			}
			return p.changeProxies(cmd.Context(), wait, func(ctx context.Context, s *session) (reconcile.Commanded, error) {
				return s.Maintain(ctx, s.desired, m, p.flags.hosts, p.flags.roles)
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&m.Message, "message", "", "what the page says")
	f.StringVar(&m.Reason, "reason", "", "why, for whoever asks later")
	f.DurationVar(&lasts, "for", 0, "how `long`, such as 2h; without it until kamald app live")
	f.Var(&drain, "drain-timeout", "how long requests in flight may take to end (default: the file's drain_timeout)")
	f.Lookup("drain-timeout").DefValue = ""
	p.lockWaitFlag(f, &wait)
	return limits(cmd)
}

// untilAfter is when what lasts so long by --for ends; zero without that flag.
func untilAfter(cmd *cobra.Command, what string, lasts time.Duration) (time.Time, error) {
	if !cmd.Flags().Changed("for") {
		return time.Time{}, nil
	}
	if lasts <= 0 {
		return time.Time{}, fmt.Errorf("--for: %s lasts more than 0, not %s", what, lasts)
	}
	return time.Now().Add(lasts).UTC().Round(time.Second), nil
}

func (p *program) liveCommand() *cobra.Command {
	var wait bool
	cmd := &cobra.Command{
		Use:   "live",
		Short: "End the maintenance, also one that was begun by hand or by Kamal",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.changeProxies(cmd.Context(), wait, func(ctx context.Context, s *session) (reconcile.Commanded, error) {
				return s.Live(ctx, s.desired, p.flags.hosts, p.flags.roles)
			})
		},
	}
	p.lockWaitFlag(cmd.Flags(), &wait)
	return limits(cmd)
}
