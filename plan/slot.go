package plan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// slot is one role on one host: what should be there, what is, and what has to happen.
type slot struct {
	role   release.Role
	on     release.Host
	host   state.Host
	name   string // the container's
	routed string // the name that the proxy has a route to it by
	spec   state.Spec
	own    []state.Container // the role's containers, newest first
	olds   []state.Container // those that are not the wanted one

	kept         bool // a partial release's container is to stay as that release asked for it
	heals        bool // only what is not as the held release says is put right
	keeps        release.Reconcile
	reconfigured bool // what differs from the held release was asked for
	released     bool // the host's latest and the held record say that the wanted version was released there

	current *state.Container // what the role serves with now
	ahead   *state.Partial   // the partial release, newer than what is held, that current is of
	wanted  *state.Container // the one with the wanted name, when it is the one to keep
	rename  *state.Container // one of the wanted name that makes way

	create, start, prove bool
	update               map[string][]string // options to set in place
	connect              bool
	certificate          certificate
	route                *state.Route // to switch to, its target without the container still
	oldRoute             *state.Route
	maintenance          *state.Intent // that holds
	resume               *state.Intent // the maintenance that has ended: its route serves again
	stopped              *state.Intent // the role was stopped on purpose
	left                 bool          // nothing is done here
	lift                 *state.Intent // that it was ends, since the role starts again
	stop                 []state.Container
	canary

	items []Item
}

// boots tells whether a container starts serving in this slot.
func (s *slot) boots() bool { return s.create || s.start }

// busy tells whether anything happens in the slot but prune.
func (s *slot) busy() bool {
	return s.boots() || s.update != nil || s.connect || s.route != nil || s.resume != nil || s.lift != nil || s.endsRollout || len(s.stop) > 0
}

// decide compares what should be in a slot with what is.
func decide(in Input, role release.Role, on release.Host, host state.Host) *slot {
	app := in.Desired.App()
	s := &slot{role: role, on: on, host: host, name: app.ContainerName(role.Name, in.Desired.Version), routed: in.Desired.RouteName(role.Name)}
	s.spec = compile(in, host, on, role)
	s.reconfigured, s.heals, s.keeps = in.reconfigured, in.Options.Heal, in.Desired.Reconcile
	s.released = (in.Held == nil || in.Held.Version == in.Desired.Version) && (in.tookPart(host) || s.latestIsWanted(in.Pin.Value()))
	s.own = ofRole(app, host, role.Name)
	if c, ok := currentAmong(app, host, role.Name, s.own); ok {
		s.current = &c
	}
	s.lookAhead(in)
	for _, c := range s.own {
		if c.Name == s.name {
			s.wanted = &c
			continue
		}
		s.olds = append(s.olds, c)
	}
	if s.wanted == nil {
		s.adoptReplaced()
	}
	if s.decideStop(in); s.left {
		return s
	}
	s.decideContainer()
	s.restart(in)
	s.decideCertificate(in)
	s.decideGate(app, in.Now)
	s.decideRoute(in.Desired)
	s.decideRollout()
	s.decideOlds()
	s.decideLift()
	return s
}

// adoptReplaced takes a replaced container of the wanted spec that still runs and has no successor as the role's container:
// a config change was interrupted, or undone.
func (s *slot) adoptReplaced() {
	i := slices.IndexFunc(s.olds, func(c state.Container) bool {
		return c.Running() && c.Replaced() && strings.HasPrefix(c.Name, s.name+"_") && s.suits(c)
	})
	if i >= 0 {
		c := s.olds[i]
		s.wanted = &c
		s.olds = slices.Delete(s.olds, i, i+1)
	}
}

// suits tells whether a container is as wanted, apart from what is put right in place.
func (s *slot) suits(c state.Container) bool {
	if c.Asked != nil {
		return len(diff(*c.Asked, s.spec)) == 0
	}
	image, _ := s.host.Image(c.ImageID)
	return inPlace(s.spec, drift(s.spec, c, image))
}

// nameTaken finds a container that bears the slot's name and is none of the role's.
func (s *slot) nameTaken(app state.App) (state.Container, bool) {
	i := slices.IndexFunc(s.host.Containers, func(c state.Container) bool {
		return c.Name == s.name && (c.Status == state.StatusRemoving || c.Service != app.Service || c.Destination != app.Destination || c.Role != s.role.Name)
	})
	if i < 0 {
		return state.Container{}, false
	}
	return s.host.Containers[i], true
}

