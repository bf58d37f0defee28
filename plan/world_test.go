package plan_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// epoch is when every test's world begins.
var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// world is a fleet as it is, with what should be on it: all that a plan is made from.
type world struct {
	desired     release.Release
	hosts       []state.Host
	pin         plan.Pin
	held        *state.Record
	heldRelease *release.Release
	reclass     func(state.Container, plan.Class) plan.Class // a wrong planner's
	records     []state.Record
	litter      map[string][]string
	atHand      map[string]string // secrets at hand: variable → value
	keys        map[string]bool   // hosts that have a digest key
	options     plan.Options
	partial     bool // what is carried out is a partial release
	number      int  // of the release under way
	serial      int  // of containers made so far
}

// input is what the planner is given to see of the world.
func (w *world) input() plan.Input {
	in := plan.Input{Desired: w.desired, Pin: w.pin, Held: w.held, HeldRelease: w.heldRelease, HeldDigest: w.heldDigest(), Records: w.records, Litter: w.litter, Options: w.options, Now: epoch, Secrets: map[string]map[string]map[string]string{},
		Observed: state.Snapshot{Schema: state.SnapshotSchema, App: w.desired.App(), TakenAt: epoch, Hosts: w.hosts}}
	for _, host := range w.desired.Hosts {
		for _, role := range w.desired.Tenants() {
			for name := range w.desired.EnvOn(role, host).Secrets {
				value, ok := w.atHand[name]
				if !ok {
					continue
				}
				if in.Secrets[host.Name] == nil {
					in.Secrets[host.Name] = map[string]map[string]string{}
				}
				if in.Secrets[host.Name][role.Name] == nil {
					in.Secrets[host.Name][role.Name] = map[string]string{}
				}
				in.Secrets[host.Name][role.Name][name] = w.digest(host.Name, value)
			}
		}
	}
	return in
}

func (w *world) plan() plan.Plan { return plan.New(w.input()) }

// digest stands for a secret's value where the host has a key.
func (w *world) digest(host, value string) string {
	if !w.keys[host] {
		return ""
	}
	return "digest-of-" + value
}

func (w *world) clone() *world {
	c := *w
	data, err := json.Marshal(w.hosts)
	if err != nil {
		panic(err)
	}
	c.hosts, c.keys = nil, map[string]bool{}
	if err := json.Unmarshal(data, &c.hosts); err != nil {
		panic(err)
	}
	for name, has := range w.keys {
		c.keys[name] = has
	}
	return &c
}

func (w *world) host(name string) *state.Host {
	for i := range w.hosts {
		if w.hosts[i].Name == name {
			return &w.hosts[i]
		}
	}
	panic("the world has no host " + name)
}

func (w *world) find(name string) *state.Host {
	if i := slices.IndexFunc(w.hosts, func(h state.Host) bool { return h.Name == name }); i >= 0 {
		return &w.hosts[i]
	}
	return nil
}

// failed tells whether a release that failed made a container, of a version that never succeeded: a prune takes it away.
func (w *world) failed(c state.Container) bool {
	succeeded := slices.ContainsFunc(w.records, func(r state.Record) bool { return r.Version == c.Version() && r.Outcome != state.OutcomeFailed })
	return !succeeded && slices.ContainsFunc(w.records, func(r state.Record) bool { return r.Number == c.Release && r.Outcome == state.OutcomeFailed })
}

func (w *world) heldDigest() string {
	if w.heldRelease == nil {
		return ""
	}
	return release.Digest(*w.heldRelease)
}

// container finds one by its ID or name.
func (w *world) container(host, ref string) *state.Container {
	h := w.host(host)
	for i, c := range h.Containers {
		if c.ID == ref || c.Name == ref {
			return &h.Containers[i]
		}
	}
	return nil
}

// id is the n-th container's or image's: 64 hex digits.
func id(kind string, n any) string {
	sum := sha256.Sum256([]byte(fmt.Sprint(kind, n)))
	return hex.EncodeToString(sum[:])
}

// image is what a version's reference should resolve to.
func image(r release.Release, version string) state.Image {
	m := state.Image{ID: "sha256:" + id("image", version), Tags: []string{r.ImageName() + ":" + version}, Inspected: true, Arch: "amd64",
		Env: map[string]string{"PATH": "/bin"}, Cmd: []string{"/app"}}
	if r.Registry != nil {
		m.Digests = []string{r.ImageName() + "@sha256:" + id("manifest", version)}
	}
	return m
}

// pinOf is the pin of a version.
func pinOf(r release.Release, version string) plan.Pin {
	if r.Registry != nil {
		return plan.Pin{Digest: "sha256:" + id("manifest", version), From: "registry"}
	}
	return plan.Pin{ID: "sha256:" + id("image", version), From: "this machine"}
}

// specs are what the planner would create for a version on hosts where nothing is: host/role → spec.
func (w *world) specs(version string) map[string]state.Spec {
	bare := &world{desired: w.desired, pin: pinOf(w.desired, version), atHand: w.atHand, keys: w.keys}
	bare.desired.Version = version
	for _, host := range w.desired.Hosts {
		bare.hosts = append(bare.hosts, state.Host{Name: host.Name, Home: "/root", RunDir: "/root/.kamal"})
	}
	specs := map[string]state.Spec{}
	for _, s := range bare.plan().Steps {
		if s.Kind == plan.StepCreate {
			specs[s.Host+"/"+s.Role] = *s.Spec
		}
	}
	return specs
}

