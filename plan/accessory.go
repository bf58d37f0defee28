package plan

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// beside is one accessory on one host: a slot that no rollout is about. Its container keeps its name, and stops before the next starts.
type beside struct {
	slot
	accessory release.Accessory
	pull      bool              // its image is not there
	place     []string          // files and directories to be put on the host, by their paths in the container
	permit    []string          // those whose permissions or owners are to be set, the same way
	stopped   *state.Intent     // somebody has stopped it on purpose
	leftover  []state.Container // that made way for another, and are kept for nothing
	forced    bool              // a person asks for another container, whatever waits
	spared    bool              // a person asks for one where none is: what is there stays
	deferred  string            // why another container does not take its place now, where one is to
	former    *state.Route      // that it has, and is not proxied any more
	taken     *state.Container  // another app's, that the route of its name goes to
}

// busy tells whether anything happens to it.
func (s *beside) busy() bool {
	return s.boots() || s.update != nil || s.connect || s.route != nil || s.former != nil || len(s.leftover) > 0 || len(s.permit) > 0
}

// decideBesides compares the accessories on every observed host with what is there.
func (b *builder) decideBesides() {
	for _, accessory := range b.in.Desired.Accessories {
		role := state.AccessoryRole(accessory.Name)
		for _, name := range accessory.Hosts {
			host, seen := b.hosts[name]
			if !seen || !b.known.scope.has(name, role) || !b.in.Options.names(accessory.Name) {
				continue
			}
			s := b.decideBeside(accessory, b.known.hosts[name], host)
			b.besides, b.beside[name] = append(b.besides, s), append(b.beside[name], &s.slot)
		}
	}
}

// names tells whether a plan that is limited to some accessories is about one; one without a limit is about all.
func (o Options) names(accessory string) bool {
	return len(o.Accessories) == 0 || slices.Contains(o.Accessories, accessory)
}

func (b *builder) decideBeside(accessory release.Accessory, on release.Host, host state.Host) *beside {
	s := &beside{accessory: accessory, forced: b.in.Options.Reboot, spared: b.in.Options.Boot}
	s.slot = slot{role: accessory.Role(), on: on, host: host, name: accessory.Service, spec: compileAccessory(b.in, host, on, accessory),
		routed: accessory.Service, heals: b.in.Options.Heal, keeps: b.in.Desired.Reconcile, reconfigured: b.in.reconfigured}
	s.released = b.in.tookPart(host) || b.in.heldHas(accessory, host)
	s.own = AccessoryContainers(accessory, host)
	s.choose()
	if intent, asked := host.StopAsked(s.role.Name); asked && intent.Holds(b.in.Now) && !s.forced {
		s.stopped = &intent
	}
	s.decideContainer(b.app)
	s.decideProxied(b.in)
	if s.create || s.start {
		_, there := host.Beside(accessory.Image)
		s.pull = s.create && (!there || s.forced)
		s.place = s.toPlace()
	}
	return s
}

// heldHas tells whether the held release has the accessory on the host: what it lacks there was taken away.
func (in Input) heldHas(accessory release.Accessory, host state.Host) bool {
	if in.HeldRelease == nil || host.Record == nil || in.Held == nil || host.Record.Number != in.Held.Number {
		return false
	}
	held, ok := in.HeldRelease.Accessory(accessory.Name)
	return ok && slices.Contains(held.Hosts, host.Name) && held.Service == accessory.Service
}

// AccessoryContainers are those of an accessory on a host, newest first: its own, and those that made way for another.
func AccessoryContainers(accessory release.Accessory, host state.Host) []state.Container {
	return newestFirst(host.Containers, func(c *state.Container) bool {
		return c.Status != state.StatusRemoving && IsAccessory(accessory, *c)
	})
}

// IsAccessory tells whether a container is an accessory's, by its name and label: its own, or one that made way for another.
func IsAccessory(accessory release.Accessory, c state.Container) bool {
	if c.Role != "" || c.Service != accessory.Service {
		return false
	}
	return c.Name == accessory.Service || c.Replaced() && strings.HasPrefix(c.Name, accessory.Service+"_")
}

// AccessoryOn is the container of an accessory on a host: the one of its name, else the newest that runs under the name it has when
// another takes its place, for that one never came.
func AccessoryOn(accessory release.Accessory, host state.Host) (state.Container, bool) {
	own := AccessoryContainers(accessory, host)
	i := slices.IndexFunc(own, func(c state.Container) bool { return c.Name == accessory.Service })
	if i < 0 {
		i = slices.IndexFunc(own, state.Container.Running)
	}
	if i < 0 {
		return state.Container{}, false
	}
	return own[i], true
}

// choose tells the accessory's container from what is left of an earlier one.
func (s *beside) choose() {
	if c, ok := AccessoryOn(s.accessory, s.host); ok {
		s.current = &c
	}
	for _, c := range s.own {
		if s.current == nil || c.ID != s.current.ID {
			s.leftover = append(s.leftover, c)
		}
	}
}