func (s *slot) decideContainer() {
	if s.wanted == nil {
		s.bootNew()
		return
	}
	w := *s.wanted
	image, _ := s.host.Image(w.ImageID)
	asked, cause := s.spec, Drift
	var fields []Field
	if w.Asked != nil {
		fields, cause, asked = diff(*w.Asked, s.spec), Change, *w.Asked
	}
	if s.heals {
		fields, cause = withoutSecrets(fields), Drift
	}
	if len(fields) > 0 {
		s.replace(w, cause, DriftSpec, "its configuration changed", fields)
		return
	}
	fields = s.minded(drift(asked, w, image))
	switch {
	case len(fields) > 0 && !inPlace(asked, fields):
		s.replace(w, Drift, DriftSpec, "it is not as it was asked for", towards(fields))
	case w.Status == state.StatusPaused: // the engine starts no paused container
		s.replace(w, Drift, DriftPaused, "it is paused", nil)
	case w.Status == state.StatusRestarting || w.Status == state.StatusDead:
		s.replace(w, Drift, DriftRestarting, fmt.Sprintf("it keeps ending (%s)", Ended(w)), nil)
	case w.Health == "unhealthy" && w.Running() && s.role.Proxy == nil && s.role.Health == nil: // Docker's check is the role's
		s.replace(w, Drift, DriftUnhealthy, "its health check says unhealthy", nil)
	case w.Failing != "" && w.Running():
		s.replace(w, Drift, DriftUnhealthy, w.Failing, nil)
	default:
		s.mend(w, fields)
	}
}

// mend puts right what needs no other container.
func (s *slot) mend(w state.Container, fields []Field) {
	if len(fields) > 0 {
		s.update, s.connect = corrections(s.spec, fields)
		class := DriftSpec
		if s.update == nil {
			class = DriftNetwork
		}
		s.item(Update, Drift, class, Safe, "it was changed on the host", towards(fields))
	}
	if w.Running() {
		return
	}
	// A container that is there with the wanted spec is adopted and started, not made again.
	s.start, s.prove = true, true
	switch {
	case s.current != nil && s.released && s.ahead == nil:
		s.item(Replace, Drift, DriftExited, s.risk(), fmt.Sprintf("it is stopped (%s), and %s runs instead", Ended(w), s.current.Name), nil)
	case s.current != nil:
		s.item(Replace, Change, DriftSuperseded, s.risk(), fmt.Sprintf("version %s → %s, whose container is still there", s.current.Version(), w.Version()), s.differs(*s.current))
	case w.Status == state.StatusCreated:
		s.item(Update, Leftover, DriftExited, Safe, "it was made and never started", nil)
	default:
		s.item(Update, Drift, DriftExited, Safe, "it is stopped ("+Ended(w)+")", nil)
	}
}

// bootNew plans a container where none of the wanted name is.
func (s *slot) bootNew() {
	s.create, s.start, s.prove = true, true, true
	if s.current == nil {
		cause, reason := Change, "it is not there"
		if s.released {
			cause, reason = Drift, "it was removed"
		}
		s.item(Create, cause, DriftMissing, Safe, reason, nil)
		return
	}
	current := *s.current
	cause, class, reason := Change, DriftSuperseded, fmt.Sprintf("version %s → %s", current.Version(), s.spec.Env["KAMAL_VERSION"])
	switch {
	case s.ahead != nil:
		reason += fmt.Sprintf(", which partial release %d has put there", s.ahead.Number)
	case current.Replaced() && strings.HasPrefix(current.Name, s.name+"_"):
		class, reason = DriftSpec, "its configuration changed"
	case s.released:
		cause, class, reason = Drift, DriftMissing, fmt.Sprintf("it was removed, and %s runs instead", current.Name)
	}
	s.item(Replace, cause, class, s.risk(), reason, s.differs(current))
}

// differs is what changes from another container to the wanted one.
func (s *slot) differs(from state.Container) []Field {
	if from.Asked != nil {
		return diff(*from.Asked, s.spec)
	}
	image, _ := s.host.Image(from.ImageID)
	return diff(comparable(from.Live, s.spec, image), s.spec)
}

