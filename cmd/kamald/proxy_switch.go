package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/state"
)

func (p *program) proxySwitchCommand() *cobra.Command {
	var (
		to             string
		yes, dry, wait bool
	)
	cmd := &cobra.Command{
		Use:   "switch",
		Short: "Change the servers' Traefik for the file's kamal-proxy, or the other way round",
		Long: "Gives every host with a proxied role the proxy that the file asks for (proxy_server.driver), in place of the other one: also in place of\n" +
			"a Traefik that Kamal 1 made. All its routes are taken along, also those of other apps. Everything is prepared and rehearsed while the old\n" +
			"proxy serves; then, host by host, the old one is stopped and the new one started, since both want the same ports. When the new one does\n" +
			"not come to serve every route, the old one is started again.\n" +
			"To go back, have the file ask for the other proxy again, and run this once more.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.with(cmd.Context(), needsHosts, func(s *session) error {
				s.LockWait, s.LockWaitLimit = wait, p.lockWait
				return p.switchProxy(cmd.Context(), s, to, yes, dry)
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&to, "to", "", "the driver that the file has, to be sure: kamal-proxy or traefik")
	f.BoolVarP(&yes, "yes", "y", false, "do not ask")
	f.BoolVar(&dry, "dry-run", false, "show what would be done, and do nothing")
	p.lockWaitFlag(f, &wait)
	return cmd
}

func (p *program) switchProxy(ctx context.Context, s *session, to string, yes, dry bool) error {
	if err := checkSwitchTo(s, to); err != nil {
		return err
	}
	other := s.fleet(p.otherReach(s))
	defer func() { _ = other.Close() }()
	planned, err := s.PlanProxySwitch(ctx, s.desired, other)
	if err != nil {
		return err
	}
	problems := planned.Problems()
	if dry || problems != nil || planned.Needed() == 0 {
		return p.showSwitch(planned, problems)
	}
	if !p.flags.json {
		p.switchText(planned)
	}
	if err := p.confirm(fmt.Sprintf("This changes the proxy; outage %s.", planned.Outage), yes); err != nil {
		return err
	}
	p.changes(s)
	done, err := s.SwitchProxy(ctx, s.desired, other)
	s.progress.end()
	if len(done.Hosts) == 0 {
		return err // nothing was begun
	}
	return p.showSwitch(done, err)
}

// otherReach reaches the same hosts with the other proxy's driver.
func (p *program) otherReach(s *session) reconcile.Connector {
	if p.reach != nil {
		return p.reach
	}
	return newConnector(reconcile.OtherProxy(s.desired), s.connector.secrets)
}

// checkSwitchTo holds --to to the file: what the file does not ask for, the next plan would object to.
func checkSwitchTo(s *session, to string) error {
	has := "kamal-proxy"
	if s.desired.ProxyServer.Traefik() {
		has = state.DriverTraefik
	}
	switch to {
	case "", has:
		return nil
	case "kamal-proxy", state.DriverTraefik:
		return fmt.Errorf("the file asks for %s, and --to for %s: set proxy_server { driver = %q, image = … } first, for the next plan would object to any other", has, to, to)
	}
	return fmt.Errorf("--to is kamal-proxy or traefik, not %q", to)
}

func (p *program) showSwitch(result reconcile.ProxySwitch, err error) error {
	if p.flags.json {
		shown := struct {
			Schema int `json:"schema"`
			reconcile.ProxySwitch
			Error string `json:"error,omitempty"`
		}{Schema: schema, ProxySwitch: result}
		if err != nil {
			shown.Error = err.Error()
		}
		if failed := p.writeJSON(shown); failed != nil {
			return failed
		}
	} else {
		p.switchText(result)
	}
	switch {
	case err != nil && p.flags.json:
		return &exit{code: exitError, cause: err}
	case err != nil:
		return err
	case len(result.Skipped) > 0:
		return &exit{code: exitSkipped}
	}
	return nil
}

// switchText says what is to be done on each host, or what came of it.
func (p *program) switchText(result reconcile.ProxySwitch) {
	begun := slices.ContainsFunc(result.Hosts, func(on reconcile.ProxySwitchOn) bool { return on.Done || on.Error != "" })
	if begun {
		p.switchDone(result)
		return
	}
	for _, on := range result.Hosts {
		switch {
		case on.Problem != "":
			p.printf("%s: %s\n", on.Host, p.out.in(red, on.Problem))
			continue
		case on.Already:
			p.printf("%s: %s serves there already\n", on.Host, on.To.Name)
			continue
		case on.Unfinished:
			p.printf("%s: no proxy runs: %s is started, routes: %d\n", on.Host, on.To.Name, len(on.Routes))
			continue
		}
		p.printf("%s: %s (%s) makes way for %s (%s)  %s\n", on.Host, on.From.Name, on.From.Image, on.To.Name, on.To.Image, p.out.in(yellow, string(on.Risk)))
		for _, route := range on.Routes {
			p.printf("    route %s to %s%s\n", route.Name, strings.Join(route.Targets, ", "), map[bool]string{true: ", stopped"}[route.Stopped])
		}
		for _, name := range on.Attach {
			p.printf("    %s is attached to the network, without a restart\n", name)
		}
		for _, lost := range on.Lost {
			p.printf("    %s %s\n", p.out.in(yellow, "not taken along:"), lost)
		}
	}
	p.skippedText(result)
	if result.Needed() > 0 && result.Problems() == nil {
		p.printf("\nOutage %s.\n", result.Outage)
	}
}

func (p *program) switchDone(result reconcile.ProxySwitch) {
	for _, on := range result.Hosts {
		switch {
		case on.Done && on.Unfinished:
			p.printf("%s: %s serves, routes: %d\n", on.Host, on.To.Name, len(on.Routes))
		case on.Done:
			p.printf("%s: %s serves after an outage of %s, routes: %d; %s is stopped\n", on.Host, on.To.Name, short(on.Took), len(on.Routes), on.From.Name)
		case on.Error != "":
			p.printf("%s: %s\n", on.Host, p.out.in(red, "not switched"))
		case !on.Already:
			p.printf("%s: not begun; %s serves there\n", on.Host, on.From.Name)
		}
	}
	p.skippedText(result)
}

func (p *program) skippedText(result reconcile.ProxySwitch) {
	for _, host := range result.Skipped {
		p.printf("%s: skipped, it could not be reached: %s\n", host.Host, host.Reason)
	}
}
