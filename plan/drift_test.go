package plan_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// expectation is a line that the plan must have.
type expectation struct {
	action   plan.Action
	cause    plan.Cause
	resource plan.Resource
	at       string // host/role
	field    string // of its fields, "" for any
}

// has looks for the line.
func (e expectation) in(p plan.Plan) bool {
	return slices.ContainsFunc(p.Items, func(i plan.Item) bool {
		return i.Action == e.action && i.Cause == e.cause && i.Resource == e.resource && i.Host+"/"+i.Role == e.at &&
			(e.field == "" || slices.ContainsFunc(i.Fields, func(f plan.Field) bool { return f.Path == e.field }))
	})
}

func hasStep(p plan.Plan, id string) bool {
	return slices.ContainsFunc(p.Steps, func(s plan.Step) bool { return s.ID == id })
}

// webOn is the running container of a role.
func webOn(t *testing.T, w *world, host, role string) *state.Container {
	t.Helper()
	c, ok := plan.CurrentOf(w.desired.App(), *w.host(host), role)
	if !ok {
		t.Fatalf("nothing of %s runs on %s", role, host)
	}
	return w.container(host, c.ID)
}

type hand func(t *testing.T, w *world)

// onWeb changes the container of web on web-1.
func onWeb(change func(w *world, c *state.Container)) hand {
	return func(t *testing.T, w *world) { change(w, webOn(t, w, "web-1", "web")) }
}