func (s *beside) decideContainer(app state.App) {
	switch {
	case s.current == nil && s.stopped != nil:
	case s.current == nil && s.released:
		s.create, s.start, s.prove = true, true, true
		s.item(Create, Drift, DriftMissing, Safe, "it was removed", nil)
	case s.current == nil:
		s.create, s.start, s.prove = true, true, true
		s.item(Create, Change, DriftMissing, Safe, "it is not there", nil)
	case s.foreign(app):
	default:
		s.compare(s.comparable(*s.current, app))
	}
}

// foreign tells whether the container is another app's, and is not shared.
func (s *beside) foreign(app state.App) bool {
	return s.current != nil && s.current.Accessory != "" && !s.accessory.Shared && s.current.Accessory != app.OwnedAs(s.accessory.Name)
}

// comparable is the container as far as this app can compare it: of one that others share and have made, the digests of secrets are by
// their key, and say nothing here.
func (s *beside) comparable(w state.Container, app state.App) state.Container {
	if w.Asked == nil || w.Accessory == app.OwnedAs(s.accessory.Name) {
		return w
	}
	asked := *w.Asked
	asked.Secrets, asked.Files = maps.Clone(asked.Secrets), maps.Clone(asked.Files)
	for name := range asked.Secrets {
		asked.Secrets[name] = ""
	}
	for _, placed := range s.accessory.Files {
		file, there := asked.Files[placed.To]
		if _, clear := placed.Clear(); there && !clear {
			file.Digest = anothers
			asked.Files[placed.To] = file
		}
	}
	w.Asked = &asked
	return w
}

// anothers stands for a content with secrets in it that is compared by another's key: it was put there, and that is all that is known.
const anothers = "~"

// compare decides about the container that is there: what was asked for otherwise, what is not as it was asked for, and whether it runs.
func (s *beside) compare(w state.Container) {
	fields, cause := s.changes(w), Change
	if len(fields) == 0 {
		fields, cause = s.drifted(w), Drift
	}
	switch {
	case s.forced:
		s.replaceWith(w, Change, "it is made anew", fields)
		return
	case cause == Drift && len(fields) > 0 && s.mendsInPlace(w, fields):
		s.update, s.connect = corrections(s.spec, fields)
		s.item(Update, Drift, DriftSpec, Safe, "it was changed on the host", towards(fields))
	case len(fields) > 0 && s.differs(w, cause, fields):
		return
	}
	s.decidePermissions(w)
	s.decideRunning(w)
}

// changes are what the file asks for otherwise than the container was made; of one that kamald did not make, what it is otherwise.
func (s *beside) changes(w state.Container) []Field {
	var d differ
	if w.Asked != nil {
		d.fields = diff(*w.Asked, s.spec)
	} else {
		if !release.SameReference(w.Live.Image, s.spec.Image) {
			d.text("image", w.Live.Image, s.spec.Image)
		}
		image, _ := s.host.Beside(w.ImageID)
		d.fields = append(d.fields, towards(append(drift(s.spec, w, image), s.fileDrift(s.spec)...))...)
	}
	if s.heals {
		d.fields = withoutSecrets(d.fields)
	}
	return s.minded(d.fields)
}

// drifted is what is not as it was asked for when the container was made, by kamald.
func (s *beside) drifted(w state.Container) []Field {
	if w.Asked == nil {
		return nil
	}
	image, _ := s.host.Beside(w.ImageID)
	return s.minded(append(drift(*w.Asked, w, image), s.fileDrift(*w.Asked)...))
}

// fileDrift is what lies on the host otherwise than it was put there, or is to be.
func (s *beside) fileDrift(asked state.Spec) []Field {
	lying, looked := s.host.EnvFile(state.FilesName(s.role.Name))
	var d differ
	for _, to := range slices.Sorted(maps.Keys(asked.Files)) {
		want := cmp.Or(asked.Files[to].Digest, s.spec.Files[to].Digest)
		if is := lying.Digests[to]; looked && want != "" && !state.SameSecret(want, is) || looked && want != "" && is == "" {
			d.fields = append(d.fields, Field{Path: "file " + to, Before: contentText(want), After: contentText(is)})
		}
	}
	return d.fields
}

// mendsInPlace tells whether the engine puts drift right without another container, and nobody has stopped this one.
func (s *beside) mendsInPlace(w state.Container, fields []Field) bool {
	return w.Asked != nil && inPlace(*w.Asked, fields) && s.accessory.OnChange != release.OnChangeIgnore
}

// differs decides what becomes of a difference; true when another container takes this one's place.
func (s *beside) differs(w state.Container, cause Cause, fields []Field) bool {
	reason := "its configuration changed"
	if cause == Drift {
		reason, fields = "it is not as it was asked for", towards(fields)
	}
	switch why := s.waits(); {
	case s.accessory.OnChange == release.OnChangeIgnore:
		return false
	case why != "":
		s.later(Replace, cause, DriftSpec, reason, why, fields)
		s.deferred = why
		return false
	}
	s.replaceWith(w, cause, reason, fields)
	return true
}

