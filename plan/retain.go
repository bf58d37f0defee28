package plan

import (
	"cmp"
	"slices"
	"strings"

	"github.com/kamald/kamald/state"
)

// retain plans the removal of old containers beyond what is kept for rollback, a role and host, and of the references to
// images that only those used. The release's own, what runs, and other roles' and destinations' things are never among them.
func (b *builder) retain() {
	keep := b.in.Desired.RetainContainers
	if b.in.Options.Retain > 0 {
		keep = b.in.Options.Retain
	}
	for _, on := range b.in.Desired.Hosts {
		host, ok := b.hosts[on.Name]
		if !ok {
			continue
		}
		gone := map[string]bool{}
		for _, s := range b.on[on.Name] {
			for _, c := range beyond(s.latestFirst(), keep, b.in.Desired.Version) {
				gone[c.ID] = true
				b.removeOld(host, s, c)
			}
		}
		for _, s := range b.pruned[host.Name] {
			gone[s.Container] = true
		}
		b.removeImages(host, gone)
	}
}

// afterwards notes a step for when the release is recorded.
func (b *builder) afterwards(s Step) {
	b.prune = append(b.prune, s)
	b.pruned[s.Host] = append(b.pruned[s.Host], s)
}

// latestFirst orders a role's other containers by what a rollback would want: the one that serves until this release, then the
// newest.
func (s *slot) latestFirst() []state.Container {
	olds := slices.Clone(s.olds)
	slices.SortStableFunc(olds, func(x, y state.Container) int { return s.rank(x) - s.rank(y) })
	return olds
}

func (s *slot) rank(c state.Container) int {
	if s.current != nil && s.current.ID == c.ID {
		return 0
	}
	return 1
}

// beyond gives the old containers that are not kept. Kept is one of each of so many older versions, and beside them the one that
// made way last for another of the current version: what healing replaces again and again must not push out a version to go back
// to.
func beyond(olds []state.Container, keep int, current string) []state.Container {
	var gone []state.Container
	kept := map[string]bool{}
	older := 0
	for _, c := range olds {
		version := c.Version()
		if c.Status == state.StatusCreated || kept[version] || version != current && older >= keep {
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

func (b *builder) removeOld(host state.Host, s *slot, c state.Container) {
	at := host.Name + "/" + s.role.Name + "/" + c.ShortID()
	step := Step{ID: "remove/" + at, Kind: StepRemove, Phase: PhaseFinish, Host: host.Name, Role: s.role.Name, Container: c.ID, Name: c.Name, Reason: "beyond what is kept for rollback"}
	cause := Retention
	if c.Status == state.StatusCreated {
		cause, step.Reason = Leftover, "it was made and never started"
	}
	b.afterwards(step)
	b.plan.Items = append(b.plan.Items, Item{Action: Remove, Cause: cause, Resource: ResourceContainer, Host: host.Name, Role: s.role.Name, Name: c.Name, Reason: step.Reason, Risk: Safe})
}

// removeImages untags versions that no container of the service has any more, of any destination.
func (b *builder) removeImages(host state.Host, gone map[string]bool) {
	if len(gone) == 0 {
		return
	}
	used := map[string]bool{host.Latest: true}
	removed := map[string]bool{}
	for _, c := range host.Containers {
		if gone[c.ID] {
			removed[c.ImageID] = true
		} else {
			used[c.ImageID] = true
		}
	}
	images := slices.SortedFunc(slices.Values(host.Images), func(x, y state.Image) int { return cmp.Compare(x.ID, y.ID) })
	for _, image := range images {
		if used[image.ID] || !removed[image.ID] || slices.Contains(image.Tags, b.in.Desired.Image()) || slices.ContainsFunc(image.Tags, b.latestOfAny) {
			continue
		}
		for _, tag := range slices.Sorted(slices.Values(image.Tags)) {
			if strings.HasPrefix(tag, b.in.Desired.ImageName()+":") {
				b.afterwards(Step{ID: "untag/" + host.Name + "/" + tag, Kind: StepUntag, Phase: PhaseFinish, Host: host.Name, Name: tag,
					Needs: b.removalsOn(host.Name), Reason: "no container that is kept has it"})
				b.plan.Items = append(b.plan.Items, Item{Action: Remove, Cause: Retention, Resource: ResourceImage, Host: host.Name, Name: tag, Reason: "no container that is kept has it", Risk: Safe})
			}
		}
	}
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
