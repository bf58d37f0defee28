package main

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// details is everything in one look: what status says, and what is around it.
type details struct {
	status
	Proxies []proxyStatus `json:"proxies"`
	// Accessories are what lives beside the app, and what of it is otherwise than the file says.
	Accessories []reconcile.AccessoryStatus `json:"accessories"`
	Intents     []state.Intent              `json:"intents"` // what people want on purpose, and have not lifted
}

// proxyStatus is the proxy of a host, as a look sees it.
type proxyStatus struct {
	Host    string        `json:"host"`
	Name    string        `json:"name,omitempty"` // "": there is none
	Image   string        `json:"image,omitempty"`
	Version string        `json:"version,omitempty"`
	Running bool          `json:"running"`
	Stopped *state.Intent `json:"stopped,omitempty"`
	Routes  []routeStatus `json:"routes"` // of this app
	Others  int           `json:"others"` // routes of other apps
}

type routeStatus struct {
	Name    string   `json:"name"`
	Targets []string `json:"targets"`
	State   string   `json:"state"`
}

func (p *program) detailsCommand() *cobra.Command {
	var stored bool
	cmd := &cobra.Command{
		Use:   "details",
		Short: "Show everything in one look: proxies, what runs, versions, health, accessories, who has stopped or cordoned what",
		Long:  "Shows what `kamald status` shows, the proxies and this app's routes, the accessories as `kamald accessory details all` does, and what\npeople have stopped, cordoned or put in maintenance.",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.with(cmd.Context(), needsHosts, func(s *session) error {
				s.Secrets = nothing{}
				found, err := s.Look(cmd.Context(), s.desired, p.flags.hosts, p.flags.roles, stored)
				if err != nil {
					return err
				}
				d := detailsOf(s.desired, found)
				d.News = p.news
				if d.Accessories, err = s.AccessoriesIn(cmd.Context(), s.desired, found); err != nil {
					return err
				}
				if d.Quarantined, err = s.Quarantined(s.desired, found.Snapshot); err != nil {
					return err
				}
				if d.Daemon, err = p.daemonStatus(cmd); err != nil {
					return err
				}
				s.progress.end()
				return p.showDetails(d)
			})
		},
	}
	p.serverFlag(cmd)
	cmd.Flags().BoolVar(&stored, "no-refresh", false, "look at no server: show what was seen last")
	return cmd
}

func detailsOf(desired release.Release, found reconcile.Look) details {
	d := details{status: statusOf(desired, found.Snapshot).within(found.Scope, desired, found.Snapshot), Proxies: []proxyStatus{}, Intents: []state.Intent{}}
	d.Gates, d.Moved, d.Held = plan.Gates(desired, found.Snapshot, time.Now()), found.Moved, heldOf(found.Held)
	for _, host := range d.Hosts {
		seen, _ := found.Snapshot.Host(host.Host)
		if host.Unreachable != "" || host.Cordoned != "" {
			continue
		}
		proxy := proxyStatus{Host: host.Host, Name: seen.Proxy.Name, Image: seen.Proxy.Image, Version: seen.Proxy.Version, Running: seen.Proxy.Running,
			Stopped: seen.Proxy.Stopped, Routes: []routeStatus{}}
		for _, route := range seen.Proxy.Routes {
			if !ownRouteOf(desired, route) {
				proxy.Others++
				continue
			}
			proxy.Routes = append(proxy.Routes, routeStatus{Name: route.Name, Targets: route.Targets, State: stateOf(route)})
		}
		d.Proxies = append(d.Proxies, proxy)
	}
	for _, intent := range found.Snapshot.Intents() {
		if !intent.Lifted {
			d.Intents = append(d.Intents, intent)
		}
	}
	return d
}

func ownRouteOf(desired release.Release, route state.Route) bool {
	for _, role := range desired.Tenants() {
		_, beside := state.AccessoryOf(role.Name)
		if (role.Proxy != nil || !beside) && desired.RouteName(role.Name) == route.Name {
			return true
		}
	}
	return false
}

func stateOf(route state.Route) string {
	switch {
	case route.Stopped:
		return state.RouteStopped
	case route.Paused:
		return state.RoutePaused
	}
	return state.RouteRunning
}

func (p *program) showDetails(d details) error {
	if p.flags.json {
		skipped := false
		for _, host := range d.Hosts {
			skipped = skipped || host.Unreachable != "" && !host.Leaving
		}
		if err := p.writeJSON(d); err != nil || !skipped {
			return err
		}
		return &exit{code: exitSkipped}
	}
	p.proxiesText(d.Proxies)
	p.printf("\n")
	err := p.showStatus(d.status)
	if len(d.Accessories) > 0 {
		p.printf("\n")
		p.accessoriesText(d.Accessories)
	}
	p.intentsText(d.Intents)
	return err
}

func (p *program) proxiesText(list []proxyStatus) {
	t := newTable("HOST", "PROXY", "VERSION", "STATE", "ROUTE", "TARGET", "ROUTE STATE")
	for _, proxy := range list {
		running := "stopped"
		switch {
		case proxy.Name == "":
			t.row(proxy.Host, "none")
			continue
		case proxy.Running:
			running = "running"
		}
		if len(proxy.Routes) == 0 {
			t.row(proxy.Host, proxy.Name, orDash(proxy.Version), running, "-", "-", "-")
		}
		for _, route := range proxy.Routes {
			target := "-"
			if len(route.Targets) > 0 {
				target = route.Targets[0]
			}
			t.row(proxy.Host, proxy.Name, orDash(proxy.Version), running, route.Name, target, route.State)
		}
	}
	p.printf("%s\n", t)
	for _, proxy := range list {
		if proxy.Others > 0 {
			p.printf("%s: the proxy has %s of other apps\n", proxy.Host, counted(proxy.Others, "route", "routes"))
		}
	}
}

func (p *program) intentsText(intents []state.Intent) {
	if len(intents) == 0 {
		return
	}
	t := newTable("HOST", "ROLE", "ON PURPOSE", "SINCE", "UNTIL", "BY", "REASON")
	for _, i := range intents {
		until := "-"
		if !i.Until.IsZero() {
			until = i.Until.UTC().Format(time.RFC3339)
		}
		t.row(i.Host, orDash(i.Role), i.Kind, i.Since.UTC().Format(time.RFC3339), until, i.Who+"@"+i.Where, orDash(plan.Printable(i.Reason)))
	}
	p.printf("\n%s\n", t)
}
