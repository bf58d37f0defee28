package plan_test

import (
	"slices"
	"testing"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/state"
)

// TestARepairGoesToTheNextGroupWhenAllOfTheGroupBeforeIsHealthy: also what has no route to be switched.
func TestARepairGoesToTheNextGroupWhenAllOfTheGroupBeforeIsHealthy(t *testing.T) {
	r := shop()
	r.Rollout.Limit.Count = 1
	w := released(t, r)
	for _, at := range [][2]string{{"web-2", "shop-workers-v1"}, {"work-1", "shop-workers-v1"}} {
		w.container(at[0], at[1]).Status = state.StatusExited
	}
	web2 := w.host("web-2") // its web container is made again, and its route switched
	web2.Containers = slices.DeleteFunc(web2.Containers, func(c state.Container) bool { return c.Name == "shop-web-v1" })
	p := w.plan()
	if p.Kind != plan.KindHeal || len(p.Groups) != 2 {
		t.Fatal(show(p))
	}
	if broken := unordered(w, p); len(broken) > 0 || !graphOf(p).after("start/work-1/workers")["prove/web-2/workers"] {
		t.Errorf("%v\n%s", broken, show(p))
	}
}
