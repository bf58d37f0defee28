package plan

import (
	"path"
	"slices"
	"strings"

	"github.com/kamald/kamald/state"
)

// Assets is what a step of the assets does on one host. The role's new set is the step's Name.
type Assets struct {
	Path   string `json:"path"`             // in the image
	Image  string `json:"image"`            // the reference of it
	Digest string `json:"digest,omitempty"` // what that must resolve to
	// Have: the set is there and is of that image. Only the other version's files are given to it, and it gives its own.
	Have bool `json:"have,omitempty"`
	// Anew: what is there is of no container, and of who knows which image: it is taken away first.
	Anew bool `json:"anew,omitempty"`
	// Other is the set of the version that serves until this one does; "" for none.
	Other string `json:"other,omitempty"`
}

// prepareAssets plans the assets of what boots. A container that only starts again has had its own.
func (b *builder) prepareAssets(host state.Host, slots []*slot) {
	for _, s := range slots {
		if s.role.Assets == nil || !s.boots() || s.kept {
			continue
		}
		set := state.AssetSet(s.role.Name, b.in.Desired.Version)
		step := Step{ID: "assets/" + host.Name + "/" + s.role.Name, Kind: StepAssets, Phase: PhasePrepare, Host: host.Name, Role: s.role.Name, Name: set,
			Reason: "both versions serve the files of both"}
		a := &Assets{Path: s.role.Assets.Path, Image: s.spec.Image, Digest: s.spec.Digest}
		there := slices.Contains(host.Assets.Volumes, set) || slices.Contains(host.Assets.Own, set)
		a.Have = slices.Contains(host.Assets.Volumes, set) && slices.Contains(host.Assets.Own, set) && s.vouched(b.in.Pin.Value())
		a.Anew = there && !slices.ContainsFunc(s.own, s.ofVersion)
		if s.current != nil && s.current.Version() != b.in.Desired.Version && s.current.Version() != "" {
			a.Other = state.AssetSet(s.role.Name, s.current.Version())
		}
		if a.Have && a.Other == "" {
			continue
		}
		if b.imaged[host.Name] {
			step.Needs = []string{"image/" + host.Name}
		}
		step.Assets = a
		b.add(step)
	}
}

// ofVersion tells whether a container is of the version that is to be.
func (s *slot) ofVersion(c state.Container) bool { return c.Version() == s.spec.Env["KAMAL_VERSION"] }

// vouched tells whether some container of the version is of the wanted image: its assets were taken from that.
func (s *slot) vouched(pin string) bool {
	return slices.ContainsFunc(s.own, func(c state.Container) bool {
		image, ok := s.host.Image(c.ImageID)
		return s.ofVersion(c) && (c.ImageID == pin || ok && bears(image, pin))
	})
}

// withoutSets are the volumes of a spec with the assets' one as it is for every version: that it differs says nothing to a reader of
// a diff.
func withoutSets(spec state.Spec) []string {
	app := state.App{Service: spec.Labels[state.LabelService], Destination: spec.Labels[state.LabelDestination]}
	set := "/" + path.Join(state.AssetVolumes("", app), state.AssetSet(spec.Labels[state.LabelRole], spec.Env["KAMAL_VERSION"])) + ":"
	volumes := slices.Clone(spec.Volumes)
	for i, volume := range volumes {
		if source, target, found := strings.Cut(volume, set); found {
			volumes[i] = source + "/(assets):" + target
		}
	}
	return volumes
}

// removeAssets takes away the sets that no container has: by the exact names of those that some container of any role still has, for
// where the name of a role ends and that of its version begins, nobody can tell.
func (b *builder) removeAssets(host state.Host, gone map[string]bool) {
	if b.kind == KindHeal || len(b.steps) == 0 && !b.in.Options.Prune {
		return
	}
	used := map[string]bool{}
	roles := map[string]bool{}
	for _, role := range b.in.Desired.Roles {
		used[state.AssetSet(role.Name, b.in.Desired.Version)], roles[role.Name] = true, true
	}
	for _, c := range host.Containers {
		if c.Service != b.app.Service || c.Destination != b.app.Destination || c.Role == "" {
			continue
		}
		roles[c.Role] = true
		if !gone[c.ID] {
			used[state.AssetSet(c.Role, c.Version())] = true
		}
	}
	remove := func(dir string, sets []string) {
		for _, set := range sets {
			ours := strings.HasPrefix(set, ".")
			for role := range roles {
				ours = ours || strings.HasPrefix(set, role+"-")
			}
			if ours && !used[set] {
				b.cleanFile(host.Name, path.Join(dir, set), Retention, "assets that no container has", b.removalsOn(host.Name)...)
			}
		}
	}
	remove(state.AssetVolumes(b.in.Desired.RunDirectory, b.app), host.Assets.Volumes)
	remove(state.AssetOwn(b.in.Desired.RunDirectory, b.app), host.Assets.Own)
}

// leaveAssets takes away all sets of a host that left the file, when no container of the app stays there.
func (b *builder) leaveAssets(host state.Host) {
	if b.kind == KindHeal || len(b.steps) == 0 && !b.in.Options.Prune {
		return
	}
	gone := map[string]bool{}
	for _, s := range b.pruned[host.Name] {
		gone[s.Container] = true
	}
	if slices.ContainsFunc(ofApp(b.app, host), func(c state.Container) bool { return !gone[c.ID] }) {
		return
	}
	needs := b.removalsOn(host.Name)
	for _, kept := range []struct {
		dir  string
		sets []string
	}{{state.AssetVolumes(b.in.Desired.RunDirectory, b.app), host.Assets.Volumes}, {state.AssetOwn(b.in.Desired.RunDirectory, b.app), host.Assets.Own}} {
		for _, set := range kept.sets {
			b.cleanFile(host.Name, path.Join(kept.dir, set), Orphan, "assets of a host that left the file", needs...)
		}
	}
}
