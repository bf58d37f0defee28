package plan_test

import (
	"encoding/json"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// A container that a person had made for one command changes no plan while it runs: it is nobody's to heal, to stop, to count or to
// remove.
func TestAContainerForOneCommandChangesNoPlan(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := anyWorld(t)
		without := encoded(t, w.plan())
		for i := range w.hosts {
			h := &w.hosts[i]
			if h.Unreachable != "" || h.Latest == "" {
				continue
			}
			role := pick(t, "role", "web", "workers", "elsewhere")
			app := w.desired.App()
			c := state.Container{ID: id("exec", i), Name: app.ExecName(role, "v1", "0a1b2c"), ImageID: h.Latest, Service: app.Service,
				Destination: app.Destination, Exec: role, Status: pick(t, "status", state.StatusCreated, state.StatusRunning, state.StatusPaused)}
			if class := plan.Classify(w.desired, *h, c); class != plan.Foreign {
				t.Fatalf("it is %s", class)
			}
			h.Containers = append([]state.Container{c}, h.Containers...)
		}
		if with := encoded(t, w.plan()); with != without {
			t.Fatalf("with them:\n%s\nwithout:\n%s", with, without)
		}
	})
}

func encoded(t *rapid.T, p plan.Plan) string {
	data, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestAContainerForOneCommandIsLikeTheRolesAndInNobodysWay(t *testing.T) {
	desired := shop()
	on := desired.Hosts[0]
	role := desired.Roles[0]
	role.Options = map[string][]string{"publish": {"80:80"}, "network-alias": {"web"}, "ip": {"10.0.0.5"}, "health-cmd": {"true"}, "memory": {"64"}, "tty": {"true"}, "hostname": {"w"}}
	role.Volumes, role.Restart = []string{"./data:/data"}, "always"
	role.Env.FromHost = map[string]release.HostText{}
	spec, missing := plan.ExecSpec(desired, state.Host{Name: on.Name, Home: "/root"}, on, role, "sha256:1", "acme/shop:v7", "v7", "shop-web-exec-v7-0a1b2c", []string{"bin/rails", "c"})
	if len(missing) > 0 || spec.Image != "acme/shop:v7" || spec.Digest != "sha256:1" || !slices.Equal(spec.Cmd, []string{"bin/rails", "c"}) || spec.Restart != "no" || !spec.Passing {
		t.Errorf("%+v %v", spec, missing)
	}
	if len(spec.Options) != 1 || spec.Options["memory"] == nil || !slices.Equal(spec.Volumes, []string{"/root/data:/data"}) {
		t.Errorf("options %v, volumes %v", spec.Options, spec.Volumes)
	}
	if spec.Labels[state.LabelRole] != "" || spec.Labels[state.LabelExec] != role.Name || spec.Env["KAMAL_VERSION"] != "v7" || spec.Env["KAMAL_CONTAINER_NAME"] != "shop-web-exec-v7-0a1b2c" {
		t.Errorf("labels %v, variables %v", spec.Labels, spec.Env)
	}
	if len(role.Options) != 7 {
		t.Error("the release's own options were changed")
	}
}

func TestTheImageThatServesHasItsVersionsName(t *testing.T) {
	w := released(t, shop())
	h := w.host(w.desired.Hosts[0].Name)
	name := w.desired.ImageName()
	check := func(what, version, ref string) {
		t.Helper()
		got, gotRef, gotVersion, ok := plan.Serving(w.desired, *h, "web")
		if !ok || got != h.Latest && h.Latest != "" || gotRef != ref || gotVersion != version {
			t.Errorf("%s: %s %s %s %v, want %s %s", what, got, gotRef, gotVersion, ok, ref, version)
		}
	}
	served := w.desired.Version
	check("released", served, name+":"+served)
	i := slices.IndexFunc(h.Images, func(image state.Image) bool { return image.ID == h.Latest })
	h.Images[i].Tags = append(h.Images[i].Tags, name+":a-twin")
	check("with a twin", served, name+":"+served)
	w.desired.Version = "v9"
	check("with another version in the file", served, name+":"+served)
	h.Images[i].Tags = []string{name + ":latest"}
	check("with no tag but latest", served, name+":latest")
	latest := h.Latest
	h.Images[i].Tags, h.Latest = []string{name + ":" + served}, ""
	check("with no latest", served, name+":"+served)
	h.Containers, h.Latest = nil, latest
	check("with no container", served, name+":"+served)
	h.Latest = ""
	if _, _, _, ok := plan.Serving(w.desired, *h, "web"); ok {
		t.Error("nothing serves, and nothing was released")
	}
}
