package main

import (
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/reconcile/loop"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// status is what runs, as data.
type status struct {
	Schema  int             `json:"schema"`
	App     state.App       `json:"app"`
	TakenAt time.Time       `json:"taken_at"`
	Hosts   []hostStatus    `json:"hosts"`
	Held    *heldStatus     `json:"held,omitempty"`
	Moved   []plan.HandMove `json:"moved,omitempty"` // by another than kamald, without a record
	Gates   []plan.Gate     `json:"gates,omitempty"` // what does not serve on purpose
	News    []string        `json:"news,omitempty"`  // releases of others that were met
	// Quarantined are versions that version_policy would choose, and does not, since they failed.
	Quarantined []plan.Quarantined `json:"quarantined,omitempty"`
	Daemon      *loop.Status       `json:"daemon,omitempty"` // what the daemon that drives the app says; nil: none does
}

// heldStatus is the newest release that succeeded.
type heldStatus struct {
	Release int       `json:"release"`
	Version string    `json:"version"`
	Kind    string    `json:"kind"`
	Who     string    `json:"who"`
	Where   string    `json:"where"`
	At      time.Time `json:"at"`
	Hold    bool      `json:"hold"` // what the file proposes waits
}

type hostStatus struct {
	Host        string            `json:"host"`
	Unreachable string            `json:"unreachable,omitempty"`
	Cordoned    string            `json:"cordoned,omitempty"` // left out on purpose, and not looked at: by whom and why
	Leaving     bool              `json:"leaving,omitempty"`  // it left the file; the next apply empties it
	Latest      string            `json:"latest,omitempty"`   // the version that latest[-destination] is at
	Release     int               `json:"release,omitempty"`
	Lock        *state.Lock       `json:"lock,omitempty"`
	Proxy       string            `json:"proxy,omitempty"` // its container, when it runs
	Containers  []containerStatus `json:"containers"`
}

type containerStatus struct {
	Role    string       `json:"role"`
	Name    string       `json:"name,omitempty"` // "": the role should be here and has no container
	Version string       `json:"version,omitempty"`
	State   state.Status `json:"state,omitempty"`
	Health  string       `json:"health,omitempty"`
	Class   plan.Class   `json:"class,omitempty"`
	Latest  bool         `json:"latest"` // made from the image that latest is at
	Routed  bool         `json:"routed"` // the proxy sends traffic to it
}

func (p *program) statusCommand() *cobra.Command {
	var stored bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show what runs on each host",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.with(cmd.Context(), needsHosts, func(s *session) error {
				s.progress.watch()
				s.Secrets = nothing{} // what runs is no matter of secrets, nor of where the image is
				planned, err := s.Plan(cmd.Context(), s.desired, reconcile.Options{Stored: stored, Pin: &plan.Pin{}, SkipUnreachable: true, Hosts: p.flags.hosts, Roles: p.flags.roles})
				if err != nil {
					return err
				}
				found := statusOf(s.desired, planned.Snapshot).within(planned.Plan.Filter, s.desired, planned.Snapshot)
				found.Gates = plan.Gates(s.desired, planned.Snapshot, time.Now())
				found.Moved, found.News = planned.Plan.Moved, p.news
				found.Held = heldOf(planned.Held)
				if found.Quarantined, err = s.Quarantined(s.desired, planned.Snapshot); err != nil {
					return err
				}
				if found.Daemon, err = p.daemonStatus(cmd); err != nil {
					return err
				}
				return p.showStatus(found)
			})
		},
	}
	p.serverFlag(cmd)
	cmd.Flags().BoolVar(&stored, "no-refresh", false, "look at no server: show what was seen last")
	return cmd
}

func heldOf(r *state.Record) *heldStatus {
	if r == nil {
		return nil
	}
	return &heldStatus{Release: r.Number, Version: r.Version, Kind: r.Kind, Who: r.Who, Where: r.Where, At: r.Ended, Hold: r.Hold}
}

