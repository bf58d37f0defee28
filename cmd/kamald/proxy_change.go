package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kamald/kamald/reconcile"
)

func (p *program) proxyBootCommand() *cobra.Command {
	return p.proxyChange(&cobra.Command{
		Use:   "boot",
		Short: "Make and start the proxy where it lacks",
		Long:  "Makes and starts the proxy on every host that has a proxied role, as a release does. One that runs is left alone.",
	}, nil, func(ctx context.Context, s *session) (reconcile.Commanded, error) {
		return s.BootProxy(ctx, s.desired, p.flags.hosts)
	})
}

func (p *program) proxyRebootCommand() *cobra.Command {
	var rolling bool
	cmd := p.proxyChange(&cobra.Command{
		Use:   "reboot",
		Short: "Make the proxy's container anew with the file's settings, or from another image",
		Long: "Makes the proxy's container anew with the settings of proxy_server: this is how it gets other ports, options or another image.\n" +
			"Everything is made ready before the old one stops; between that and the new one's start nobody is answered there. What it\n" +
			"routes for every app is verified afterwards, and put back where it was lost. When the new one does not come up, the old one is\n" +
			"started again.",
	}, func(hosts string) string {
		how := "all of them at once (--rolling takes one after another)"
		if rolling {
			how = "one after another"
		}
		return fmt.Sprintf("This makes the proxy anew on %s, %s. On each nobody is answered between the stop of the old one and the start of the new:\n"+
			"about a second, and up to %s more while requests end. Every app there is concerned.", hosts, how, reconcile.ProxyGrace)
	}, func(ctx context.Context, s *session) (reconcile.Commanded, error) {
		return s.RebootProxy(ctx, s.desired, p.flags.hosts, rolling)
	})
	return rollingFlag(cmd, &rolling)
}

func (p *program) proxyStartCommand() *cobra.Command {
	return p.proxyChange(&cobra.Command{
		Use:   "start",
		Short: "Start the proxy that is there, also one that was stopped on purpose",
	}, nil, func(ctx context.Context, s *session) (reconcile.Commanded, error) {
		return s.StartProxy(ctx, s.desired, p.flags.hosts)
	})
}

func (p *program) proxyStopCommand() *cobra.Command {
	var reason string
	cmd := p.proxyChange(&cobra.Command{
		Use:   "stop",
		Short: "Stop the proxy on purpose, until it is started",
		Long: "Stops the proxy: nobody reaches any app there until `kamald proxy start`. That it was stopped on purpose is noted on the host:\n" +
			"plans do not start it again, and no release that needs it is made.",
	}, func(hosts string) string {
		return fmt.Sprintf("This stops the proxy on %s: no app there is reached until `kamald proxy start`.", hosts)
	}, func(ctx context.Context, s *session) (reconcile.Commanded, error) {
		return s.StopProxy(ctx, s.desired, reason, p.flags.hosts)
	})
	cmd.Flags().StringVar(&reason, "reason", "", "why, for whoever asks later")
	return cmd
}

func (p *program) proxyRestartCommand() *cobra.Command {
	var rolling bool
	cmd := p.proxyChange(&cobra.Command{
		Use:   "restart",
		Short: "Stop the proxy and start it; routes that it has lost are put back",
	}, func(hosts string) string {
		return fmt.Sprintf("This restarts the proxy on %s. On each nobody is answered for about a second, and up to %s more while requests end.", hosts, reconcile.ProxyGrace)
	}, func(ctx context.Context, s *session) (reconcile.Commanded, error) {
		return s.RestartProxy(ctx, s.desired, p.flags.hosts, rolling)
	})
	return rollingFlag(cmd, &rolling)
}

func (p *program) proxyRemoveCommand() *cobra.Command {
	var force bool
	cmd := p.proxyChange(&cobra.Command{
		Use:   "remove",
		Short: "Remove the proxy: its container, its image and its directory",
		Long: "Removes the proxy's container, its image and its directory; its volume, with routes and certificates, stays. While other apps are\n" +
			"on a host it is refused there.",
	}, func(hosts string) string {
		text := fmt.Sprintf("This removes the proxy of %s: this app is not reached there any more.", hosts)
		if force {
			text += " Nor is any other app there."
		}
		return text
	}, func(ctx context.Context, s *session) (reconcile.Commanded, error) {
		return s.RemoveProxy(ctx, s.desired, force, p.flags.hosts)
	})
	cmd.Flags().BoolVar(&force, "force", false, "also where other apps need it")
	return cmd
}

func (p *program) proxyPauseCommand() *cobra.Command {
	var most, drain seconds = seconds(30 * time.Second), seconds(30 * time.Second)
	cmd := &cobra.Command{
		Use:   "pause",
		Short: "Hold the requests to this app until they are resumed",
		Long: "Has the proxies hold the requests to the app's proxied roles: each waits until `kamald proxy resume`, or is answered with 504 when it\n" +
			"has waited too long. For something short, such as moving a database; `kamald app maintenance` is for what takes longer.",
		Args: cobra.NoArgs,
	}
	var wait bool
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if most <= 0 {
			return fmt.Errorf("--max-pause: a pause lasts more than 0, not %s", time.Duration(most))
		}
		return p.changeProxies(cmd.Context(), wait, func(ctx context.Context, s *session) (reconcile.Commanded, error) {
			return s.PauseRoutes(ctx, s.desired, time.Duration(drain), time.Duration(most), p.flags.hosts, p.flags.roles)
		})
	}
	cmd.Flags().Var(&most, "max-pause", "how long a request is held at most")
	cmd.Flags().Var(&drain, "drain-timeout", "how long requests in flight may take to end")
	p.lockWaitFlag(cmd.Flags(), &wait)
	return limits(cmd)
}

func (p *program) proxyResumeCommand() *cobra.Command {
	var wait bool
	cmd := &cobra.Command{Use: "resume", Short: "Let the requests go on that were paused", Args: cobra.NoArgs}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return p.changeProxies(cmd.Context(), wait, func(ctx context.Context, s *session) (reconcile.Commanded, error) {
			return s.ResumeRoutes(ctx, s.desired, p.flags.hosts, p.flags.roles)
		})
	}
	p.lockWaitFlag(cmd.Flags(), &wait)
	return limits(cmd)
}

// proxyChange gives a command that changes the proxies its flags. outage says what it costs, and is asked for unless -y; nil: it
// costs nothing.
func (p *program) proxyChange(cmd *cobra.Command, outage func(hosts string) string, act func(context.Context, *session) (reconcile.Commanded, error)) *cobra.Command {
	var wait, yes bool
	cmd.Args = cobra.NoArgs
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if outage != nil {
			desired, err := p.load(cmd.Context(), needsHosts)
			if err != nil {
				return err
			}
			hosts, err := reconcile.ProxyHosts(desired, p.flags.hosts)
			if err != nil {
				return err
			}
			if err := p.confirm(outage(strings.Join(hosts, ", ")), yes); err != nil {
				return err
			}
		}
		return p.changeProxies(cmd.Context(), wait, act)
	}
	if outage != nil {
		cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	}
	p.lockWaitFlag(cmd.Flags(), &wait)
	return onlyHosts(cmd)
}

// rollingFlag lets a command that concerns all hosts at once take one after another.
func rollingFlag(cmd *cobra.Command, rolling *bool) *cobra.Command {
	cmd.Flags().BoolVar(rolling, "rolling", false, "one host after another, and none after one that failed (default: all at once, as Kamal does)")
	return cmd
}
