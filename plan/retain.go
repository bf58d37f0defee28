package plan

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/kamald/kamald/state"
)

// retain plans the removal of old containers beyond what is kept for rollback, a role and host, and of the references to
// images that only those used. The release's own, what runs, and other roles' and destinations' things are never among them.
func (b *builder) retain() {
	keep, past, hooks := b.keep(), b.past(), b.in.Options.Prune || b.willRecord()
	for _, on := range b.in.Desired.Hosts {
		host, ok := b.hosts[on.Name]
		if !ok {
			continue
		}
		gone := map[string]bool{}
		for _, s := range b.on[on.Name] {
			if s.left { // what runs there does so on somebody's word
				continue
			}
			failed := func(c state.Container) bool { return b.in.Options.Prune && !s.servesWith(c) && past.failed(c) }
			for _, c := range beyond(s.latestFirst(past), keep, b.servedVersion(s), failed) {
				if b.in.Options.Prune && (s.servesWith(c) || c.Status != state.StatusExited && c.Status != state.StatusDead && c.Status != state.StatusCreated) {
					continue // it is not this plan's to stop
				}
				gone[c.ID] = true
				b.removeOld(host, s, c, past)
			}
		}
		if hooks {
			b.pruneHooks(host)
		}
		for _, s := range b.pruned[host.Name] {
			gone[s.Container] = true
		}
		b.removeImages(host, gone, past)
		b.removeAssets(host, gone)
		b.removePages(host)
	}
	for _, host := range b.leaving {
		b.leaveAssets(host)
	}
}

// afterwards notes a step for when the release is recorded.
func (b *builder) afterwards(s Step) {
	b.prune = append(b.prune, s)
	b.pruned[s.Host] = append(b.pruned[s.Host], s)
}

// latestFirst orders a role's other containers by what a rollback would want: those of the releases that succeeded last, then the
// one that serves until this release (no other on a host that took part in the last one), then the newest, and what releases that
// never succeeded have left last, also where it serves: it must push out no version to go back to.
func (s *slot) latestFirst(past past) []state.Container {
	olds := slices.Clone(s.olds)
	first := func(c state.Container) int {
		if s.servesWith(c) {
			return 0 // of those of one version
		}
		return 1
	}
	slices.SortStableFunc(olds, func(x, y state.Container) int {
		return cmp.Or(s.rank(x, past)-s.rank(y, past), first(x)-first(y))
	})
	return olds
}

func (s *slot) rank(c state.Container, past past) int {
	version := c.Version()
	i := slices.IndexFunc(past.kept, func(r state.Record) bool { return r.Version == version })
	switch {
	case past.neverSucceeded(c):
		return 2 + len(past.kept)
	case i >= 0:
		return i
	case s.servesWith(c):
		return len(past.kept)
	}
	return 1 + len(past.kept)
}

// servesWith tells whether the role serves with a container until this release.
func (s *slot) servesWith(c state.Container) bool { return s.current != nil && s.current.ID == c.ID }

// servedVersion is the version that the retained ones are older than.
func (b *builder) servedVersion(s *slot) string {
	if b.in.Options.Prune && s.current != nil {
		return s.current.Version()
	}
	return b.in.Desired.Version
}

// keep is how many older versions are kept for rollback.
func (b *builder) keep() int {
	if b.in.Options.Retain > 0 {
		return b.in.Options.Retain
	}
	return b.in.Desired.RetainContainers
}

// pruneOnly plans nothing but what is kept for nothing, on the hosts that can be reached.
func (b *builder) pruneOnly() {
	if len(b.hosts) == len(b.leaving) {
		for _, host := range b.plan.Unreachable {
			b.problem(host.Host, "", "it cannot be observed, nor can any other host: "+host.Reason, "mend that: nothing can be done without a host")
		}
	}
	b.retain()
	for _, on := range b.in.Desired.Hosts {
		if host, ok := b.hosts[on.Name]; ok {
			b.removeExecuted(host)
			b.clean(host)
		}
	}
	b.steps = b.prune
}

