package plan

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// canary is what a slot has to do with rollouts.
type canary struct {
	endsRollout bool           // the route has one of an interrupted run, which goes
	others      *state.Rollout // somebody else's, which stays
	tried       bool           // this plan makes one
}

// decideRollout finds a rollout on the role's route. One to containers of this role is a canary that was interrupted, and ends;
// another is somebody's, and is kept.
func (s *slot) decideRollout() {
	if s.oldRoute == nil || s.oldRoute.Rollout == nil {
		return
	}
	found := s.oldRoute.Rollout
	switch {
	case s.host.Proxy.Own && s.ownTargets(found.Targets):
		s.endsRollout = true
		s.routeItem(Update, Leftover, "a canary was interrupted", []Field{{Path: "rollout", Before: rolloutText(found)}})
	case found.On: // kamal-proxy keeps one that was stopped
		s.others = found
	}
}

// ownTargets tells whether all targets are containers of the role, or containers that are gone.
func (s *slot) ownTargets(targets []string) bool {
	return !slices.ContainsFunc(targets, func(target string) bool {
		id, _, _ := strings.Cut(target, ":")
		is := func(c state.Container) bool { return c.ShortID() == id }
		return len(id) != 12 || strings.Trim(id, "0123456789abcdef") != "" || slices.ContainsFunc(s.host.Containers, is) && !slices.ContainsFunc(s.own, is)
	})
}

func rolloutText(r *state.Rollout) string {
	if !r.On {
		return "to " + strings.Join(r.Targets, ", ") + ", not begun"
	}
	return fmt.Sprintf("%d %% to %s", r.Percent, strings.Join(r.Targets, ", "))
}

// canaries tells whether a slot's new container gets a share of the traffic first: in a release of another version, where another
// container of the role serves. A rollback and a change of configuration are switched at once, and so is a route that serves nobody.
func (b *builder) canaries(s *slot) bool {
	old := s.oldRoute
	if !b.mayTry(s) || old == nil {
		return false
	}
	if old.Stopped || old.Paused || s.maintenance != nil || !s.host.Proxy.Running || s.wanted != nil && s.wanted.ShortID() == old.TargetID() {
		return false
	}
	return slices.ContainsFunc(s.own, func(c state.Container) bool { return c.Running() && c.ShortID() == old.TargetID() })
}

// mayTry tells whether this plan's versions are tried at this slot wherever another one serves.
func (b *builder) mayTry(s *slot) bool {
	return b.in.Desired.Rollout.Canary != nil && b.kind == KindRelease && !b.in.Options.Back && s.route != nil && !s.role.Singleton
}

// checkCanary finds hosts whose proxy cannot try a version on a share of the traffic. What no proxy there ever could is said before
// there is a version to compare with: else a release that was interrupted after it had started the proxy could not go on.
func (b *builder) checkCanary() {
	for _, s := range b.slots {
		if s.others != nil && s.route != nil {
			b.note("%s: route %s has a rollout that kamald has not made (%s): it is kept", s.host.Name, s.routed, rolloutText(s.others))
		}
		if !b.mayTry(s) {
			continue
		}
		proxy := s.host.Proxy
		switch {
		case proxy.ID != "" && (b.in.Desired.ProxyServer.Driver == state.DriverTraefik || notOwn(proxy)):
			b.problem(s.host.Name, s.role.Name, fmt.Sprintf("rollout.canary needs kamald's own proxy, and the proxy %s is from %s", proxy.Name, orUnknown(proxy.Image)),
				"leave rollout.canary out, or change the proxy: `kamald proxy reboot` where proxy_server.image says another than kamald/proxy, `kamald proxy switch` from Traefik")
		case s.others != nil:
			b.problem(s.host.Name, s.role.Name, fmt.Sprintf("route %s has a rollout that kamald has not made (%s), which a canary would replace", s.routed, rolloutText(s.others)),
				fmt.Sprintf("end it with `docker exec %s kamal-proxy rollout stop %s` on the host, or leave rollout.canary out", proxy.Name, s.routed))
		case b.canaries(s) && !slices.Contains(proxy.Features, state.FeatureSides) && !b.upgrades(s.host):
			b.problem(s.host.Name, s.role.Name, fmt.Sprintf("the proxy %s is of version %s, which does not count the sides of a canary", proxy.Name, orUnknown(proxy.Version)),
				"run `kamald proxy reboot`, which makes it anew with a short outage, or leave rollout.canary out")
		}
	}
}

// notOwn tells whether a proxy is known to be another than kamald's: by its program where it runs, by its image where it is stopped.
func notOwn(proxy state.Proxy) bool {
	kind, _ := release.ProxyImage(proxy.Image)
	return !proxy.Own && (proxy.Running || kind == "kamal-proxy")
}

// upgrades tells whether the plan brings a host's proxy to its wanted version in place.
func (b *builder) upgrades(host state.Host) bool {
	image, _ := upgradeTo(b.in.Desired, host)
	return image != "" && slices.Contains(host.Proxy.Features, state.FeatureUpgrade) && !b.proxyOfAnother(host, []Field{{Path: "image"}})
}

func orUnknown(text string) string {
	if text == "" {
		return "(unknown)"
	}
	return text
}

func (b *builder) note(format string, args ...any) {
	b.plan.Notes = append(b.plan.Notes, fmt.Sprintf(format, args...))
}

// tryAll gives the new containers of a group their share, and holds them there, once for the whole group. It gives what its switches
// wait for.
func (b *builder) tryAll(n int, slots []*slot, proven []string) []string {
	canary := b.in.Desired.Rollout.Canary
	var begun []string
	for _, s := range slots {
		if !b.canaries(s) {
			continue
		}
		route := *s.route
		container := s.name
		if s.wanted != nil {
			container = s.wanted.ID
		}
		s.tried = true
		begun = append(begun, b.add(Step{ID: "canary/" + s.host.Name + "/" + s.role.Name, Kind: StepCanary, Phase: PhaseSwitch, Group: n, Host: s.host.Name,
			Role: s.role.Name, Needs: slices.Clone(proven), Container: container, Name: route.Name, Route: &route, OldRoute: s.oldRoute, Percent: canary.Percent,
			Reason: "rollout.canary: it gets a share of the traffic first"}))
	}
	if len(begun) == 0 {
		return proven
	}
	return []string{b.add(Step{ID: fmt.Sprintf("hold/%d", n), Kind: StepHold, Phase: PhaseSwitch, Group: n, Needs: begun, Percent: canary.Percent, Wait: canary.Hold,
		Reason: "rollout.canary: its answers are compared with the old version's"})}
}

// endRollout ends an interrupted canary where nothing is switched, which would.
func (b *builder) endRollout(n int, s *slot, needs []string) string {
	return b.add(Step{ID: "end-canary/" + s.host.Name + "/" + s.role.Name, Kind: StepEndCanary, Phase: PhaseSwitch, Group: n, Host: s.host.Name, Role: s.role.Name,
		Needs: slices.Clone(needs), Name: s.routed, Reason: "a canary was interrupted"})
}

// canaryText says how much is tried for how long, "" for nothing.
func (p Plan) canaryText() string {
	i := slices.IndexFunc(p.Steps, func(s Step) bool { return s.Kind == StepHold })
	if i < 0 {
		return ""
	}
	text := fmt.Sprintf("canary: %d %% of the traffic for %s, then the rest", p.Steps[i].Percent, brief(p.Steps[i].Wait))
	if len(p.Groups) > 1 {
		text += ", in each group"
	}
	return text
}

// brief writes a duration without the zeros at its end.
func brief(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
