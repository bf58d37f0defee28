package plan

import (
	"path"
	"slices"

	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// preparePages plans the error pages where a route names them and they are not there.
func (b *builder) preparePages(host state.Host, slots []*slot) {
	set := b.in.Desired.ErrorPageSet()
	shown := func(s *slot) bool { return s.role.Proxy != nil && !s.kept }
	if set == "" || slices.Contains(host.ErrorPages, set) || !slices.ContainsFunc(slots, shown) {
		return
	}
	cause, reason := Change, "they are not there"
	if slices.ContainsFunc(slots, func(s *slot) bool { return s.lostPages(b.in.Desired) }) {
		cause, reason = Drift, "they were taken away"
	}
	b.add(Step{ID: "pages/" + host.Name, Kind: StepPages, Phase: PhasePrepare, Host: host.Name, Name: set, Reason: reason})
	b.hostItem(host, Create, ResourceErrorPages, cause, DriftRoute, set, reason)
}

// lostPages tells whether the role's route names pages that are not on the host. A proxy that was started since shows its own small ones,
// and reads pages that came back only when it is told of the route.
func (s *slot) lostPages(desired release.Release) bool {
	if s.oldRoute == nil {
		return false
	}
	want := desired.RouteOptions(s.role).ErrorPagePath // none of an accessory's
	return want != "" && s.oldRoute.Options.ErrorPagePath == want && !slices.Contains(s.host.ErrorPages, desired.ErrorPageSet())
}

// removePages takes away the sets that no route names once the release is recorded. To go back, each record has its own pages.
func (b *builder) removePages(host state.Host) {
	if b.kind == KindHeal || len(b.steps) == 0 && !b.in.Options.Prune {
		return
	}
	dir := release.ErrorPagesDir(path.Join(b.in.Desired.RunDirectory, "proxy", "apps-config"), b.app)
	for _, set := range host.ErrorPages {
		named := func(r state.Route) bool { return path.Base(r.Options.ErrorPagePath) == set }
		if set == b.in.Desired.ErrorPageSet() || b.in.Options.Prune && slices.ContainsFunc(host.Proxy.Routes, named) {
			continue
		}
		b.cleanFile(host.Name, path.Join(dir, set), Retention, "error pages that no route has")
	}
}
