package plan_test

import (
	"slices"
	"testing"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/release"
)

// TestWhatASingletonHasOnItsOtherHostsGoesAndThePlanSaysWhy: the role had one container on each of them.
func TestWhatASingletonHasOnItsOtherHostsGoesAndThePlanSaysWhy(t *testing.T) {
	w := released(t, shop())
	w.desired.Roles = slices.Clone(w.desired.Roles)
	w.desired.Roles[1].Singleton = true
	p := w.plan()
	i := slices.IndexFunc(p.Items, func(i plan.Item) bool { return i.Host == "work-1" && i.Action == plan.Remove })
	if i < 0 || p.Items[i].Reason != "a singleton runs on its first host, web-2" {
		t.Error(show(p))
	}
	w.settle(t)
}

// TestNoHostThatLeftIsEmptiedWhileNoneThatStaysCanBeSeen: nobody could say then that anything serves.
func TestNoHostThatLeftIsEmptiedWhileNoneThatStaysCanBeSeen(t *testing.T) {
	w := released(t, shop())
	w.options.SkipUnreachable = true
	w.desired.Hosts = slices.DeleteFunc(slices.Clone(w.desired.Hosts), func(on release.Host) bool { return on.Name == "work-1" })
	w.desired.Roles = slices.Clone(w.desired.Roles)
	w.desired.Roles[1].Hosts = []string{"web-2"}
	w.host("work-1").Leaving = true
	if p := w.plan(); len(p.Problems) > 0 {
		t.Fatal(show(p))
	}
	for _, name := range []string{"web-1", "web-2"} {
		w.host(name).Unreachable = "no route to host"
	}
	if p := w.plan(); len(p.Problems) == 0 {
		t.Error(show(p))
	}
}
