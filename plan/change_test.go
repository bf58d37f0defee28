package plan_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// roleOf gives a role of the world's own release to change.
func roleOf(w *world, name string) *release.Role {
	w.desired.Roles = slices.Clone(w.desired.Roles)
	i := slices.IndexFunc(w.desired.Roles, func(r release.Role) bool { return r.Name == name })
	return &w.desired.Roles[i]
}

func TestAChangeOfConfigurationReplacesWhatItReaches(t *testing.T) {
	for name, test := range map[string]struct {
		change func(w *world)
		field  string
		at     []string // host/role that are replaced
	}{
		"a clear variable": {func(w *world) {
			roleOf(w, "web").Env = release.Env{Clear: map[string]string{"COLOUR": "blue"}, Secrets: map[string]string{"TOKEN": "TOKEN"}}
		}, "env COLOUR", []string{"web-1/web", "web-2/web"}},
		"a variable taken away": {func(w *world) { roleOf(w, "workers").Remove = []string{"COLOUR"} }, "env COLOUR", []string{"web-2/workers", "work-1/workers"}},
		"a variable of the host's own": {func(w *world) {
			roleOf(w, "web").Env = release.Env{Clear: map[string]string{"COLOUR": "red"}, Secrets: map[string]string{"TOKEN": "TOKEN"}, FromHost: map[string]release.HostText{"ZONE": "in ${ZONE}"}}
			for _, name := range []string{"web-1", "web-2"} {
				w.host(name).Environ = map[string]string{"ZONE": "a"}
			}
		}, "env ZONE", []string{"web-1/web", "web-2/web"}},
		"a tag's variable, on hosts with the tag only": {func(w *world) {
			w.desired.Tags = []release.Tag{{Name: "eu", Env: release.Env{Clear: map[string]string{"REGION": "eu"}}}}
		}, "env REGION", []string{"work-1/workers"}},
		"a secret at hand": {func(w *world) { w.atHand = map[string]string{"TOKEN": "s3cret-new"} }, "secret TOKEN",
			[]string{"web-1/web", "web-2/web", "web-2/workers", "work-1/workers"}},
		"a secret on the host": {func(w *world) {
			w.atHand = nil
			w.host("web-1").EnvFiles[0].Digests["TOKEN"] = "digest-of-s3cret-new"
		}, "secret TOKEN", []string{"web-1/web"}},
		"an option":   {func(w *world) { roleOf(w, "web").Options = map[string][]string{"memory": {"1073741824"}} }, "option memory", []string{"web-1/web", "web-2/web"}},
		"the command": {func(w *world) { roleOf(w, "workers").Cmd = []string{"bin/work"} }, "cmd", []string{"web-2/workers", "work-1/workers"}},
		"a label":     {func(w *world) { roleOf(w, "workers").Labels = map[string]string{"team": "jobs"} }, "label team", []string{"web-2/workers", "work-1/workers"}},
		"a volume":    {func(w *world) { roleOf(w, "workers").Volumes = []string{"~/data:/data"} }, "volumes", []string{"web-2/workers", "work-1/workers"}},
		"the image behind the version": {func(w *world) { w.pin.Digest = "sha256:" + id("manifest", "rebuilt") }, "image digest",
			[]string{"web-1/web", "web-2/web", "web-2/workers", "work-1/workers"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := released(t, shop()).clone()
			test.change(w)
			p := w.plan()
			var replaced []string
			for _, item := range p.Items {
				if item.Resource != plan.ResourceContainer {
					continue
				}
				if at := item.Host + "/" + item.Role; !(expectation{plan.Replace, plan.Change, plan.ResourceContainer, at, test.field}).in(p) {
					t.Errorf("%s is not a change of %s: %+v", at, test.field, item)
				} else {
					replaced = append(replaced, at)
				}
				for _, f := range item.Fields {
					if strings.HasPrefix(f.Path, "secret") && strings.Contains(f.Before+f.After, "s3cret") {
						t.Errorf("a secret shows: %+v", f)
					}
				}
			}
			if !slices.Equal(replaced, test.at) || p.Kind != plan.KindConfig {
				t.Errorf("replaced %v, want %v:\n%s", replaced, test.at, show(p))
			}
			if name != "the image behind the version" { // the model knows one image a version
				w.settle(t)
			}
		})
	}
}

