package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/state"
)

func (p *program) proxyDetailsCommand() *cobra.Command {
	return onlyHosts(&cobra.Command{
		Use:   "details",
		Short: "Show the proxy of each host: image, version, ports, since when, whose it is",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.showProxies(cmd, p.detailsText)
		},
	})
}

func (p *program) proxyRoutesCommand() *cobra.Command {
	return onlyHosts(&cobra.Command{
		Use:   "routes",
		Short: "Show what the proxies route, of every app on the hosts",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.showProxies(cmd, p.routesText)
		},
	})
}

// showProxies looks at the proxies, and shows them.
func (p *program) showProxies(cmd *cobra.Command, text func([]reconcile.ProxyHost)) error {
	return p.with(cmd.Context(), needsHosts, func(s *session) error {
		found, err := s.Proxies(cmd.Context(), s.desired, p.flags.hosts)
		if err != nil {
			return err
		}
		if p.flags.json {
			if err := p.writeJSON(map[string]any{"schema": schema, "app": s.desired.App(), "hosts": found}); err != nil {
				return err
			}
		} else {
			text(found)
		}
		for _, host := range found {
			if host.Unreachable != "" {
				return &exit{code: exitSkipped}
			}
		}
		return nil
	})
}

func (p *program) detailsText(found []reconcile.ProxyHost) {
	t := newTable("HOST", "CONTAINER", "IMAGE", "VERSION", "OWN", "PORTS", "STATE", "SINCE", "ROUTES", "OWNER")
	for _, h := range found {
		switch {
		case h.Cordoned != "":
			t.row(h.Host, "-", "unknown", "-", "-", "-", "cordoned")
		case h.Unreachable != "":
			t.row(h.Host, "-", "unknown", "-", "-", "-", "unreachable")
		case h.Container == "":
			t.row(h.Host, "none")
		default:
			since := "-"
			if !h.Since.IsZero() {
				since = h.Since.UTC().Format(time.RFC3339)
			}
			t.row(h.Host, h.Container, h.Image, orDash(h.Version), yes(h.Own), orDash(strings.Join(h.Ports, ",")), string(h.State), since, fmt.Sprint(len(h.Routes)), orDash(h.Owner))
		}
	}
	p.showTable(t)
	p.proxyNotes(found)
}

func (p *program) routesText(found []reconcile.ProxyHost) {
	t := newTable("HOST", "ROUTE", "HOSTS", "PATHS", "TARGET", "STATE", "TLS", "HEALTH")
	rows := 0
	for _, h := range found {
		for _, r := range h.Routes {
			rows++
			hosts := strings.Join(r.Hosts, ",")
			if hosts == "" {
				hosts = "*"
			}
			name := r.Name
			if r.Accessory != "" {
				name += " (accessory " + r.Accessory + ")"
			}
			t.row(h.Host, name, hosts, strings.Join(r.Paths, ","), strings.Join(r.Targets, ","), r.State, yes(r.TLS), orDash(r.Health))
		}
	}
	if rows > 0 {
		p.showTable(t)
	} else {
		p.printf("No proxy that was reached routes anything.\n")
	}
	p.proxyNotes(found)
}

// proxyNotes says what is out of the ordinary with a proxy.
func (p *program) proxyNotes(found []reconcile.ProxyHost) {
	for _, h := range found {
		switch {
		case h.Cordoned != "":
			p.printf("%s: left out: %s\n", h.Host, h.Cordoned)
		case h.Unreachable != "":
			p.printf("%s: unreachable: %s\n", h.Host, h.Unreachable)
		case h.Container == "":
			p.printf("%s: there is no proxy; `kamald proxy boot` makes it\n", h.Host)
		case h.Stopped != nil:
			p.printf("%s: stopped on purpose by %s; `kamald proxy start` ends it\n", h.Host, h.Stopped.By())
		case h.State != state.StatusRunning:
			p.printf("%s: it does not run; `kamald proxy start` or the next `kamald apply` starts it\n", h.Host)
		}
		if h.Unread != "" {
			p.printf("%s: what the running proxy routes could not be read, so this is what it keeps: %s\n", h.Host, h.Unread)
		}
		for _, conflict := range h.Conflicts {
			p.printf("%s: %s\n", h.Host, conflict)
		}
	}
}