// drifts are what people do to servers by hand, and what heals it.
var drifts = map[string]struct {
	hand hand
	want expectation
	step string // that heals it
}{
	"a container removed": {func(t *testing.T, w *world) {
		gone := webOn(t, w, "web-1", "web").ID
		h := w.host("web-1")
		h.Containers = slices.DeleteFunc(h.Containers, func(c state.Container) bool { return c.ID == gone })
	}, expectation{plan.Create, plan.Drift, plan.ResourceContainer, "web-1/web", ""}, "create/web-1/web"},
	"a container stopped": {onWeb(func(_ *world, c *state.Container) { c.Status, c.ExitCode = state.StatusExited, 137 }),
		expectation{plan.Update, plan.Drift, plan.ResourceContainer, "web-1/web", ""}, "start/web-1/web"},
	"a container paused": {onWeb(func(_ *world, c *state.Container) { c.Status = state.StatusPaused }),
		expectation{plan.Replace, plan.Drift, plan.ResourceContainer, "web-1/web", ""}, "create/web-1/web"},
	"a container that keeps ending": {onWeb(func(_ *world, c *state.Container) { c.Status = state.StatusRestarting }),
		expectation{plan.Replace, plan.Drift, plan.ResourceContainer, "web-1/web", ""}, "create/web-1/web"},
	"recreated with another variable and kamald's labels": {onWeb(func(_ *world, c *state.Container) { c.Live.Env["COLOUR"] = "green" }),
		expectation{plan.Replace, plan.Drift, plan.ResourceContainer, "web-1/web", "env COLOUR"}, "create/web-1/web"},
	"recreated with another variable and without kamald's labels": {onWeb(func(_ *world, c *state.Container) {
		c.Asked, c.Release, c.RunDir = nil, 0, ""
		c.Live.Env["COLOUR"] = "green"
	}), expectation{plan.Replace, plan.Drift, plan.ResourceContainer, "web-1/web", "env COLOUR"}, "create/web-1/web"},
	"recreated with a variable more": {onWeb(func(_ *world, c *state.Container) { c.Live.Secrets["DEBUG"] = "digest-of-yes" }),
		expectation{plan.Replace, plan.Drift, plan.ResourceContainer, "web-1/web", "env DEBUG"}, "create/web-1/web"},
	"recreated with a volume more": {onWeb(func(_ *world, c *state.Container) { c.Live.Volumes = append(c.Live.Volumes, "/:/host") }),
		expectation{plan.Replace, plan.Drift, plan.ResourceContainer, "web-1/web", "volumes"}, "create/web-1/web"},
	"recreated with another restart policy": {onWeb(func(_ *world, c *state.Container) { c.Live.Restart = "no" }),
		expectation{plan.Replace, plan.Drift, plan.ResourceContainer, "web-1/web", "restart"}, "create/web-1/web"},
	"recreated as a privileged one": {onWeb(func(_ *world, c *state.Container) { c.Live.Options["privileged"] = []string{"true"} }),
		expectation{plan.Replace, plan.Drift, plan.ResourceContainer, "web-1/web", "option privileged"}, "create/web-1/web"},
	"recreated with a capability more, without kamald's labels": {onWeb(func(_ *world, c *state.Container) {
		c.Asked, c.Release, c.RunDir = nil, 0, ""
		c.Live.Options["cap-add"] = []string{"CAP_SYS_ADMIN"}
	}), expectation{plan.Replace, plan.Drift, plan.ResourceContainer, "web-1/web", "option cap-add"}, "create/web-1/web"},
	"recreated with another secret": {onWeb(func(_ *world, c *state.Container) { c.Live.Secrets["TOKEN"] = "digest-of-other" }),
		expectation{plan.Replace, plan.Drift, plan.ResourceContainer, "web-1/web", "secret TOKEN"}, "create/web-1/web"},
	"memory changed by docker update": {onWeb(func(_ *world, c *state.Container) { c.Live.Options["memory"] = []string{"268435456"} }),
		expectation{plan.Update, plan.Drift, plan.ResourceContainer, "web-1/web", "option memory"}, "update/web-1/web"},
	"memory changed by docker update, and swap with it": {onWeb(func(_ *world, c *state.Container) {
		c.Live.Options["memory"], c.Live.Options["memory-swap"] = []string{"268435456"}, []string{"268435456"}
	}), expectation{plan.Update, plan.Drift, plan.ResourceContainer, "web-1/web", "option memory-swap"}, "update/web-1/web"},
	"a limit that nobody asked for, and that the engine cannot take away": {onWeb(func(_ *world, c *state.Container) { c.Live.Options["cpus"] = []string{"500000000"} }),
		expectation{plan.Replace, plan.Drift, plan.ResourceContainer, "web-1/web", "option cpus"}, "create/web-1/web"},
	"a limit that nobody asked for, and that the engine can take away": {onWeb(func(_ *world, c *state.Container) { c.Live.Options["pids-limit"] = []string{"100"} }),
		expectation{plan.Update, plan.Drift, plan.ResourceContainer, "web-1/web", "option pids-limit"}, "update/web-1/web"},
	"an old version's container running too": {onWeb(func(w *world, c *state.Container) {
		old := w.make("web-1", "shop-web-v0", *c.Asked, state.StatusRunning, "sha256:"+id("image", "v0"))
		old.Created = epoch.AddDate(-1, 0, 0)
	}), expectation{plan.Remove, plan.Drift, plan.ResourceContainer, "web-1/web", ""}, ""},
	"a network detached": {onWeb(func(_ *world, c *state.Container) { c.IPs = map[string]string{"bridge": "172.17.0.2"} }),
		expectation{plan.Update, plan.Drift, plan.ResourceContainer, "web-1/web", "network"}, "connect/web-1/web"},
	"a route removed": {func(_ *testing.T, w *world) { w.host("web-1").Proxy.Routes = nil },
		expectation{plan.Create, plan.Drift, plan.ResourceRoute, "web-1/web", ""}, "switch/web-1/web"},
	"a route moved": {func(_ *testing.T, w *world) { w.host("web-1").Proxy.Routes[0].Targets = []string{"0123456789ab:80"} },
		expectation{plan.Update, plan.Drift, plan.ResourceRoute, "web-1/web", "target"}, "switch/web-1/web"},
	"a route with other options": {func(_ *testing.T, w *world) { w.host("web-1").Proxy.Routes[0].Options.HealthPath = "/other" },
		expectation{plan.Update, plan.Drift, plan.ResourceRoute, "web-1/web", "health_path"}, "switch/web-1/web"},
	"the proxy stopped": {func(_ *testing.T, w *world) { w.host("web-1").Proxy.Running = false },
		expectation{plan.Update, plan.Drift, plan.ResourceProxy, "web-1/", ""}, "proxy/web-1"},
	"latest moved": {func(_ *testing.T, w *world) {
		h := w.host("web-1")
		untag(h, "registry.test/acme/shop:latest")
		m := image(w.desired, "v0")
		m.Tags = append(m.Tags, "registry.test/acme/shop:latest")
		h.Images, h.Latest = append(h.Images, m), m.ID
	}, expectation{plan.Update, plan.Drift, plan.ResourceTag, "web-1/", "version"}, "tag/web-1"},
	"latest taken away": {func(_ *testing.T, w *world) {
		untag(w.host("web-1"), "registry.test/acme/shop:latest")
		w.host("web-1").Latest = ""
	}, expectation{plan.Update, plan.Drift, plan.ResourceTag, "web-1/", "version"}, "tag/web-1"},
	"the version's tag moved to another image": {func(_ *testing.T, w *world) {
		h := w.host("web-1")
		untag(h, w.desired.Image())
		h.Images = append(h.Images, state.Image{ID: "sha256:" + id("image", "other"), Tags: []string{w.desired.Image()}})
	}, expectation{plan.Update, plan.Change, plan.ResourceImage, "web-1/", ""}, "image/web-1"},
}