func TestAFirstDeployPreparesEverythingAndMovesLatestLast(t *testing.T) {
	w := fresh(shop())
	p := w.plan()
	for _, step := range []string{"network/web-1", "image/web-1", "env/web-1/web", "proxy/web-1", "create/web-1/web", "prove/web-1/web", "switch/web-1/web", "barrier",
		"create/work-1/workers", "prove/work-1/workers", "tag/work-1", "record/work-1"} {
		if !hasStep(p, step) {
			t.Errorf("no step %s", step)
		}
	}
	if hasStep(p, "proxy/work-1") {
		t.Error("a host without a proxied role gets a proxy")
	}
	if p.Kind != plan.KindRelease || p.Before != "" {
		t.Errorf("kind %s, before %q", p.Kind, p.Before)
	}
	w.settle(t)
}

func TestAReleaseKeepsTheOldContainerStoppedForRollback(t *testing.T) {
	w := released(t, shop()).to("v2")
	if p := w.plan(); p.Before != "v1" || p.Kind != plan.KindRelease {
		t.Errorf("before %q, kind %s", p.Before, p.Kind)
	}
	after := w.settle(t)
	for _, at := range [][2]string{{"web-1", "shop-web-v1"}, {"work-1", "shop-workers-v1"}} {
		if c := after.container(at[0], at[1]); c == nil || c.Status != state.StatusExited {
			t.Errorf("%v is %+v", at, c)
		}
	}
}

func TestAChangeOfTheSameVersionRenamesTheOldContainer(t *testing.T) {
	w := released(t, shop()).clone()
	old := webOn(t, w, "web-1", "web").ID
	roleOf(w, "web").Cmd = []string{"other"}
	after := w.settle(t)
	if c := after.container("web-1", old); c.Name != state.ReplacedName("shop-web-v1", old) || c.Running() {
		t.Errorf("the old one is %s, %s", c.Name, c.Status)
	}
	if c := webOn(t, after, "web-1", "web"); c.Name != "shop-web-v1" || c.ID == old {
		t.Errorf("%s serves", c.Name)
	}
}

func TestAReplacedContainerWithoutASuccessorIsTheRolesContainer(t *testing.T) {
	for _, byKamal := range []bool{false, true} {
		w := released(t, shop()).clone()
		c := webOn(t, w, "web-1", "web")
		c.Name = state.ReplacedName(c.Name, c.ID)
		if byKamal {
			c.Asked, c.Release = nil, 0
		}
		if p := w.plan(); !p.Empty() {
			t.Errorf("made by Kamal: %t\n%s", byKamal, show(p))
		}
	}
}

func TestASingletonStopsBeforeItStartsAndBehindTheBarrier(t *testing.T) {
	r := shop()
	r.Roles[1].Hosts, r.Roles[1].Singleton = []string{"work-1"}, true
	w := released(t, r).to("v2")
	old := webOn(t, w, "work-1", "workers").ShortID()
	p := w.plan()
	g := graphOf(p)
	if !g.after("start/work-1/workers")["stop/work-1/workers/"+old] || !g.after("stop/work-1/workers/" + old)["barrier"] {
		t.Error(show(p))
	}
	if !slices.ContainsFunc(p.Items, func(i plan.Item) bool { return i.Role == "workers" && i.Risk == plan.Downtime }) {
		t.Error("its item does not say that it is down meanwhile")
	}
	w.settle(t)
}

func TestDependsOnIsTheOrderOfProofs(t *testing.T) {
	r := shop()
	cron := r.Roles[1]
	cron.Name, cron.DependsOn = "cron", []string{"workers"}
	r.Roles = []release.Role{r.Roles[0], cron, r.Roles[1]} // in the file it stands before what it needs
	r.Rollout.ParallelRoles = true
	p := fresh(r).plan()
	g := graphOf(p)
	for _, needed := range []string{"prove/web-2/workers", "prove/work-1/workers"} {
		if !g.after("start/work-1/cron")[needed] {
			t.Errorf("cron does not wait for %s\n%s", needed, show(p))
		}
	}
	if g.after("start/web-2/workers")["prove/work-1/cron"] {
		t.Error("workers wait for cron")
	}
}