// removeExecuted plans the removal of containers that were made for one command each, without anybody waiting for its end, and have ended.
func (b *builder) removeExecuted(host state.Host) {
	for _, c := range host.Containers {
		if c.Exec == "" || c.Service != b.app.Service || c.Destination != b.app.Destination || c.Status != state.StatusExited && c.Status != state.StatusDead {
			continue
		}
		const reason = "the one command that it was made for has ended"
		b.afterwards(Step{ID: "remove/" + host.Name + "/exec/" + c.ShortID(), Kind: StepRemove, Phase: PhaseFinish, Host: host.Name, Container: c.ID, Name: c.Name, Reason: reason})
		b.plan.Items = append(b.plan.Items, Item{Action: Remove, Cause: Leftover, Resource: ResourceContainer, Host: host.Name, Name: c.Name, Reason: reason,
			Class: DriftDisk, Risk: Safe})
	}
}

// clean plans the removal of files that an interrupted run of kamald left, and of records that nothing needs.
func (b *builder) clean(host state.Host) {
	for _, path := range slices.Sorted(slices.Values(b.in.Litter[host.Name])) {
		b.cleanFile(host.Name, path, Leftover, "an interrupted run left it")
	}
	files := b.in.RecordFiles[host.Name]
	for _, n := range OldRecords(slices.Sorted(maps.Keys(files)), b.in.Records, Without(host, b.pruned[host.Name]), b.app, b.keep()) {
		b.cleanFile(host.Name, files[n], Retention, "a release record beyond what is kept for rollback")
	}
}

func (b *builder) cleanFile(host, path string, cause Cause, reason string, needs ...string) {
	b.afterwards(Step{ID: "clean/" + host + "/" + path, Kind: StepClean, Phase: PhaseFinish, Host: host, Name: path, Needs: needs, Reason: reason})
	b.plan.Items = append(b.plan.Items, Item{Action: Remove, Cause: cause, Resource: ResourceFile, Host: host, Name: path, Reason: reason,
		Class: DriftDisk, Risk: Safe})
}

// beyond gives the old containers that are not kept. Kept is one of each of so many older versions, and beside them the one that
// made way last for another of the current version: what healing replaces again and again must not push out a version to go back
// to.
func beyond(olds []state.Container, keep int, current string, failed func(state.Container) bool) []state.Container {
	var gone []state.Container
	kept := map[string]bool{}
	older := 0
	for _, c := range olds {
		version := c.Version()
		if c.Status == state.StatusCreated || failed(c) || kept[version] || version != current && older >= keep {
			gone = append(gone, c)
			continue
		}
		kept[version] = true
		if version != current {
			older++
		}
	}
	return gone
}

func (b *builder) removeOld(host state.Host, s *slot, c state.Container, past past) {
	at := host.Name + "/" + s.role.Name + "/" + c.ShortID()
	step := Step{ID: "remove/" + at, Kind: StepRemove, Phase: PhaseFinish, Host: host.Name, Role: s.role.Name, Container: c.ID, Name: c.Name, Reason: "beyond what is kept for rollback"}
	if b.early[step.ID] {
		return
	}
	cause, class := Retention, DriftDisk
	switch {
	case c.Status == state.StatusCreated:
		cause, class, step.Reason = Leftover, DriftOrphan, "it was made and never started"
	case b.in.Options.Prune && past.failed(c):
		cause, class, step.Reason = Leftover, DriftOrphan, fmt.Sprintf("release %d failed", c.Release)
	}
	b.afterwards(step)
	b.plan.Items = append(b.plan.Items, Item{Action: Remove, Cause: cause, Resource: ResourceContainer, Host: host.Name, Role: s.role.Name, Name: c.Name,
		Reason: step.Reason, Class: class, Risk: Safe})
}

func (b *builder) removalsOn(host string) []string {
	var list []string
	for _, s := range b.pruned[host] {
		if s.Kind == StepRemove {
			list = append(list, s.ID)
		}
	}
	return list
}

// latestOfAny tells whether a tag marks what some destination runs.
func (b *builder) latestOfAny(tag string) bool {
	version, ok := strings.CutPrefix(tag, b.in.Desired.ImageName()+":")
	return ok && isLatest(version)
}

func isLatest(tag string) bool { return tag == "latest" || strings.HasPrefix(tag, "latest-") }

func trimSHA(id string) string { return strings.TrimPrefix(id, "sha256:") }
