package plan

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// Move is something on a host that is otherwise than it was when a plan was made, in words for a person.
type Move struct {
	Host string `json:"host,omitempty"` // "": it is about the whole app
	What string `json:"what"`
}

// Moved compares the observation that a saved plan was made from with a fresh one, host by host in their order. Nothing has moved
// when there are no moves.
func (s Saved) Moved(now state.Snapshot) []Move {
	var moves []Move
	for _, before := range s.Seen {
		after, ok := now.Host(before.Name)
		if !ok {
			after.Unreachable = "it was not looked at"
		}
		for _, what := range movedOn(s.Release, before, after, s.Plan.Observed[before.Name]) {
			moves = append(moves, Move{Host: before.Name, What: what})
		}
	}
	for _, skipped := range s.Plan.Unreachable {
		if host, ok := now.Host(skipped.Host); ok && host.Unreachable == "" {
			moves = append(moves, Move{Host: skipped.Host, What: "it can be reached now, and the plan was made without it"})
		}
	}
	cordoned := CordonedIn(now, now.TakenAt)
	for _, skipped := range s.Plan.Cordoned {
		if cordoned[skipped.Host] == "" {
			moves = append(moves, Move{Host: skipped.Host, What: "it is not cordoned any more, and the plan was made without it"})
		}
	}
	return moves
}

// movedOn names what moved on one host; nothing when its digest is what it was.
func movedOn(desired release.Release, before, after state.Host, digest string) []string {
	if after.Unreachable != "" {
		return []string{"it cannot be observed now: " + after.Unreachable}
	}
	after = kept(desired, after)
	if Projection(after) == digest {
		return nil
	}
	m := &mover{before: before, after: after}
	m.machine()
	m.environ()
	m.containers()
	m.images(desired)
	m.proxy()
	m.secrets()
	m.lock()
	m.intents()
	if len(m.moves) == 0 {
		m.note("it is not as it was seen")
	}
	return m.moves
}

// mover gathers what moved between two observations of a host.
type mover struct {
	before, after state.Host
	moves         []string
	marks         marksMoved
}

func (m *mover) note(format string, args ...any) {
	m.moves = append(m.moves, Printable(fmt.Sprintf(format, args...)))
}

func (m *mover) text(what, before, after string) {
	if before != after {
		m.note("%s was %s and is %s", what, shown(before), shown(after))
	}
}

func (m *mover) machine() {
	m.text("the SSH user's home", m.before.Home, m.after.Home)
	m.text("the run directory", m.before.RunDir, m.after.RunDir)
	m.text("the architecture", m.before.Engine.Arch, m.after.Engine.Arch)
	for _, n := range m.before.Networks {
		switch {
		case !m.after.HasNetwork(n.Name):
			m.note("network %s was removed", n.Name)
		case !slices.Contains(m.after.Networks, n):
			m.note("network %s was made anew", n.Name)
		}
	}
	for _, n := range m.after.Networks {
		if !m.before.HasNetwork(n.Name) {
			m.note("network %s was made", n.Name)
		}
	}
}

// environ names the variables of the host's own environment that the release asks for and that are others now.
func (m *mover) environ() {
	for _, name := range names(m.before.Environ, m.after.Environ) {
		before, was := m.before.Environ[name]
		after, is := m.after.Environ[name]
		if was != is || before != after {
			m.note("its own variable %s was %s and is %s", name, shown(present(before, was)), shown(present(after, is)))
		}
	}
}

func (m *mover) containers() {
	for _, c := range m.before.Containers {
		now, there := containerOf(m.after, c.ID)
		if !there {
			m.note("container %s was removed", c.Name)
			continue
		}
		m.container(c, now)
	}
	for _, c := range m.after.Containers {
		if _, known := containerOf(m.before, c.ID); !known {
			m.note("container %s was made by %s, and %s", c.Name, maker(c), doing(c))
		}
	}
}

func (m *mover) container(was, now state.Container) {
	if was.Name != now.Name {
		m.note("container %s was renamed to %s", was.Name, now.Name)
	}
	if was.Status != now.Status {
		m.note("container %s was %s, and %s", now.Name, was.Status, doing(now))
		return // the engine shows less of one that has ended
	}
	if was.Health != now.Health {
		m.note("container %s is %s", now.Name, orWord(now.Health, "not unhealthy any more"))
	}
	m.marks.compare(was.Live.Secrets, now.Live.Secrets)
	for network := range was.IPs {
		if _, attached := now.IPs[network]; !attached {
			m.note("container %s was detached from network %s", now.Name, network)
		}
	}
	for network := range now.IPs {
		if _, attached := was.IPs[network]; !attached {
			m.note("container %s was attached to network %s", now.Name, network)
		}
	}
	for _, f := range diff(was.Live, now.Live) {
		if m.marks.explain(f.Path) {
			continue
		}
		before, after := f.values()
		m.note("container %s: %s was %s and is %s", now.Name, f.Path, before, after)
	}
	if Ended(was) != Ended(now) && !now.Running() {
		m.note("container %s ran in between: it ended with %s", now.Name, Ended(now))
	}
}

// maker says who made a container, as far as it says so itself.
func maker(c state.Container) string {
	if c.Release > 0 {
		return fmt.Sprintf("release %d", c.Release)
	}
	return "something else than kamald"
}

// doing says what a container does now.
func doing(c state.Container) string {
	switch c.Status {
	case state.StatusRunning:
		return "runs now"
	case state.StatusExited, state.StatusDead:
		if c.ExitCode == 0 && c.Error == "" && !c.OOMKilled { // the list of containers says no more
			return "has stopped"
		}
		return "has stopped (" + Ended(c) + ")"
	}
	return fmt.Sprintf("is %s now", c.Status)
}

