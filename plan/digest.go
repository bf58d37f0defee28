package plan

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"time"

	"github.com/kamald/kamald/state"
)

// Projection is the digest of what the planner decides on about a host: identity, specs, run state, tags, routes, networks,
// digests of secrets, the lock's holder; not clocks, counters or free space. Two observations with equal projections give
// equal plans.
func Projection(host state.Host) string {
	f := newFingerprint()
	defer f.done()
	f.host(host)
	sum := sha256.Sum256(f.text)
	return hex.EncodeToString(sum[:16])
}

// host writes all but the engine's clock, the free space, and the fence and newest record, which planning is given by
// themselves. What a host's engine lists in any order is written in one.
func (f *fingerprint) host(h state.Host) {
	f.words(h.Name, h.Unreachable, string(h.NoEngine), h.Home, h.RunDir, h.Latest)
	f.words(h.Engine.Version, h.Engine.API, h.Engine.OS, h.Engine.Arch, h.Engine.Root)
	f.count(len(h.Containers))
	for _, i := range order(len(h.Containers), func(i, j int) int { return cmp.Compare(h.Containers[i].ID, h.Containers[j].ID) }) {
		f.container(&h.Containers[i])
	}
	f.count(len(h.Images))
	for _, i := range order(len(h.Images), func(i, j int) int { return cmp.Compare(h.Images[i].ID, h.Images[j].ID) }) {
		f.image(&h.Images[i])
	}
	for _, i := range order(len(h.AccessoryImages), func(i, j int) int { return cmp.Compare(h.AccessoryImages[i].ID, h.AccessoryImages[j].ID) }) {
		f.image(&h.AccessoryImages[i])
	}
	f.count(len(h.Networks))
	for _, i := range order(len(h.Networks), func(i, j int) int { return cmp.Compare(h.Networks[i].ID, h.Networks[j].ID) }) {
		f.words(h.Networks[i].ID, h.Networks[i].Name)
	}
	f.count(len(h.Partials))
	for _, p := range h.Partials {
		f.numbers(int64(p.Number))
		f.words(p.Version, p.Image, p.Digest, p.ImageID, p.Who)
	}
	f.flags(h.Leaving)
	f.count(len(h.Intents))
	for i := range h.Intents {
		f.intent(&h.Intents[i])
	}
	f.proxy(&h.Proxy)
	f.lock(h.Lock)
	f.count(len(h.EnvFiles))
	for _, file := range h.EnvFiles {
		f.word(file.Role)
		f.flags(file.Private, file.Pending)
		f.pairs(file.Digests)
		for _, to := range slices.Sorted(maps.Keys(file.Files)) {
			f.words(to, file.Files[to].Mode, file.Files[to].Owner)
		}
	}
	f.pairs(h.Environ)
	if len(h.Assets.Own)+len(h.Assets.Volumes)+len(h.ErrorPages) > 0 { // of hosts without them, saved plans stay as they are
		f.list(h.Assets.Own)
		f.list(h.Assets.Volumes)
		f.list(h.ErrorPages)
	}
}

// container leaves out what changes with every start, the restart counter, and what only a daemon asks for.
func (f *fingerprint) container(c *state.Container) {
	f.words(c.ID, c.Name, c.ImageID, c.Service, c.Role, c.Destination, string(c.Status), c.Health, c.Error, c.RunDir, c.Owner)
	if c.Hook != "" {
		f.word(c.Hook)
	}
	f.numbers(int64(c.ExitCode), int64(c.Release), int64(c.Fence))
	f.flags(c.OOMKilled)
	f.time(c.Created)
	f.flags(c.Asked != nil)
	if c.Asked != nil {
		f.spec(c.Asked)
	}
	f.spec(&c.Live)
	if c.Accessory != "" {
		f.word(c.Accessory)
	}
	if c.Shared {
		f.word(state.LabelShared)
	}
	f.names(c.IPs) // which networks are attached, and not the addresses there
}

func (f *fingerprint) intent(i *state.Intent) {
	f.words(i.Kind, i.Host, i.Role, i.Reason, i.Message, i.Who, i.Where)
	f.numbers(int64(i.Schema), int64(i.Serial), int64(i.Release))
	f.flags(i.Lifted)
	f.time(i.Since)
	f.time(i.Until)
}

