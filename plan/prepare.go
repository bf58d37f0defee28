package plan

import (
	"slices"

	"github.com/kamald/kamald/state"
)

// prepare plans what every host needs before anything is made on any.
func (b *builder) prepare() {
	for _, on := range b.in.Desired.Hosts {
		host, ok := b.hosts[on.Name]
		if !ok {
			continue
		}
		if slots := b.on[on.Name]; len(slots) > 0 {
			b.prepareNetwork(host)
			b.prepareImage(host, slots)
			b.prepareEnv(host, slots)
			b.prepareCertificates(host, slots)
			b.prepareAssets(host, slots)
			b.preparePages(host, slots)
		}
		b.prepareProxy(host, b.tenantsOn(on.Name))
	}
	b.makeRoom()
}

// tenantsOn are the roles and the accessories in scope on a host.
func (b *builder) tenantsOn(host string) []*slot {
	return append(slices.Clone(b.on[host]), b.besidesOn(host)...)
}

func (b *builder) prepareNetwork(host state.Host) {
	name := b.in.Desired.Network
	if host.HasNetwork(name) || b.has("network/"+host.Name) {
		return
	}
	b.add(Step{ID: "network/" + host.Name, Kind: StepNetwork, Phase: PhasePrepare, Host: host.Name, Name: name, Reason: "it is not there"})
	b.hostItem(host, Create, ResourceNetwork, Change, DriftNetwork, name, "it is not there")
}

// prepareImage plans the image where a container is made of it. A version's tag that somebody moved is put right in any case:
// containers are made from it, and latest follows it.
func (b *builder) prepareImage(host state.Host, slots []*slot) {
	ref, pin := b.in.Desired.Image(), b.in.Pin.Value()
	image, there := host.Image(ref)
	creates := slices.ContainsFunc(slots, func(s *slot) bool { return s.create })
	if pin == "" || there && bears(image, pin) || !there && !creates {
		return
	}
	action, reason := Create, "it is not there"
	if there {
		action, reason = Update, "the tag is at another image there"
	}
	b.imaged[host.Name] = true
	b.add(Step{ID: "image/" + host.Name, Kind: StepImage, Phase: PhasePrepare, Host: host.Name, Name: ref, Reason: reason})
	b.hostItem(host, action, ResourceImage, Change, DriftImage, ref, reason)
}

// prepareEnv plans the push of secrets that are at hand and are not what lies on the host.
func (b *builder) prepareEnv(host state.Host, slots []*slot) {
	for _, s := range slots {
		if s.stopped != nil { // the one that starts it brings them
			continue
		}
		local := b.in.Secrets[host.Name][s.role.Name]
		file, there := host.EnvFile(s.role.Name)
		var fields []Field
		for _, name := range names(local) {
			digest, has := file.Digests[name]
			if !there || !has || digest != local[name] || digest == "" {
				fields = append(fields, secretField(name, has))
			}
		}
		if len(fields) == 0 || lacking(s.spec.Secrets, local, file.Digests) {
			continue
		}
		b.add(Step{ID: "env/" + host.Name + "/" + s.role.Name, Kind: StepEnv, Phase: PhasePrepare, Host: host.Name, Role: s.role.Name, Reason: "secrets differ from those at hand"})
		b.plan.Items = append(b.plan.Items, Item{Action: Update, Cause: Change, Resource: ResourceEnvFile, Host: host.Name, Role: s.role.Name,
			Name: s.role.Name + ".env", Reason: "secrets differ from those at hand", Class: DriftSecretsFile, Fields: fields, Risk: Safe})
	}
}

// lacking tells whether some secret is neither at hand nor on the host: then a whole file cannot be written.
func lacking(wanted, local, there map[string]string) bool {
	for name := range wanted {
		_, atHand := local[name]
		_, has := there[name]
		if !atHand && !has {
			return true
		}
	}
	return false
}

// secretField shows that a value comes or changes, and not the value.
func secretField(name string, has bool) Field {
	if has {
		return Field{Path: "secret " + name, Before: "(secret)", After: "(another secret)"}
	}
	return Field{Path: "secret " + name, After: "(secret)"}
}

func (b *builder) prepareProxy(host state.Host, slots []*slot) {
	if !slices.ContainsFunc(slots, func(s *slot) bool { return s.role.Proxy != nil }) {
		return
	}
	if b.proxySwitchable(host) {
		return
	}
	b.prepareNetwork(host) // it may have none of the release's roles
	server := b.in.Desired.ProxyServer
	step := Step{ID: "proxy/" + host.Name, Kind: StepProxy, Phase: PhasePrepare, Host: host.Name, Name: server.Name, Container: host.Proxy.ID}
	if !host.HasNetwork(b.in.Desired.Network) {
		step.Needs = []string{"network/" + host.Name}
	}
	switch {
	case host.Proxy.ID == "":
		step.Reason = "it is not there"
		b.hostItem(host, Create, ResourceProxy, Change, DriftProxy, server.Name, step.Reason)
	case !host.Proxy.Running && host.Proxy.Stopped != nil:
		b.proxyStopped(host, slots)
		return
	case !host.Proxy.Running:
		step.Reason = "it is stopped"
		b.hostItem(host, Update, ResourceProxy, Drift, DriftProxy, server.Name, step.Reason)
	case !slices.Contains(host.Proxy.Networks, b.in.Desired.Network):
		step.Reason = "it is not attached to the network " + b.in.Desired.Network
		b.hostItem(host, Update, ResourceProxy, Drift, DriftProxy, server.Name, step.Reason)
	default:
		b.proxyRuns(host, step)
		return
	}
	b.add(step)
}

func (b *builder) hostItem(host state.Host, action Action, resource Resource, cause Cause, class DriftClass, name, reason string) {
	b.plan.Items = append(b.plan.Items, Item{Action: action, Cause: cause, Resource: resource, Host: host.Name, Name: name, Reason: reason,
		Class: class, Risk: Safe})
}