func containerOf(host state.Host, id string) (state.Container, bool) {
	i := slices.IndexFunc(host.Containers, func(c state.Container) bool { return c.ID == id })
	if i < 0 {
		return state.Container{}, false
	}
	return host.Containers[i], true
}

// images names every tag that came, went or moved.
func (m *mover) images(desired release.Release) {
	was, now := tagsOf(m.before), tagsOf(m.after)
	for _, tag := range names(was, now) {
		before, had := was[tag]
		after, has := now[tag]
		name := strings.TrimPrefix(tag, desired.ImageName()+":")
		switch {
		case had && !has:
			m.note("image tag %s was taken away", name)
		case has && !had:
			m.note("image tag %s came", name)
		case before != after:
			m.note("image tag %s moved from %s to %s", name, versionTag(desired, m.before, before), versionTag(desired, m.after, after))
		}
	}
	for _, image := range m.before.Images {
		if _, there := m.after.Image(image.ID); !there && len(image.Tags) == 0 {
			m.note("image %s was removed", state.ShortID(trimSHA(image.ID)))
		}
	}
}

// tagsOf gives the image that each tag is at.
func tagsOf(host state.Host) map[string]string {
	tags := map[string]string{}
	for _, image := range host.Images {
		for _, tag := range image.Tags {
			tags[tag] = image.ID
		}
	}
	return tags
}

// versionTag names an image by a version's tag, else by its ID.
func versionTag(desired release.Release, host state.Host, id string) string {
	image, _ := host.Image(id)
	for _, tag := range slices.Sorted(slices.Values(image.Tags)) {
		if version, ok := strings.CutPrefix(tag, desired.ImageName()+":"); ok && !isLatest(version) {
			return version
		}
	}
	return state.ShortID(trimSHA(id))
}

func (m *mover) proxy() {
	was, now := m.before.Proxy, m.after.Proxy
	switch {
	case was.ID != now.ID && now.ID == "":
		m.note("the proxy %s was removed", was.Name)
	case was.ID != now.ID && was.ID == "":
		m.note("the proxy %s was made", now.Name)
	case was.ID != now.ID:
		m.note("the proxy %s was made anew", now.Name)
	case was.Running && !now.Running:
		m.note("the proxy %s has stopped", now.Name)
	case now.Running && !was.Running:
		m.note("the proxy %s runs now", now.Name)
	}
	m.text("the image of the proxy", was.Image, now.Image)
	m.text("the version of the proxy", was.Version, now.Version)
	m.text("the owner of the proxy", was.Owner, now.Owner)
	m.text("the networks of the proxy", words(was.Networks), words(now.Networks))
	for _, r := range was.Routes {
		if _, there := now.Route(r.Name); !there {
			m.note("route %s was taken away", r.Name)
		}
	}
	for _, r := range now.Routes {
		before, there := was.Route(r.Name)
		if !there {
			m.note("route %s was made, to %s", r.Name, m.targets(m.after, r))
			continue
		}
		m.route(before, r)
	}
}

func (m *mover) route(was, now state.Route) {
	if !slices.Equal(was.Targets, now.Targets) {
		m.note("route %s went to %s and goes to %s", now.Name, m.targets(m.before, was), m.targets(m.after, now))
	}
	for _, on := range []struct {
		what     string
		was, now bool
	}{{"stopped", was.Stopped, now.Stopped}, {"paused", was.Paused, now.Paused}} {
		switch {
		case on.now && !on.was:
			m.note("route %s was %s on purpose", now.Name, on.what)
		case on.was && !on.now:
			m.note("route %s is not %s any more", now.Name, on.what)
		}
	}
	if !reflect.DeepEqual(was.Rollout, now.Rollout) {
		m.note("the rollout of route %s was begun, changed or ended", now.Name)
	}
	for _, f := range routeFields(was, now, words(now.Targets)) {
		if f.Path != "target" {
			before, after := f.values()
			m.note("route %s: %s was %s and is %s", now.Name, f.Path, before, after)
		}
	}
}

// targets names the containers that a route goes to.
func (m *mover) targets(host state.Host, r state.Route) string {
	i := slices.IndexFunc(host.Containers, func(c state.Container) bool { return c.ShortID() == r.TargetID() })
	if i < 0 {
		return orWord(words(r.Targets), "nothing")
	}
	return host.Containers[i].Name + " (" + words(r.Targets) + ")"
}

func (m *mover) lock() {
	was, now := m.before.Lock, m.after.Lock
	switch {
	case was != nil && now == nil:
		m.note("the deploy lock that %s held when the plan was made is gone: what was done under it is not in the plan", orWord(was.Owner, "somebody unknown"))
	case was == nil && now != nil:
		m.note("the deploy lock is held by %s (%s)", orWord(now.Owner, "somebody unknown"), orWord(now.Message, "no message"))
	case was != nil && *was != *now:
		m.note("the deploy lock was held by %s and is held by %s", orWord(was.Owner, "somebody unknown"), orWord(now.Owner, "somebody unknown"))
	}
}

// intents names what people have said of hosts since.
func (m *mover) intents() {
	for _, now := range m.after.Intents {
		if slices.Contains(m.before.Intents, now) {
			continue
		}
		said := map[string]string{state.IntentCordon: "was cordoned", state.IntentForget: "was forgotten"}[now.Kind]
		if now.Lifted {
			said = "was uncordoned"
		}
		m.note("%s %s by %s", now.Host, orWord(said, "has a new intent, "+now.Kind+", made"), now.Who)
	}
	if len(m.after.Intents) < len(m.before.Intents) {
		m.note("an intent (cordon, forget) was taken away")
	}
}

func orWord(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}