// make adds a container made from a spec, as the engine would show it; the caller changes it at will.
func (w *world) make(host, name string, spec state.Spec, status state.Status, imageID string) *state.Container {
	w.serial++
	h := w.host(host)
	asked := clone(spec)
	h.Containers = append(h.Containers, state.Container{ID: id("container", w.serial), Name: name, ImageID: imageID, Service: spec.Labels[state.LabelService],
		Role: spec.Labels[state.LabelRole], Destination: spec.Labels[state.LabelDestination], Status: status, Created: epoch.Add(time.Duration(w.serial) * time.Minute),
		Asked: &asked, Live: live(spec, imageID), Release: 1, RunDir: h.RunDir, IPs: map[string]string{spec.Network: "10.0.0.1"}})
	return &h.Containers[len(h.Containers)-1]
}

// live is how an engine shows what was asked for.
func live(spec state.Spec, imageID string) state.Spec {
	spec = clone(spec)
	spec.Digest = imageID
	if spec.Cmd == nil && len(spec.Options["entrypoint"]) == 0 { // as Docker: the image's goes with the image's entrypoint
		spec.Cmd = []string{"/app"}
	}
	if spec.LogDriver == "" {
		spec.LogDriver = "json-file"
	}
	if spec.Env == nil {
		spec.Env = map[string]string{}
	}
	spec.Env["PATH"] = "/bin"
	return spec
}

func clone(spec state.Spec) state.Spec {
	copied, err := state.ParseSpec(spec.JSON())
	if err != nil {
		panic(err)
	}
	return copied
}

// shop is a small release: web, proxied and primary, on web-1 and web-2; workers on work-1 and with them on web-2.
func shop() release.Release {
	role := func(name string, hosts ...string) release.Role {
		return release.Role{Name: name, Hosts: hosts, Restart: "unless-stopped", Stop: release.Stop{Grace: 10 * time.Second},
			Env: release.Env{Clear: map[string]string{"COLOUR": "red"}, Secrets: map[string]string{"TOKEN": "TOKEN"}}}
	}
	web, workers := role("web", "web-1", "web-2"), role("workers", "web-2", "work-1")
	web.Primary = true
	web.Proxy = &release.Proxy{AppPort: 80, Options: state.RouteOptions{Hosts: []string{"shop.test"}, HealthPath: "/up"}}
	web.Options = map[string][]string{"memory": {"536870912"}}
	return release.Release{Service: "shop", Repository: "acme/shop", Version: "v1", PrimaryRole: "web", RetainContainers: 5, Network: "kamal",
		Registry: &release.Registry{Server: "registry.test"}, RunDirectory: ".kamal",
		Hosts:       []release.Host{{Name: "web-1"}, {Name: "web-2"}, {Name: "work-1", Tags: []string{"eu"}}},
		Roles:       []release.Role{web, workers},
		ProxyServer: release.ProxyServer{Name: "kamal-proxy", Image: "proxy:v1"}}
}

// fresh is a world where nothing has been deployed, and every secret is at hand.
func fresh(desired release.Release) *world {
	w := &world{desired: desired, pin: pinOf(desired, desired.Version), atHand: map[string]string{"TOKEN": "s3cret-1", "DB": "s3cret-2"}, keys: map[string]bool{}}
	for _, on := range desired.Hosts {
		w.hosts = append(w.hosts, state.Host{Name: on.Name, Home: "/root", RunDir: "/root/.kamal", Engine: state.Engine{Arch: "amd64"}})
	}
	return w
}

// released is a world where the release has been deployed and all is well.
func released(t *testing.T, desired release.Release) *world {
	t.Helper()
	w := fresh(desired)
	return w.settle(t)
}

// settle carries out the plan, and holds the next one to be empty.
func (w *world) settle(t *testing.T) *world {
	t.Helper()
	p := w.plan()
	if len(p.Problems) > 0 {
		t.Fatalf("the plan has problems: %+v", p.Problems)
	}
	after := w.clone()
	if err := after.carryOut(p, inOrder); err != nil {
		t.Fatalf("the plan cannot be carried out: %v", err)
	}
	if next := after.plan(); !next.Empty() {
		t.Fatalf("the plan after apply is not empty:\n%s", show(next))
	}
	return after
}

// to gives the world another version to want.
func (w *world) to(version string) *world {
	w = w.clone()
	w.desired.Version, w.pin = version, pinOf(w.desired, version)
	return w
}

// show is a plan for a person who reads a failed test.
func show(p plan.Plan) string {
	text := fmt.Sprintf("kind %s, problems %+v\n", p.Kind, p.Problems)
	for _, item := range p.Items {
		text += fmt.Sprintf("  %s %s %s %s/%s %s: %s %v\n", item.Action, item.Cause, item.Resource, item.Host, item.Role, item.Name, item.Reason, item.Fields)
	}
	for _, s := range p.Steps {
		text += fmt.Sprintf("    %s ← %v\n", s.ID, s.Needs)
	}
	return text
}