func TestGroupsFollowEachOtherWithTheWaitBetween(t *testing.T) {
	r := shop()
	r.Rollout.Limit, r.Rollout.Wait = release.Limit{Count: 1}, 30*time.Second
	w := released(t, r).to("v2")
	p := w.plan()
	if len(p.Groups) != 3 || p.Groups[0][0] != "web-1" || p.Groups[2][0] != "work-1" {
		t.Fatalf("groups %v", p.Groups)
	}
	g := graphOf(p)
	if !g.after("create/web-2/web")["wait/1"] || !g.after("wait/1")["switch/web-1/web"] || !g.after("create/work-1/workers")["wait/2"] || hasStep(p, "wait/3") {
		t.Error(show(p))
	}
	if g.steps["wait/1"].Wait != 30*time.Second {
		t.Errorf("it waits %s", g.steps["wait/1"].Wait)
	}
}

func TestAnUnreachableHostRefusesAReleaseUnlessItIsSkipped(t *testing.T) {
	w := released(t, shop()).to("v2")
	*w.host("web-2") = state.Host{Name: "web-2", Unreachable: "connection refused"}
	p := w.plan()
	if len(p.Problems) != 1 || p.Problems[0].Host != "web-2" || !strings.Contains(p.Problems[0].Next, "--skip-unreachable") {
		t.Errorf("problems %+v", p.Problems)
	}
	w.options.SkipUnreachable = true
	p = w.plan()
	if len(p.Problems) > 0 || !hasStep(p, "create/web-1/web") || len(p.Unreachable) != 1 {
		t.Error(show(p))
	}
	w.settle(t)
}

func TestASkippedHostConvergesWhenItReturns(t *testing.T) {
	w := released(t, shop()).to("v2")
	there := *w.clone().host("web-2")
	*w.host("web-2") = state.Host{Name: "web-2", Unreachable: "connection refused"}
	w.options.SkipUnreachable = true
	w = w.settle(t).clone()
	*w.host("web-2") = there
	held := w.desired
	w.heldRelease = &held
	p := w.plan()
	if hasStep(p, "create/web-1/web") || !hasStep(p, "create/web-2/web") || hasStep(p, "barrier") {
		t.Error(show(p))
	}
	if text := show(p); !strings.Contains(text, "version v1 → v2") || strings.Contains(text, "it was removed") {
		t.Errorf("nobody has removed there what never was there:\n%s", text)
	}
	w.settle(t)
}

func TestMissingSecretsNameTheCommandThatBringsThem(t *testing.T) {
	w := fresh(shop())
	w.atHand = nil
	problems := w.plan().Problems
	if len(problems) != 4 || !strings.Contains(problems[0].Next, "`kamald env push --hosts web-1`") || !strings.Contains(problems[0].Summary, "TOKEN") {
		t.Errorf("%+v", problems)
	}
	for i := range w.hosts { // a file of Kamal, and no key: the first container that is made there makes one
		w.hosts[i].EnvFiles = []state.EnvFile{{Role: "web", Digests: map[string]string{"TOKEN": state.Alike(1)}}, {Role: "workers", Digests: map[string]string{"TOKEN": state.Alike(1)}}}
	}
	if problems := w.plan().Problems; len(problems) != 0 {
		t.Errorf("%+v", problems)
	}
}

func TestWhatNoRecordKnowsYetIsSaid(t *testing.T) {
	w := released(t, shop()).clone()
	if p := w.plan(); p.Unrecorded != nil {
		t.Errorf("it is recorded: %+v", p.Unrecorded)
	}
	w.held, w.heldRelease, w.records = nil, nil, nil
	for i := range w.hosts {
		w.hosts[i].Record = nil
		for j := range w.hosts[i].Containers { // as Kamal makes them
			c := &w.hosts[i].Containers[j]
			c.Asked, c.Release, c.Fence = nil, 0, 0
		}
	}
	p := w.plan()
	if p.Unrecorded == nil || !slices.Equal(p.Unrecorded.Hosts, []string{"web-1", "web-2", "work-1"}) || p.Unrecorded.Image != w.pin.Value() {
		t.Fatalf("unrecorded: %+v\n%s", p.Unrecorded, show(p))
	}
	var text strings.Builder
	if err := p.Text(&text, plan.TextOptions{}); err != nil {
		t.Fatal(err)
	}
	if text := text.String(); !strings.Contains(text, "Not recorded yet: shop runs on web-1, web-2, work-1") || !strings.Contains(text, "`kamald adopt`") {
		t.Errorf("it is not said:\n%s", text)
	}
	if p := fresh(shop()).plan(); p.Unrecorded != nil {
		t.Errorf("nothing runs: %+v", p.Unrecorded)
	}
}