// nothing is no secrets.
type nothing struct{}

func (nothing) Secret(string) (release.Secret, bool, error) { return release.Secret{}, false, nil }
func (nothing) Renew(string) (release.Secret, bool, error)  { return release.Secret{}, false, nil }
func (nothing) Sources() []string                           { return nil }

// within leaves out what is not in scope.
func (s status) within(scope plan.Filter, desired release.Release, seen state.Snapshot) status {
	hosts := []hostStatus{}
	for _, host := range s.Hosts {
		host.Containers = slices.DeleteFunc(host.Containers, func(c containerStatus) bool { return !scope.Has(host.Host, c.Role) })
		on, _ := seen.Host(host.Host)
		on.Name = host.Host // also of one that nothing is known of
		if scope.Concerns(desired, on) {
			hosts = append(hosts, host)
		}
	}
	s.Hosts = hosts
	return s
}

func statusOf(desired release.Release, seen state.Snapshot) status {
	s := status{Schema: schema, App: desired.App(), TakenAt: seen.TakenAt, Hosts: []hostStatus{}}
	for _, on := range desired.Hosts {
		host, ok := seen.Host(on.Name)
		if !ok {
			host = state.Host{Name: on.Name, Unreachable: "it was not observed"}
		}
		s.Hosts = append(s.Hosts, hostStatusOf(desired, host))
	}
	for _, host := range seen.Hosts {
		if h := hostStatusOf(desired, host); host.Leaving && (h.Unreachable != "" || len(h.Containers) > 0) {
			h.Leaving = true
			s.Hosts = append(s.Hosts, h)
		}
	}
	cordoned := plan.CordonedIn(seen, seen.TakenAt)
	for i, h := range s.Hosts {
		if reason := cordoned[h.Host]; reason != "" {
			s.Hosts[i].Unreachable, s.Hosts[i].Cordoned = "", reason
		}
	}
	return s
}

func hostStatusOf(desired release.Release, host state.Host) hostStatus {
	h := hostStatus{Host: host.Name, Unreachable: host.Unreachable, Lock: host.Lock, Containers: []containerStatus{}}
	if host.Unreachable != "" {
		return h
	}
	if host.Record != nil {
		h.Release = host.Record.Number
	}
	if host.Proxy.Running {
		h.Proxy = host.Proxy.Name
	}
	app, there := desired.App(), map[string]bool{}
	for _, c := range host.Containers {
		if c.Service != app.Service || c.Destination != app.Destination || c.Role == "" {
			continue
		}
		route, _ := host.Proxy.Route(app.RouteName(c.Role))
		item := containerStatus{Role: c.Role, Name: c.Name, Version: c.Version(), State: c.Status, Health: c.Health, Class: plan.Classify(desired, host, c),
			Latest: host.Latest != "" && c.ImageID == host.Latest, Routed: route.TargetID() == c.ShortID()}
		there[c.Role] = there[c.Role] || item.Class != plan.Superseded // what is kept for rollback serves nobody
		if item.Latest {
			h.Latest = item.Version
		}
		h.Containers = append(h.Containers, item)
	}
	order := map[string]int{}
	for i, role := range desired.Roles {
		order[role.Name] = i - len(desired.Roles) // roles that left the file come last
		if !there[role.Name] && slices.Contains(role.Hosts, host.Name) {
			h.Containers = append(h.Containers, containerStatus{Role: role.Name})
		}
	}
	h.besides(desired, host)
	slices.SortStableFunc(h.Containers, func(a, b containerStatus) int { return order[a.Role] - order[b.Role] })
	return h
}

