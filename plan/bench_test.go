package plan_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// fleet is a world of many hosts with five containers each: a web one and a worker that run, two of the version before, and
// another service's. When released they are as wanted, else another version is wanted.
func fleet(hosts int, desired string) *world {
	r := shop()
	r.Hosts = nil
	var names []string
	for i := range hosts {
		name := fmt.Sprintf("host-%05d", i)
		names = append(names, name)
		r.Hosts = append(r.Hosts, release.Host{Name: name})
	}
	r.Roles[0].Hosts, r.Roles[1].Hosts = names, names
	r.Roles[1].DependsOn = []string{"web"}
	w := fresh(r)
	for _, name := range names {
		w.keys[name] = true
	}
	old, now := w.specs("v1"), w.specs("v2")
	for i := range w.hosts {
		h := &w.hosts[i]
		h.Networks = []state.Network{{ID: id("network", i), Name: "kamal"}}
		h.Images = []state.Image{image(r, "v1"), image(r, "v2")}
		h.Images[1].Tags = append(h.Images[1].Tags, r.ImageName()+":latest")
		h.Latest = h.Images[1].ID
		for _, role := range []string{"web", "workers"} {
			w.make(h.Name, "shop-"+role+"-v1", old[h.Name+"/"+role], state.StatusExited, h.Images[0].ID)
			c := w.make(h.Name, "shop-"+role+"-v2", now[h.Name+"/"+role], state.StatusRunning, h.Images[1].ID)
			h.EnvFiles = append(h.EnvFiles, state.EnvFile{Role: role, Digests: c.Asked.Secrets})
			if role == "web" {
				h.Proxy = state.Proxy{ID: id("proxy", i), Name: "kamal-proxy", Running: true, Networks: []string{"kamal"},
					Routes: []state.Route{{Name: "shop-web", Targets: []string{c.ShortID() + ":80"}, Options: r.Roles[0].Proxy.Options}}}
			}
		}
		h.Containers = append(h.Containers, state.Container{ID: id("blog", i), Name: "blog-web-v1", Service: "blog", Role: "web", Status: state.StatusRunning})
	}
	w.held = &state.Record{Number: 1, Version: "v2"}
	return w.to(desired)
}

// BenchmarkPlan is to be linear in containers.
func BenchmarkPlan(b *testing.B) {
	for _, test := range []struct {
		name, version string
	}{{"nothing to do", "v2"}, {"release", "v3"}} {
		for _, hosts := range []int{10, 100, 1000, 10000} {
			in := fleet(hosts, test.version).input()
			b.Run(fmt.Sprintf("%s/hosts=%d", test.name, hosts), func(b *testing.B) {
				b.ReportAllocs()
				var steps int
				for b.Loop() {
					steps = len(plan.New(in).Steps)
				}
				b.ReportMetric(float64(steps), "steps")
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*hosts*5), "ns/container")
			})
		}
	}
}

// TestTheGraphGrowsWithTheFleetAndNoFaster: edges as well as steps; a gate stands wherever all wait for all.
func TestTheGraphGrowsWithTheFleetAndNoFaster(t *testing.T) {
	size := func(hosts int) int {
		p := fleet(hosts, "v3").plan()
		n := len(p.Steps)
		for _, s := range p.Steps {
			n += len(s.Needs)
		}
		return n
	}
	if small, large := size(20), size(200); large > 11*small {
		t.Errorf("10 times the hosts have %d instead of %d steps and needs", large, small)
	}
}

// TestAPlanAllocatesAsMuchAsTheFleetIsLargeAndNoMore, whether there is much to do, little, or only a part is asked for.
func TestAPlanAllocatesAsMuchAsTheFleetIsLargeAndNoMore(t *testing.T) {
	for name, ask := range map[string]func(*world){
		"nothing to do": func(*world) {},
		"release":       func(w *world) { *w = *w.to("v3") },
		"partial":       func(w *world) { *w = *w.to("v3"); w.options.Filter = plan.Filter{Roles: []string{"web"}} },
		"a role left": func(w *world) {
			held := w.desired
			w.heldRelease, w.desired.Roles = &held, slices.Clone(w.desired.Roles[1:])
			w.desired.Roles[0].DependsOn, w.desired.Roles[0].Primary, w.desired.PrimaryRole = nil, true, "workers"
		},
	} {
		allocations := func(hosts int) float64 {
			w := fleet(hosts, "v2")
			ask(w)
			in := w.input()
			return testing.AllocsPerRun(1, func() { plan.New(in) })
		}
		if small, large := allocations(20), allocations(200); large > 11*small {
			t.Errorf("%s: 10 times the hosts need %.0f instead of %.0f allocations", name, large, small)
		}
	}
}