func TestDriftByHandIsSeenAndHealedWithoutARelease(t *testing.T) {
	for name, test := range drifts {
		t.Run(name, func(t *testing.T) {
			w := released(t, shop()).clone()
			test.hand(t, w)
			p := w.plan()
			if !test.want.in(p) || test.step != "" && !hasStep(p, test.step) || p.Kind != plan.KindHeal {
				t.Fatalf("want %+v by %s in\n%s", test.want, test.step, show(p))
			}
			for _, s := range p.Steps {
				if s.Kind == plan.StepRecord || s.Host != "" && s.Host != "web-1" {
					t.Errorf("healing web-1 has the step %s", s.ID)
				}
			}
			w.settle(t)
		})
	}
}

func TestAnUnlimitedResourceIsNotAskedForAsZero(t *testing.T) {
	w := released(t, shop()).clone()
	webOn(t, w, "web-1", "web").Live.Options["memory"] = []string{"268435456"}
	for _, s := range w.plan().Steps {
		if s.Kind == plan.StepUpdate && (len(s.Options["memory-swap"]) != 0 || s.Options["memory"][0] != "536870912" || s.Previous["memory"][0] != "268435456") {
			t.Errorf("update to %v from %v: memory and swap are to be set together, swap to the engine's own", s.Options, s.Previous)
		}
	}
}

func TestAContainerThatKamalMadeIsAdoptedWithNothingToDo(t *testing.T) {
	w := released(t, shop()).clone()
	w.held = nil
	for i := range w.hosts {
		w.hosts[i].Record = nil
		for j := range w.hosts[i].Containers {
			c := &w.hosts[i].Containers[j]
			c.Asked, c.Release, c.Fence, c.RunDir = nil, 0, 0, ""
			c.Live.StopGrace = 0
		}
	}
	if p := w.plan(); !p.Empty() || p.Kind != plan.KindNone || len(p.Items) > 0 {
		t.Fatal(show(p))
	}
	next := w.to("v2").settle(t)
	if c := webOn(t, next, "web-1", "web"); c.Version() != "v2" || c.Asked == nil {
		t.Errorf("after the next release %s serves, asked for %v", c.Name, c.Asked)
	}
}

func TestHealingAWorkerDoesNotNeedThePrimaryRole(t *testing.T) {
	w := released(t, shop()).clone()
	w.options.SkipUnreachable = true
	for _, name := range []string{"web-1", "web-2"} {
		*w.host(name) = state.Host{Name: name, Unreachable: "timeout"}
	}
	webOn(t, w, "work-1", "workers").Status = state.StatusExited
	if p := w.plan(); len(p.Problems) > 0 || !hasStep(p, "start/work-1/workers") || hasStep(p, "barrier") {
		t.Fatal(show(p))
	}
	if p := w.to("v2").plan(); len(p.Problems) != 1 {
		t.Errorf("a release without the primary role is refused once; got %s", show(p))
	}
}

func TestAnOrphanIsDrainedAndRemoved(t *testing.T) {
	w := released(t, shop()).clone()
	w.desired.Roles = w.desired.Roles[:1]
	w.desired.Hosts = slices.DeleteFunc(slices.Clone(w.desired.Hosts), func(h release.Host) bool { return h.Name == "work-1" })
	p := w.plan()
	want := expectation{plan.Remove, plan.Orphan, plan.ResourceContainer, "web-2/workers", ""}
	if !want.in(p) {
		t.Fatal(show(p))
	}
	after := w.settle(t)
	if len(after.host("web-2").Containers) != 1 || len(after.host("web-2").Proxy.Routes) != 1 {
		t.Errorf("left on web-2: %+v", after.host("web-2"))
	}
}

// TestWhatIsGoneIsDriftAlsoWhereTheTagWasMoved: the host's record tells that the release was there.
func TestWhatIsGoneIsDriftAlsoWhereTheTagWasMoved(t *testing.T) {
	w := released(t, shop()).clone()
	held := w.desired
	w.heldRelease = &held
	h := w.host("web-1")
	h.Latest = "sha256:another"
	h.Containers = slices.DeleteFunc(h.Containers, func(c state.Container) bool { return c.Role == "web" })
	if p := w.plan(); p.Kind != plan.KindHeal || !strings.Contains(show(p), "it was removed") {
		t.Error(show(p))
	}
}

// A host that the held release does not have has lost nothing.
func TestTheTagOfANewHostWasNotMoved(t *testing.T) {
	w := released(t, shop()).clone()
	held := w.desired
	held.Hosts = slices.DeleteFunc(slices.Clone(held.Hosts), func(h release.Host) bool { return h.Name == "web-2" })
	w.heldRelease = &held
	h := w.host("web-2")
	h.Latest, h.Containers, h.Proxy, h.Record = "", nil, state.Proxy{}, nil
	tags := 0
	for _, item := range w.plan().Items {
		if item.Resource == plan.ResourceTag {
			tags++
			if item.Cause != plan.Change || item.Reason != "every role has succeeded" {
				t.Errorf("%+v", item)
			}
		}
	}
	if tags != 1 {
		t.Errorf("there are %d tags", tags)
	}
}
