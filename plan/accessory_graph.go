package plan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// builtinNetworks are every engine's own.
var builtinNetworks = []string{"bridge", "host", "none", "default"}

// assembleBesides plans the accessories: what a release's containers and hooks need is there and healthy before any of them begins.
func (b *builder) assembleBesides() {
	for _, s := range b.besides {
		b.plan.Items = append(b.plan.Items, s.items...)
		b.assembleBeside(s)
	}
}

func (b *builder) assembleBeside(s *beside) {
	before := len(b.steps)
	b.prepareEnv(s.host, []*slot{&s.slot})
	b.prepareCertificates(s.host, []*slot{&s.slot})
	step := Step{Phase: PhaseAccessories, Host: s.host.Name, Role: s.role.Name, Container: s.name, Name: s.name}
	if s.wanted != nil {
		step.Container = s.wanted.ID
	}
	at := s.host.Name + "/" + s.role.Name
	next := func(kind StepKind, suffix, reason string, needs []string, fill func(*Step)) []string {
		made := step
		made.ID, made.Kind, made.Reason, made.Needs = string(kind)+"/"+at+suffix, kind, reason, slices.Clone(needs)
		if fill != nil {
			fill(&made)
		}
		return []string{b.add(made)}
	}
	if s.boots() || s.connect {
		b.besideNetwork(s)
	}
	if s.pull {
		next(StepPull, "", "it is not there", nil, func(p *Step) { p.Name, p.Container = s.accessory.Image, "" })
	}
	if len(s.place) > 0 {
		next(StepPlace, "", "its container finds them at its start", nil, func(p *Step) { p.Paths = s.place })
	}
	if len(s.permit) > 0 {
		next(StepPermit, "", "they were changed on the host", nil, func(p *Step) { p.Paths = s.permit })
	}
	needs := ids(b.steps[before:])
	if id := "network/" + s.host.Name; s.accessory.Network == b.in.Desired.Network && b.has(id) {
		needs = append(needs, id)
	}
	if s.former != nil {
		needs = append(needs, b.endRoute(s))
	}
	b.bootBeside(s, needs, next)
}

// bootBeside makes room for the container, makes it, stops the old one, and starts and proves the new.
func (b *builder) bootBeside(s *beside, needs []string, next func(kind StepKind, suffix, reason string, needs []string, fill func(*Step)) []string) {
	reason := ""
	if len(s.items) > 0 {
		reason = s.items[0].Reason
	}
	if s.rename != nil && s.create {
		needs = next(StepRename, "", "another container takes its name", needs, func(p *Step) {
			p.Container, p.Name, p.NewName = s.rename.ID, s.rename.Name, state.ReplacedName(s.rename.Name, s.rename.ID)
		})
	} else if s.rename != nil {
		needs = next(StepRename, "", "an interrupted run left it so", needs, func(p *Step) {
			p.Container, p.Name, p.NewName = s.rename.ID, s.rename.Name, s.name
		})
	}
	if s.create {
		spec := s.spec
		needs = next(StepCreate, "", reason, needs, func(p *Step) { p.Container, p.Spec = s.name, &spec })
	}
	for _, old := range slices.Concat(s.stop, runningAmong(s.leftover)) {
		needs = next(StepStop, "/"+old.ShortID(), "another container takes its place", needs, func(p *Step) {
			p.Container, p.Name, p.Grace, p.Risk = old.ID, old.Name, graceOf(old, s.role.Stop.Grace), Downtime
		})
	}
	if s.connect {
		needs = next(StepConnect, "", "its network was detached", needs, func(p *Step) { p.NewName = s.accessory.Network })
	}
	if s.update != nil {
		needs = next(StepUpdate, "", "it was changed on the host", needs, func(p *Step) {
			p.Options, p.Previous = s.update, previousOptions(s.wanted.Live.Options, s.update)
		})
	}
	if s.start {
		needs = next(StepStart, "", reason, needs, nil)
	}
	if s.prove {
		needs = next(StepProve, "", "it must be healthy before anything needs it", needs, nil)
	}
	if s.route != nil {
		needs = []string{b.switchBeside(s, needs)}
	}
	for _, old := range slices.Concat(s.stop, s.leftover) {
		b.removeBeside(s, old, needs)
	}
}

// removeBeside takes away a container that made way for another: its data is not in it.
func (b *builder) removeBeside(s *beside, old state.Container, needs []string) {
	if b.in.Options.Heal && !s.create {
		return // it is in nobody's way
	}
	if slices.ContainsFunc(s.leftover, func(c state.Container) bool { return c.ID == old.ID }) {
		b.plan.Items = append(b.plan.Items, Item{Action: Remove, Cause: Leftover, Resource: ResourceContainer, Host: s.host.Name, Role: s.role.Name,
			Name: old.Name, Reason: "another container has taken its place", Class: DriftSuperseded, Risk: Safe})
	}
	b.afterwards(Step{ID: "remove/" + s.host.Name + "/" + s.role.Name + "/" + old.ShortID(), Kind: StepRemove, Phase: PhaseFinish, Host: s.host.Name,
		Role: s.role.Name, Needs: slices.Clone(needs), Container: old.ID, Name: old.Name, Reason: "another container has taken its place"})
}