func (f *fingerprint) spec(s *state.Spec) {
	f.words(s.Image, s.Digest, s.Network, s.Restart, s.LogDriver, s.StopSignal)
	f.list(s.Cmd)
	f.pairs(s.Env)
	f.pairs(s.Secrets)
	f.pairs(s.Labels)
	f.list(s.Volumes)
	f.pairs(s.LogOptions)
	f.numbers(int64(s.StopGrace))
	f.lists(s.Options)
	for _, path := range slices.Sorted(maps.Keys(s.Files)) {
		f.words(path, s.Files[path].Digest, s.Files[path].Mode, s.Files[path].Owner)
	}
}

func (f *fingerprint) image(m *state.Image) {
	f.word(m.ID)
	f.list(slices.Sorted(slices.Values(m.Tags)))
	f.list(slices.Sorted(slices.Values(m.Digests)))
	f.time(m.Created)
	f.numbers(m.Size)
	f.pairs(m.Labels)
	f.flags(m.Inspected, m.Healthcheck)
	f.words(m.Arch, m.StopSignal)
	f.pairs(m.Env)
	f.list(m.Cmd)
	f.count(len(m.Ports))
	for _, port := range m.Ports {
		f.numbers(int64(port))
	}
}

func (f *fingerprint) proxy(p *state.Proxy) {
	f.words(p.ID, p.Name, p.Image, p.Other)
	f.flags(p.Running, p.Own, p.Live != nil, p.Asked != nil, p.Stopped != nil)
	if p.Stopped != nil {
		f.intent(p.Stopped)
	}
	if p.Live != nil {
		f.spec(p.Live)
	}
	if p.Asked != nil {
		f.spec(p.Asked)
	}
	f.words(p.Owner, p.Version, p.Apps)
	f.list(p.Features)
	f.list(p.Networks)
	f.count(len(p.Routes))
	for i := range p.Routes {
		r := &p.Routes[i]
		f.word(r.Name)
		f.list(r.Targets)
		f.flags(r.Stopped, r.Paused, r.Implied)
		f.word(r.StopMessage)
		f.numbers(int64(r.MaxPause))
		f.list(r.Readers)
		f.rollout(r.Rollout)
		f.route(&r.Options)
	}
}

func (f *fingerprint) route(o *state.RouteOptions) {
	f.list(o.Hosts)
	f.list(o.PathPrefixes)
	f.flags(o.StripPathPrefix, o.TLS, o.TLSRedirect, o.ForwardHeaders, o.BufferRequests, o.BufferResponses)
	f.words(o.CertificatePath, o.PrivateKeyPath, o.HealthPath, o.HealthHost, o.ErrorPagePath)
	f.numbers(int64(o.ResponseTimeout), int64(o.HealthPort), int64(o.HealthInterval), int64(o.HealthTimeout),
		o.BufferMemory, o.MaxRequestBody, o.MaxResponseBody)
	f.list(o.LogRequestHeaders)
	f.list(o.LogResponseHeaders)
	f.flags(o.TLSStaging, o.ReadersTakeWebsockets, o.ScopeCookiePaths)
	f.words(o.ACMEDirectory, o.TLSOnDemandURL, o.ACMECachePath, o.CanonicalHost, o.ClientIPHeader, o.Balance)
	f.numbers(int64(o.WriterAffinity))
	f.list(o.ExcludeMetricsPaths)
}

func (f *fingerprint) rollout(r *state.Rollout) {
	f.flags(r != nil)
	if r == nil {
		return
	}
	f.list(r.Targets)
	f.list(r.Readers)
	f.flags(r.On)
	f.numbers(int64(r.Percent))
	f.list(r.List)
}

// lock is the holder's; its lease and when it was renewed say nothing about who it is.
func (f *fingerprint) lock(l *state.Lock) {
	f.flags(l != nil)
	if l == nil {
		return
	}
	f.words(l.Owner, l.Message, l.Version, l.Reason, l.Nonce)
	f.numbers(int64(l.Fence))
	f.time(l.Taken)
}

// order gives 0…n-1 as sorted by compare.
func order(n int, compare func(i, j int) int) []int {
	indices := make([]int, n)
	for i := range indices {
		indices[i] = i
	}
	slices.SortStableFunc(indices, compare)
	return indices
}

func (f *fingerprint) time(t time.Time) {
	if t.IsZero() {
		f.numbers(0, 0)
		return
	}
	f.numbers(t.Unix(), int64(t.Nanosecond()))
}