// besides are the accessories on the host, and what is left of those that left the file. The version is the image.
func (h *hostStatus) besides(desired release.Release, host state.Host) {
	there := map[string]bool{}
	for _, c := range host.Containers {
		class := plan.Classify(desired, host, c)
		if c.Role != "" || class == plan.Foreign || class == plan.Superseded {
			continue
		}
		role := state.AccessoryRole(c.Service)
		for _, a := range desired.AccessoriesOn(host.Name) {
			if a.Service == c.Service {
				role = state.AccessoryRole(a.Name)
			}
		}
		there[role] = true
		h.Containers = append(h.Containers, containerStatus{Role: role, Name: c.Name, Version: c.Live.Image, State: c.Status, Health: c.Health, Class: class})
	}
	for _, a := range desired.AccessoriesOn(host.Name) {
		if role := state.AccessoryRole(a.Name); !there[role] {
			h.Containers = append(h.Containers, containerStatus{Role: role})
		}
	}
}

func (p *program) showStatus(s status) error {
	skipped := false
	for _, host := range s.Hosts {
		skipped = skipped || host.Unreachable != "" && !host.Leaving // that one blocks nothing
	}
	if p.flags.json {
		if err := p.writeJSON(s); err != nil {
			return err
		}
	} else {
		p.statusText(s)
	}
	if skipped {
		return &exit{code: exitSkipped}
	}
	return nil
}

func (p *program) statusText(s status) {
	t := newTable("HOST", "ROLE", "VERSION", "STATE", "HEALTH", "CLASS", "LATEST", "PROXY")
	kept := 0
	for _, host := range s.Hosts {
		for _, c := range host.Containers {
			switch {
			case c.Class == plan.Superseded && !p.flags.verbose:
				kept++
			case c.Name == "":
				t.row(host.Host, c.Role, "none")
			default:
				t.row(host.Host, c.Role, c.Version, string(c.State), orDash(c.Health), string(c.Class), yes(c.Latest), yes(c.Routed))
			}
		}
		switch {
		case host.Cordoned != "":
			t.row(host.Host, "-", "unknown", "cordoned")
		case host.Unreachable != "":
			t.row(host.Host, "-", "unknown", "unreachable")
		}
	}
	p.showTable(t)
	for _, host := range s.Hosts {
		p.hostNote(host)
		if host.Lock != nil {
			p.printf("%s: locked by %s\n", host.Host, host.Lock.By())
		}
	}
	for _, m := range s.Moved {
		p.printf("%s %s\n", p.out.in(yellow, "moved by hand:"), m)
	}
	for _, g := range s.Gates {
		p.printf("%s\n", g)
	}
	for _, note := range (plan.Choice{Quarantined: s.Quarantined}).Notes() {
		p.printf("%s\n", note)
	}
	if s.Held != nil && s.Held.Hold {
		p.printf("release %d (%s of version %s) is held by %s@%s since %s: what the file proposes waits until `kamald resume`\n", s.Held.Release, s.Held.Kind,
			s.Held.Version, s.Held.Who, s.Held.Where, s.Held.At.UTC().Format(time.RFC3339))
	}
	p.daemonText(s.Daemon)
	switch {
	case kept == 1:
		p.note("1 older container is kept for rollback; -v lists it.")
	case kept > 1:
		p.note("%d older containers are kept for rollback; -v lists them.", kept)
	}
}

// hostNote says what is out of the ordinary with a host.
func (p *program) hostNote(host hostStatus) {
	switch {
	case host.Cordoned != "":
		p.printf("%s: left out: %s\n", host.Host, host.Cordoned)
	case host.Leaving && host.Unreachable != "":
		p.printf("%s: left the file and cannot be reached: %s; when it is gone for good: `kamald server forget %s`\n", host.Host, host.Unreachable, host.Host)
	case host.Leaving:
		p.printf("%s: left the file; the next `kamald apply` empties it\n", host.Host)
	case host.Unreachable != "":
		p.printf("%s: unreachable: %s\n", host.Host, host.Unreachable)
	}
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func yes(is bool) string {
	if is {
		return "yes"
	}
	return "-"
}
