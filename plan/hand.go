package plan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// HandMove is something that was moved on a host without a record: by `kamal deploy`, or by a person.
type HandMove struct {
	Host string `json:"host"`
	Role string `json:"role,omitempty"` // "" for the tag
	What string `json:"what"`           // the tag's or the container's name
	From string `json:"from"`           // the version that the host's newest record says
	To   string `json:"to"`             // the version that is there
}

// String says it to a person.
func (m HandMove) String() string {
	return fmt.Sprintf("%s: %s is at %s, and no record says so: the newest is of %s", m.Host, Printable(m.What), Printable(m.To), Printable(m.From))
}

// MovedByHand finds what another than kamald has moved to another version: the tag latest, or a role's serving container that
// kamald did not make, or that it had stopped. held is the release that is held. A host without a record has nothing to be measured
// against: it is adopted. What a run of ours that was killed has left is none: its containers bear a number that is newer than the
// record's, or the fence, or a record of the history, says which version it was to bring.
func MovedByHand(held release.Release, observed state.Snapshot, records []state.Record) []HandMove {
	var moves []HandMove
	app := held.App()
	for _, host := range observed.Hosts {
		if host.Unreachable != "" || host.Record == nil {
			continue
		}
		if image, ok := host.Image(host.Latest); ok && tagMoved(app, host, image) {
			moves = append(moves, HandMove{Host: host.Name, What: "tag " + app.LatestTag(), From: host.Record.Version, To: versionAmong(image, held.ImageName(), app)})
		}
		for _, role := range held.Roles {
			c, ok := currentOf(app, host, role.Name)
			if ok && c.Version() != host.Record.Version && byHand(held, host, c, records) && slices.Contains(role.Hosts, host.Name) {
				moves = append(moves, HandMove{Host: host.Name, Role: role.Name, What: "container " + c.Name, From: host.Record.Version, To: c.Version()})
			}
		}
	}
	return moves
}

// byHand tells whether no run of ours can have left a container serving: kamald did not make it, or it is older than the host's
// newest record, is not what is held, which that host may have missed, and neither the fence nor the history knows of a run since
// that was to bring it.
func byHand(held release.Release, host state.Host, c state.Container, records []state.Record) bool {
	if c.Release == 0 {
		return c.Asked == nil
	}
	if c.Release >= host.Record.Number || c.Version() == held.Version || host.Fence > host.Record.Number && host.FenceVersion == c.Version() {
		return false
	}
	return !slices.ContainsFunc(records, func(r state.Record) bool { return r.Number > host.Record.Number && r.Version == c.Version() })
}

func tagMoved(app state.App, host state.Host, image state.Image) bool {
	record := host.Record
	for _, pin := range []string{record.Digest, record.ImageID} {
		if pin != "" && bears(image, pin) {
			return false
		}
	}
	if slices.Contains(image.Tags, record.Image) {
		return false
	}
	repository, _, _ := cutVersion(record.Image)
	if host.Fence > record.Number && host.FenceVersion != "" && slices.Contains(image.Tags, repository+":"+host.FenceVersion) {
		return false
	}
	return !slices.ContainsFunc(ofApp(app, host), func(c state.Container) bool { return c.ImageID == image.ID && c.Release > record.Number })
}

func cutVersion(image string) (repository, version string, ok bool) {
	i := strings.LastIndex(image, ":")
	if i < 0 {
		return image, "", false
	}
	return image[:i], image[i+1:], true
}

// versionAmong names an image by its version's tag, the first of several.
func versionAmong(image state.Image, name string, app state.App) string {
	for _, tag := range slices.Sorted(slices.Values(image.Tags)) {
		if version, ok := strings.CutPrefix(tag, name+":"); ok && version != app.LatestTag() && !isLatest(version) {
			return version
		}
	}
	return state.ShortID(trimSHA(image.ID))
}

// Wait gives the plan with nothing of it to be done: its items are deferred with the reason, and listed apart.
func (p Plan) Wait(why string) Plan {
	p.Items = slices.Clone(p.Items)
	for i, item := range p.Items {
		if item.Deferred == "" {
			p.Items[i].Deferred = why
		}
	}
	p.Waits, p.Kind, p.Steps, p.Problems, p.Groups = why, KindNone, []Step{}, nil, nil
	return p
}
