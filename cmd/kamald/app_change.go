package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kamald/kamald/reconcile"
)

func (p *program) appStopCommand() *cobra.Command {
	var (
		wait  bool
		why   reconcile.StopReason
		lasts time.Duration
	)
	cmd := &cobra.Command{
		Use:   "stop",
		Short: "Stop the app on purpose, until it is started",
		Long: "Writes on each host who stops what, why and until when; then takes the route of a proxied role away, when its requests have ended;\n" +
			"then stops the role's containers. Nothing heals them and no release starts them until `kamald app start`, or the time of --for:\n" +
			"the first `kamald apply` after that starts them.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if why.Until, err = untilAfter(cmd, "a stop", lasts); err != nil {
				return err
			}
			return p.changeProxies(cmd.Context(), wait, func(ctx context.Context, s *session) (reconcile.Commanded, error) {
				return s.StopApp(ctx, s.desired, why, p.flags.hosts, p.flags.roles)
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&why.Reason, "reason", "", "why, for whoever asks later")
	f.DurationVar(&lasts, "for", 0, "how `long`, such as 2h; without it until kamald app start")
	p.lockWaitFlag(f, &wait)
	return limits(cmd)
}

func (p *program) appStartCommand() *cobra.Command {
	return p.appOfHeld(&cobra.Command{
		Use:   "start",
		Short: "Start what was stopped, with the release that is held",
		Long: "Starts the roles that were stopped, by `kamald app stop` or by a hand, with the container of the release that is held: it is proven\n" +
			"healthy and routed, and then that it was stopped is taken back. What runs is left as it is.",
	}, func(ctx context.Context, s *session, options reconcile.Options) (reconcile.Report, error) {
		return s.StartApp(ctx, s.desired, options)
	})
}

func (p *program) appRestartCommand() *cobra.Command {
	return p.appOfHeld(&cobra.Command{
		Use:   "restart",
		Short: "Make the app's containers anew, one host after another, without a failed request",
		Long: "Makes a new container of the release that is held beside each that runs, proves it healthy, switches the traffic to it, and then\n" +
			"stops the old one; one host after another, and none after one that failed. A singleton stops first. It takes secrets as they lie on\n" +
			"the hosts, so that those that were pushed since come in. What was stopped on purpose stays so.",
	}, func(ctx context.Context, s *session, options reconcile.Options) (reconcile.Report, error) {
		return s.RestartApp(ctx, s.desired, options)
	})
}

func (p *program) appBootCommand() *cobra.Command {
	return p.appOfHeld(&cobra.Command{
		Use:   "boot",
		Short: "Have the roles run the release that is held, or a version, also where they were stopped or removed on purpose",
		Long: "Without --version it brings the roles in scope to the release that is held, as healing does, also where they were stopped or removed on\n" +
			"purpose. With --version V it is `kamald apply --version V` that starts those too: a release like any other, and with --hosts or\n" +
			"--roles a partial one.",
	}, func(ctx context.Context, s *session, options reconcile.Options) (reconcile.Report, error) {
		if p.flags.version != "" {
			return s.BootVersion(ctx, s.desired, options)
		}
		return s.BootApp(ctx, s.desired, options)
	})
}

// appOfHeld is a command that carries out a plan of the held release.
func (p *program) appOfHeld(cmd *cobra.Command, act func(context.Context, *session, reconcile.Options) (reconcile.Report, error)) *cobra.Command {
	var wait bool
	cmd.Args = cobra.NoArgs
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		needs := needsHosts
		if p.flags.version != "" {
			if cmd.Name() != "boot" {
				return fmt.Errorf("--version means nothing to `%s`: it is about the release that is held; `kamald app boot --version` goes to another", cmd.CommandPath())
			}
			needs = needsRelease
		}
		return p.carryOut(cmd.Context(), needs, wait, func(ctx context.Context, s *session) (reconcile.Report, error) {
			return act(ctx, s, reconcile.Options{Hosts: p.flags.hosts, Roles: p.flags.roles})
		})
	}
	p.lockWaitFlag(cmd.Flags(), &wait)
	p.bandwidthFlag(cmd.Flags())
	cmd.PreRunE = func(cmd *cobra.Command, _ []string) error { return p.bandwidth.fromEnvironment(cmd.Flags()) }
	return limits(cmd)
}

func (p *program) appRemoveCommand() *cobra.Command {
	var (
		wait, yes bool
		reason    string
	)
	cmd := &cobra.Command{
		Use:   "remove",
		Short: "Remove the app's containers, images, secrets and routes from the hosts",
		Long: "Stops and removes the containers of the roles, takes their routes away, and, on hosts where that is all of the app, its images, secrets,\n" +
			"certificates and assets. That it is on purpose and the release records stay on the hosts, so that nothing heals it and\n" +
			"`kamald app boot` brings it back. Volumes and directories with data stay, and are named. `kamald remove` takes all of a service away.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := p.confirmScope(cmd, yes, "This removes %s from %s: its containers, images, secrets and routes there. Nobody is served by it after that."); err != nil {
				return err
			}
			return p.changeProxies(cmd.Context(), wait, func(ctx context.Context, s *session) (reconcile.Commanded, error) {
				return s.RemoveApp(ctx, s.desired, reason, p.flags.hosts, p.flags.roles)
			})
		},
	}
	f := cmd.Flags()
	f.BoolVarP(&yes, "yes", "y", false, "do not ask")
	f.StringVar(&reason, "reason", "", "why, for whoever asks later")
	p.lockWaitFlag(f, &wait)
	return limits(cmd)
}

// confirmScope asks before something is done to roles on hosts; the text takes what, and where.
func (p *program) confirmScope(cmd *cobra.Command, yes bool, text string) error {
	desired, err := p.load(cmd.Context(), needsHosts)
	if err != nil {
		return err
	}
	places, err := reconcile.RolesInScope(desired, p.flags.hosts, p.flags.roles)
	if err != nil {
		return err
	}
	what := desired.App().String()
	if len(p.flags.roles) > 0 {
		what += " (" + strings.Join(places.Roles, ", ") + ")"
	}
	return p.confirm(fmt.Sprintf(text, what, strings.Join(places.Hosts, ", ")), yes)
}