// waits says why no other container takes this one's place now; "" when one does.
func (s *beside) waits() string {
	reboot := "`kamald accessory reboot " + s.accessory.Name + "`"
	switch {
	case s.stopped != nil:
		return "it was stopped on purpose by " + s.stopped.By() + "; " + s.startsIt() + " ends that"
	case s.heals:
		return "healing makes no accessory anew: " + reboot + " does"
	case s.spared:
		return "`kamald accessory boot` leaves what is there: " + reboot + " makes it anew"
	case s.accessory.OnChange == release.OnChangePlan:
		return reboot + " makes it anew, and it is away meanwhile (on_change = \"plan\")"
	}
	return ""
}

func (s *beside) startsIt() string { return "`kamald accessory start " + s.accessory.Name + "`" }

// later notes what is not done now, and why.
func (s *beside) later(action Action, cause Cause, class DriftClass, reason, why string, fields []Field) {
	s.items = append(s.items, Item{Action: action, Cause: cause, Resource: ResourceContainer, Host: s.host.Name, Role: s.role.Name, Name: s.name,
		Reason: reason, Class: class, Fields: fields, Risk: s.riskOf(action), Deferred: why})
}

func (s *beside) riskOf(action Action) Risk {
	if action == Replace {
		return Downtime
	}
	return Safe
}

// replaceWith plans another container in place of one: the old one stops before the new one starts.
func (s *beside) replaceWith(w state.Container, cause Cause, reason string, fields []Field) {
	s.create, s.start, s.prove, s.wanted, s.rename = true, true, true, nil, nil
	if w.Name == s.name {
		s.rename = &w
	}
	s.stop = []state.Container{w}
	s.item(Replace, cause, DriftSpec, Downtime, reason, fields)
}

// decideRunning decides whether a container that is kept has to be started.
func (s *beside) decideRunning(w state.Container) {
	s.wanted = &w
	if w.Name != s.name {
		s.rename = &w
		s.item(Update, Leftover, DriftSpec, Safe, "an interrupted run left it as "+w.Name, nil)
	}
	switch {
	case s.stopped != nil:
	case w.Status == state.StatusPaused:
		s.later(Update, Drift, DriftPaused, "it is paused", "`kamald accessory restart "+s.accessory.Name+"`, or `docker unpause "+s.name+"` there", nil)
	case w.Status == state.StatusRestarting:
		s.later(Update, Drift, DriftRestarting, "it keeps ending ("+Ended(w)+")", "the engine starts it again; `docker logs "+s.name+"` there says more", nil)
	case w.Status == state.StatusDead:
		s.replaceWith(w, Drift, "the engine could not remove it", nil)
	case w.Running() && w.Health == "unhealthy":
		s.later(Update, Drift, DriftUnhealthy, "its health check says unhealthy", "look at it; `kamald accessory restart "+s.accessory.Name+"` starts it anew", nil)
	case w.Running():
	case w.Status == state.StatusCreated:
		s.start, s.prove = true, true
		s.item(Update, Leftover, DriftExited, Safe, "it was made and never started", nil)
	case s.heals && StoppedByHand(w):
		s.later(Update, Drift, DriftExited, "somebody stopped it ("+Ended(w)+")", s.startsIt()+" starts it, and so does `kamald apply`", nil)
	default:
		s.start, s.prove = true, true
		s.item(Update, Drift, DriftExited, Safe, "it is stopped ("+Ended(w)+")", nil)
	}
}

// StoppedByHand tells whether a container has ended because somebody wanted it to: an engine that starts it again whenever it ends
// by itself has not.
func StoppedByHand(c state.Container) bool {
	if c.Status != state.StatusExited || c.OOMKilled || c.Error != "" {
		return false
	}
	if c.Live.Restart == "always" || c.Live.Restart == "unless-stopped" {
		return true
	}
	return slices.Contains([]int{0, 130, 137, 143}, c.ExitCode) // of its own accord, or by the signals that ask for it
}

// toPlace are the files and directories to be put on the host before the container starts: all of them for a new one, and for one that
// is there those that are gone.
func (s *beside) toPlace() []string {
	if s.create {
		return slices.Sorted(maps.Keys(s.spec.Files))
	}
	var gone []string
	lying, looked := s.host.EnvFile(state.FilesName(s.role.Name))
	for _, file := range s.accessory.Files {
		if looked && lying.Digests[file.To] == "" {
			gone = append(gone, file.To)
		}
	}
	for _, directory := range s.accessory.Directories { // an engine makes it, too, as nobody asked for
		if _, there := lying.Files[directory.To]; looked && !there && Permitted(directory) {
			gone = append(gone, directory.To)
		}
	}
	return gone
}