// towards turns drift, which is told from what was asked for, into what an item shows: from what is to what will be.
func towards(fields []Field) []Field {
	turned := slices.Clone(fields)
	for i, f := range turned {
		turned[i].Before, turned[i].After = f.After, f.Before
	}
	return turned
}

// latestIsWanted tells whether the host's latest tag says that the wanted version was released there: not where both tags were moved
// to another image, which putting the version's tag right would show.
func (s *slot) latestIsWanted(pin string) bool {
	image, ok := s.host.Image(s.host.Latest)
	return ok && slices.Contains(image.Tags, s.spec.Image) && (pin == "" || bears(image, pin))
}

// replace plans another container of the same name.
func (s *slot) replace(w state.Container, cause Cause, class DriftClass, reason string, fields []Field) {
	s.create, s.start, s.prove = true, true, true
	if w.Name == s.name {
		s.rename = &w
	}
	s.wanted = nil
	s.olds = append([]state.Container{w}, s.olds...)
	s.item(Replace, cause, class, s.risk(), reason, fields)
}

// risk of a boot: a singleton stops before it starts.
func (s *slot) risk() Risk {
	if s.role.Singleton {
		return Downtime
	}
	return Safe
}

// decideOlds plans the end of the role's other containers that run.
func (s *slot) decideOlds() {
	for _, c := range s.olds {
		if !c.Running() && c.Status != state.StatusRestarting {
			continue
		}
		s.stop = append(s.stop, c)
		if !s.boots() {
			cause := Drift
			if !s.released {
				cause = Leftover
			}
			s.items = append(s.items, Item{Action: Remove, Cause: cause, Resource: ResourceContainer, Host: s.host.Name, Role: s.role.Name,
				Name: c.Name, Reason: "another container of the role serves; this one is stopped", Class: DriftSuperseded, Risk: Safe})
		}
	}
}

func (s *slot) item(action Action, cause Cause, class DriftClass, risk Risk, reason string, fields []Field) {
	s.items = append(s.items, Item{Action: action, Cause: cause, Resource: ResourceContainer, Host: s.host.Name, Role: s.role.Name,
		Name: s.name, Reason: reason, Class: class, Fields: fields, Risk: risk})
}

// corrections splits drift that needs no new container into options to set and a network to attach. An option without values
// goes back to the engine's default. Memory and swap are set together: the one bounds the other.
func corrections(spec state.Spec, fields []Field) (options map[string][]string, connect bool) {
	for _, f := range fields {
		if f.Path == "network" {
			connect = true
			continue
		}
		if options == nil {
			options = map[string][]string{}
		}
		name := strings.TrimPrefix(f.Path, "option ")
		options[name] = spec.Options[name]
		if name == "memory" || name == "memory-swap" {
			options["memory"], options["memory-swap"] = spec.Options["memory"], spec.Options["memory-swap"]
		}
	}
	return options, connect
}

// comparable reduces a live spec of a container that kamald did not make to what the desired one speaks of.
func comparable(live, want state.Spec, image state.Image) state.Spec {
	live.Env = only(live.Env, want.Env)
	live.Secrets = only(live.Secrets, want.Secrets)
	live.Labels = only(live.Labels, want.Labels)
	live.Digest = ""
	if want.Cmd == nil {
		live.Cmd = nil
	}
	if want.StopGrace == 0 || live.StopGrace == 0 {
		live.StopGrace = want.StopGrace
	}
	if want.LogDriver == "" {
		live.LogDriver, live.LogOptions = "", nil
	}
	if want.StopSignal == "" {
		live.StopSignal = ""
	}
	options := map[string][]string{} // others are the image's, or names that Kamal gives
	for name, values := range withoutImage(want, live.Options, image) {
		if _, wanted := want.Options[name]; wanted || slices.Contains(unasked, name) {
			options[name] = values
		}
	}
	live.Options = options
	return normal(live)
}

// Ended says how a container ended: its exit code, or what ended it.
func Ended(c state.Container) string {
	switch {
	case c.OOMKilled:
		return "out of memory"
	case c.Error != "":
		return c.Error
	default:
		return fmt.Sprintf("exit code %d", c.ExitCode)
	}
}