func TestAnotherRunDirectoryIsRefused(t *testing.T) {
	w := released(t, shop()).clone()
	w.host("web-1").RunDir = "/home/deploy/.kamal"
	p := w.plan()
	if len(p.Problems) != 1 || !strings.Contains(p.Problems[0].Summary, "/root/.kamal") || !strings.Contains(p.Problems[0].Summary, "/home/deploy/.kamal") {
		t.Errorf("%+v", p.Problems)
	}
}

func TestATakenNameIsAProblem(t *testing.T) {
	w := released(t, shop()).to("v2")
	w.make("web-1", "shop-web-v2", state.Spec{}, state.StatusExited, "")
	if p := w.plan(); len(p.Problems) != 1 || !strings.Contains(p.Problems[0].Summary, "shop-web-v2 is taken") {
		t.Errorf("%+v", p.Problems)
	}
}

func TestARollbackStartsTheContainerThatIsStillThere(t *testing.T) {
	w := released(t, shop())
	old := webOn(t, w, "web-1", "web").ID
	w = w.to("v2").settle(t).to("v1")
	p := w.plan()
	if hasStep(p, "create/web-1/web") || !hasStep(p, "start/web-1/web") || !hasStep(p, "record/web-1") || p.Kind != plan.KindRelease {
		t.Fatal(show(p))
	}
	if after := w.settle(t); webOn(t, after, "web-1", "web").ID != old {
		t.Error("another container serves")
	}
}

func TestWhatServedUntilNowIsKeptEvenWhenItIsTheOldest(t *testing.T) {
	r := shop()
	r.RetainContainers = 1
	w := released(t, r)
	w.desired.RetainContainers = 5
	w = w.to("v2").settle(t).to("v3").settle(t).to("v1").settle(t).to("v4") // v1 serves, and was made first
	w.desired.RetainContainers = 1
	after := w.settle(t)
	if after.container("web-1", "shop-web-v1") == nil || after.container("web-1", "shop-web-v3") != nil {
		t.Errorf("left: %+v", after.host("web-1").Containers)
	}
}

func TestAVariableThatAHostDoesNotSetIsAProblem(t *testing.T) {
	w := released(t, shop()).clone()
	roleOf(w, "workers").Env.FromHost = map[string]release.HostText{"ZONE": "${ZONE}/${RACK}"}
	w.host("web-2").Environ = map[string]string{"ZONE": "a", "RACK": ""}
	w.host("work-1").Environ = map[string]string{"ZONE": "a"}
	p := w.plan()
	if len(p.Problems) != 1 || p.Problems[0].Host != "work-1" || p.Problems[0].Role != "workers" || !strings.Contains(p.Problems[0].Summary, "has no RACK") {
		t.Errorf("problems: %+v", p.Problems)
	}
}

func TestWhatAnImageOrKamalBringsIsNoDifferenceToTheNextVersion(t *testing.T) {
	w := released(t, shop()).clone()
	w.held, w.heldRelease, w.records = nil, nil, nil
	for i := range w.hosts {
		w.hosts[i].Record = nil
		for j := range w.hosts[i].Containers {
			c := &w.hosts[i].Containers[j]
			c.Asked, c.Release, c.Fence = nil, 0, 0
			c.Live.Options = map[string][]string{"hostname": {"web-1-0123456789ab"}, "workdir": {"/app"}, "expose": {"3000/tcp"}, "memory": {"268435456"}}
			c.Live.Labels = maps.Clone(c.Live.Labels)
			c.Live.Labels["org.opencontainers.image.title"] = "shop"
		}
	}
	w.desired.Version, w.pin = "v2", plan.Pin{Digest: "sha256:" + id("manifest", "v2")}
	for _, item := range w.plan().Items {
		for _, f := range item.Fields {
			if strings.HasPrefix(f.Path, "label ") || strings.HasPrefix(f.Path, "option ") && f.Path != "option memory" {
				t.Errorf("%s on %s: %s: %s → %s", item.Name, item.Host, f.Path, f.Before, f.After)
			}
		}
		if item.Resource == plan.ResourceContainer && !slices.ContainsFunc(item.Fields, func(f plan.Field) bool { return f.Path == "option memory" }) {
			t.Errorf("%s on %s loses its limit in silence", item.Name, item.Host)
		}
	}
}