func runningAmong(containers []state.Container) []state.Container {
	return slices.DeleteFunc(slices.Clone(containers), func(c state.Container) bool { return !c.Running() && c.Status != state.StatusRestarting })
}

// has tells whether a step is planned.
func (b *builder) has(id string) bool {
	return slices.ContainsFunc(b.steps, func(s Step) bool { return s.ID == id })
}

// besideNetwork plans the network of an accessory, once a host.
func (b *builder) besideNetwork(s *beside) {
	name := s.accessory.Network
	if slices.Contains(builtinNetworks, name) || strings.HasPrefix(name, "container:") || s.host.HasNetwork(name) {
		return
	}
	if name == b.in.Desired.Network && (len(b.on[s.host.Name]) > 0 || b.has("network/"+s.host.Name)) {
		return // it is planned for the roles, or for the proxy
	}
	id := "network/" + s.host.Name + "/" + name
	if b.has(id) {
		return
	}
	b.add(Step{ID: id, Kind: StepNetwork, Phase: PhasePrepare, Host: s.host.Name, Name: name, Reason: "it is not there"})
	b.hostItem(s.host, Create, ResourceNetwork, Change, DriftNetwork, name, "it is not there")
}

// checkBesides finds what forbids an accessory.
func (b *builder) checkBesides() {
	for _, s := range b.besides {
		role := s.role.Name
		if s.foreign(b.app) {
			b.problem(s.host.Name, role, fmt.Sprintf("the container %s belongs to the accessory %s", s.name, Printable(s.current.Accessory)),
				"give one of the two another service, or say shared = true in both")
			continue
		}
		b.checkSecrets(&s.slot)
		b.checkEnviron(&s.slot)
		b.checkCertificate(&s.slot)
		b.checkTaken(s)
		if c := s.current; c != nil && c.RunDir != "" && s.host.RunDir != "" && c.RunDir != s.host.RunDir && s.busy() {
			b.problem(s.host.Name, role, fmt.Sprintf("container %s was made with the run directory %s, and this SSH user's is %s: its files and secrets would be others", c.Name, c.RunDir, s.host.RunDir),
				"use the SSH user it was made with, or set run_directory to that absolute path")
		}
		if s.create || s.start {
			b.checkContent(s)
		}
	}
}

// checkContent finds files that cannot be put on the host: they are not at hand here, or a secret in them is not.
func (b *builder) checkContent(s *beside) {
	for _, file := range s.accessory.Files {
		if !slices.Contains(s.place, file.To) {
			continue
		}
		if file.Missing != "" {
			b.problem(s.host.Name, s.role.Name, "its file for "+file.To+" cannot be read: "+file.Missing, "put it there, or correct the path")
			continue
		}
		if secrets := file.Secrets(); len(secrets) > 0 && s.spec.Files[file.To].Digest == "" && !b.in.atHand(s, file) {
			b.problem(s.host.Name, s.role.Name, fmt.Sprintf("its file %s has the secret %s in it, and lies neither on the host nor is that at hand", file.To, strings.Join(secrets, ", ")),
				"do the same where the secrets are at hand")
		}
	}
}

// atHand tells whether the secrets of a file are; on a host without a key their digest is not known.
func (in Input) atHand(s *beside, file release.Placed) bool {
	_, ok := in.Secrets[s.host.Name][state.FilesName(s.role.Name)][file.To]
	return ok
}

// accessoriesOnly plans nothing but the accessories that a command is about.
func (b *builder) accessoriesOnly() {
	for _, host := range b.plan.Unreachable {
		concerned := slices.ContainsFunc(b.in.Desired.AccessoriesOn(host.Host), func(a release.Accessory) bool { return b.in.Options.names(a.Name) })
		if concerned && !b.in.Options.SkipUnreachable {
			b.problem(host.Host, "", "it cannot be observed: "+host.Reason, b.mend(host.Host)+", or leave it out with --hosts")
		}
	}
	b.checkBesides()
	b.checkProxies(b.besidesOn)
	for _, on := range b.in.Desired.Hosts {
		if host, ok := b.hosts[on.Name]; ok {
			b.prepareProxy(host, b.besidesOn(on.Name))
		}
	}
	b.assembleBesides()
	b.concludeBesides()
}

// concludeBesides removes what made way when all that was asked for is healthy: until then a failure anywhere brings it back.
func (b *builder) concludeBesides() {
	if len(b.prune) == 0 {
		return
	}
	rebooted := gateIf(b, "rebooted", PhaseFinish, 0, ids(b.steps))
	for _, s := range b.prune {
		s.Needs = slices.Clone(rebooted)
		b.add(s)
	}
}
