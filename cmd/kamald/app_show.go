package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/state"
)

func (p *program) appDetailsCommand() *cobra.Command {
	return p.appLook(&cobra.Command{
		Use:   "details",
		Short: "Show what runs of the app on each host, by role",
	}, func(s *session, found reconcile.Look) (any, func()) {
		running := []reconcile.AppContainer{}
		for _, c := range found.Containers(s.desired) {
			if c.State != state.StatusExited && c.State != state.StatusCreated && c.State != state.StatusDead {
				running = append(running, c)
			}
		}
		gates := slices.DeleteFunc(plan.Gates(s.desired, found.Snapshot, time.Now()), func(g plan.Gate) bool { return !found.Scope.Has(g.Host, g.Role) && g.Role != "" })
		return map[string]any{"containers": running, "gates": gates}, func() {
			p.containersText(running)
			for _, gate := range gates {
				p.printf("%s\n", gate)
			}
		}
	})
}

func (p *program) appContainersCommand() *cobra.Command {
	return p.appLook(&cobra.Command{
		Use:   "containers",
		Short: "Show every container of the app on each host, also those that are kept for rollback",
	}, func(s *session, found reconcile.Look) (any, func()) {
		all := found.Containers(s.desired)
		return map[string]any{"containers": all}, func() { p.containersText(all) }
	})
}

func (p *program) appImagesCommand() *cobra.Command {
	return p.appLook(&cobra.Command{
		Use:   "images",
		Short: "Show the app's images on each host, and what has them",
	}, func(_ *session, found reconcile.Look) (any, func()) {
		all := found.Images()
		return map[string]any{"images": all}, func() {
			t := newTable("HOST", "TAG", "ID", "SIZE", "CREATED", "USED BY")
			for _, m := range all {
				tags := make([]string, len(m.Tags))
				for i, tag := range m.Tags {
					tags[i] = tag[strings.LastIndex(tag, ":")+1:]
				}
				t.row(m.Host, orDash(strings.Join(tags, ", ")), state.ShortID(strings.TrimPrefix(m.ID, "sha256:")), plan.Size(m.Size), m.Created.UTC().Format(time.RFC3339), orDash(strings.Join(m.Used, ", ")))
			}
			p.printf("%s\n", t)
		}
	})
}

// roleVersion is the version that a role runs on a host.
type roleVersion struct {
	Host    string `json:"host"`
	Role    string `json:"role"`
	Version string `json:"version"` // "": nothing of it runs
}

func (p *program) appVersionCommand() *cobra.Command {
	return p.appLook(&cobra.Command{
		Use:   "version",
		Short: "Show which version each role runs on each host",
	}, func(s *session, found reconcile.Look) (any, func()) {
		versions := []roleVersion{}
		for _, on := range s.desired.Hosts {
			host, _ := found.Snapshot.Host(on.Name)
			scope, _ := reconcile.RolesInScope(s.desired, []string{on.Name}, nil) // no role there: nothing to say
			for _, role := range scope.Roles {
				if host.Unreachable != "" || !found.Scope.Has(on.Name, role) {
					continue
				}
				current, _ := plan.CurrentOf(s.desired.App(), host, role)
				versions = append(versions, roleVersion{on.Name, role, current.Version()})
			}
		}
		return map[string]any{"versions": versions}, func() {
			t := newTable("HOST", "ROLE", "VERSION")
			for _, v := range versions {
				t.row(v.Host, v.Role, orNone(v.Version))
			}
			p.printf("%s\n", t)
		}
	})
}

func (p *program) appStaleCommand() *cobra.Command {
	var stop, wait bool
	cmd := p.appLook(&cobra.Command{
		Use:     "stale",
		Aliases: []string{"stale_containers", "stale-containers"},
		Short:   "Show containers that run beside the one that serves, or stop them",
		Long: "Shows containers of the app's roles that run and are not what their role serves with: an interrupted run has left them, or a hand has\n" +
			"started them. With --stop they are stopped, under the deploy lock; none that the proxy sends requests to.",
	}, func(s *session, found reconcile.Look) (any, func()) {
		stale := []reconcile.AppContainer{}
		for _, c := range found.Containers(s.desired) {
			if c.Stale {
				stale = append(stale, c)
			}
		}
		return map[string]any{"containers": stale}, func() {
			if len(stale) == 0 {
				p.printf("Nothing stale runs on the hosts that were seen.\n")
				return
			}
			p.containersText(stale)
			p.printf("next: `kamald app stale --stop` stops them\n")
		}
	})
	look := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if !stop {
			return look(cmd, args)
		}
		return p.changeProxies(cmd.Context(), wait, func(ctx context.Context, s *session) (reconcile.Commanded, error) {
			return s.StopStale(ctx, s.desired, p.flags.hosts, p.flags.roles)
		})
	}
	cmd.Flags().BoolVarP(&stop, "stop", "s", false, "stop them")
	p.lockWaitFlag(cmd.Flags(), &wait)
	return cmd
}

// appLook is a command that looks once at the app's servers. What is shown is given as data, which is an object, and as a text.
func (p *program) appLook(cmd *cobra.Command, show func(*session, reconcile.Look) (any, func())) *cobra.Command {
	cmd.Args = cobra.NoArgs
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return p.with(cmd.Context(), needsHosts, func(s *session) error {
			s.Secrets = nothing{} // what runs is no matter of secrets
			found, err := s.Look(cmd.Context(), s.desired, p.flags.hosts, p.flags.roles, false)
			if err != nil {
				return err
			}
			s.progress.end()
			data, text := show(s, found)
			if p.flags.json {
				object := data.(map[string]any)
				object["schema"], object["app"], object["taken_at"] = schema, s.desired.App(), found.Snapshot.TakenAt
				for name, hosts := range map[string][]plan.Skipped{"unreachable": found.Unreachable(), "cordoned": found.Cordoned()} {
					if len(hosts) > 0 {
						object[name] = hosts
					}
				}
				if err := p.writeJSON(object); err != nil {
					return err
				}
			} else {
				text()
				p.unseen(found)
			}
			if len(found.Unreachable()) > 0 {
				return &exit{code: exitSkipped}
			}
			return nil
		})
	}
	return limits(cmd)
}

// unseen names the hosts that nothing is known of.
func (p *program) unseen(found reconcile.Look) {
	for _, host := range found.Unreachable() {
		p.printf("%s: unreachable: %s\n", host.Host, host.Reason)
	}
	for _, host := range found.Cordoned() {
		p.printf("%s: left out: %s\n", host.Host, host.Reason)
	}
}

func (p *program) containersText(list []reconcile.AppContainer) {
	t := newTable("HOST", "ROLE", "CONTAINER", "ID", "VERSION", "STATE", "HEALTH", "CLASS", "RELEASE", "CREATED", "PROXY")
	for _, c := range list {
		release := "-"
		if c.Release > 0 {
			release = fmt.Sprint(c.Release)
		}
		t.row(c.Host, c.Role, c.Name, c.ID, c.Version, string(c.State), orDash(c.Health), string(c.Class), release, c.Created.UTC().Format(time.RFC3339), yes(c.Routed))
	}
	p.printf("%s\n", t)
}
