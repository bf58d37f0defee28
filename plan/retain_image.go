package plan

import (
	"cmp"
	"slices"
	"strings"

	"github.com/kamald/kamald/state"
)

// past is what the release records say of versions: which are kept for a rollback, and which never became one.
type past struct {
	kept      []state.Record // the newest that succeeded, one of each of so many older versions
	succeeded map[string]bool
	ended     map[int]state.Outcome
	versions  map[string]bool // that some record is of
	unended   map[string]bool // begun, and not known to have ended
}

// past reads the records for what retention asks of them.
func (b *builder) past() past {
	p := past{succeeded: map[string]bool{}, ended: map[int]state.Outcome{}, versions: map[string]bool{}, unended: map[string]bool{}}
	for _, r := range b.in.Records {
		p.ended[r.Number], p.versions[r.Version] = r.Outcome, true
		p.unended[r.Version] = p.unended[r.Version] || r.Outcome == state.OutcomeRunning
		p.succeeded[r.Version] = p.succeeded[r.Version] || r.Outcome == state.OutcomeSucceeded || r.Outcome == state.OutcomePartial
		known := slices.ContainsFunc(p.kept, func(other state.Record) bool { return other.Version == r.Version })
		if r.Outcome == state.OutcomeSucceeded && !known && r.Version != b.in.Desired.Version && len(p.kept) < b.keep() {
			p.kept = append(p.kept, r) // to a partial one nobody can go back
		}
	}
	return p
}

// failed tells whether a container was made by a release that did not succeed, of a version that never did.
func (p past) failed(c state.Container) bool {
	outcome, known := p.ended[c.Release]
	return known && (outcome == state.OutcomeFailed || outcome == state.OutcomeCancelled) && !p.succeeded[c.Version()]
}

// neverSucceeded tells the same of a release that nobody has seen the end of, too: its run was killed, and the version may be
// half there.
func (p past) neverSucceeded(c state.Container) bool {
	outcome, known := p.ended[c.Release]
	return known && outcome != state.OutcomeSucceeded && outcome != state.OutcomePartial && !p.succeeded[c.Version()]
}

// keeps tells whether a rollback within what is kept needs an image.
func (p past) keeps(name string, image state.Image) bool {
	return slices.ContainsFunc(p.kept, func(r state.Record) bool {
		return r.ImageID != "" && r.ImageID == image.ID || r.Digest != "" && bears(image, r.Digest) || slices.Contains(image.Tags, name+":"+r.Version)
	})
}

// removeImages takes away the references to images that nothing needs: no container of the service has them, of any role or
// destination, no rollback within what is kept goes back to them, and no latest is at them. Of those that no removed container
// had, only what is known to be of this app's own past goes, and what has no tag.
func (b *builder) removeImages(host state.Host, gone map[string]bool, past past) {
	wide := b.in.Options.Prune || len(b.steps) > 0 && b.kind != KindHeal
	if len(gone) == 0 && !wide {
		return
	}
	used, removed := map[string]bool{host.Latest: true}, map[string]bool{}
	for _, c := range host.Containers {
		if gone[c.ID] {
			removed[c.ImageID] = true
		} else {
			used[c.ImageID] = true
		}
	}
	images := slices.SortedFunc(slices.Values(host.Images), func(x, y state.Image) int { return cmp.Compare(x.ID, y.ID) })
	for _, image := range images {
		if used[image.ID] || b.needs(image) || past.keeps(b.in.Desired.ImageName(), image) {
			continue
		}
		refs, reason := b.references(image), "no container that is kept has it"
		if !removed[image.ID] {
			reason = b.useless(image, refs, past)
		}
		if reason == "" || !removed[image.ID] && !wide {
			continue
		}
		for i, ref := range refs {
			if b.early["untag/"+host.Name+"/"+ref] {
				continue
			}
			b.afterwards(Step{ID: "untag/" + host.Name + "/" + ref, Kind: StepUntag, Phase: PhaseFinish, Host: host.Name, Name: ref,
				Needs: b.removalsOn(host.Name), Reason: reason})
			item := Item{Action: Remove, Cause: Retention, Resource: ResourceImage, Host: host.Name, Name: ref, Reason: reason, Class: DriftDisk, Risk: Safe}
			if i == 0 {
				item.Bytes = image.Size
			}
			b.plan.Items = append(b.plan.Items, item)
		}
	}
}

// needs tells whether the release needs an image, some destination runs it, or it is another service's.
func (b *builder) needs(image state.Image) bool {
	pin := b.in.Pin.Value()
	service, labelled := image.Labels[state.LabelService]
	return slices.Contains(image.Tags, b.in.Desired.Image()) || pin != "" && bears(image, pin) || slices.ContainsFunc(image.Tags, b.latestOfAny) ||
		labelled && service != b.app.Service
}

// references are the names under which the app's repository has an image: its tags, or where it has none its digests.
func (b *builder) references(image state.Image) []string {
	name := b.in.Desired.ImageName()
	var tags, digests []string
	for _, tag := range image.Tags {
		if strings.HasPrefix(tag, name+":") {
			tags = append(tags, tag)
		}
	}
	for _, digest := range image.Digests {
		if strings.HasPrefix(digest, name+"@") {
			digests = append(digests, digest)
		}
	}
	if len(image.Tags) == 0 {
		tags = digests
	}
	slices.Sort(tags)
	return tags
}

// useless says why nobody needs an image that no container has; "" when that is not known.
func (b *builder) useless(image state.Image, refs []string, past past) string {
	if len(image.Tags) == 0 {
		return "it has no tag and no container"
	}
	reason := ""
	for _, ref := range refs {
		version := strings.TrimPrefix(ref, b.in.Desired.ImageName()+":")
		switch {
		case strings.HasPrefix(version, b.app.CarriedPrefix()):
			reason = "it is part of an image that did not come whole"
		case past.succeeded[version]:
			reason = "its release is beyond what is kept for rollback"
		case past.versions[version] && !past.unended[version]:
			reason = cmp.Or(reason, "its release failed")
		default:
			return "" // somebody brought it for something else
		}
	}
	return reason
}
