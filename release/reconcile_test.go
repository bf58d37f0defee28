package release

import (
	"testing"
	"time"
	_ "time/tzdata" // a machine without the tz database tests the same

	"github.com/google/go-cmp/cmp"
)

func TestWithoutTheReconcileBlockTheDaemonOnlyReports(t *testing.T) {
	want := Reconcile{Mode: ModeReport, Interval: 5 * time.Minute, Budget: 20, Window: 10 * time.Minute, Flap: 5, MaxRemove: 30, MinFree: 10}
	for _, text := range []string{"", "reconcile {}\n", "reconcile { ignore = [] }\n"} {
		if diff := cmp.Diff(want, load(t, in(least+text, "")).Reconcile); diff != "" {
			t.Errorf("%q:\n%s", text, diff)
		}
	}
}

func TestTheReconcileBlockIsRead(t *testing.T) {
	r := load(t, in(least+`
reconcile {
  mode       = "release"
  interval   = "1s"
  budget     = "100%"
  window     = "1h"
  flap       = 1
  max_remove = "0%"
  min_free   = "0%"
  ignore     = ["role.web", "env.LOG_LEVEL", "tag"]
  freeze "nights" {
    from = "22:00"
    to   = "06:00"
  }
  freeze "weekend" {
    days = ["fri", "sat"]
    from = "17:00"
    to   = "16:59"
    zone = "Europe/Berlin"
  }
}
`, ""))
	want := Reconcile{Mode: ModeRelease, Interval: time.Second, Budget: 100, Window: time.Hour, Flap: 1,
		Ignore: []string{"role.web", "env.LOG_LEVEL", "tag"},
		Freezes: []Freeze{{Name: "nights", From: "22:00", To: "06:00", Zone: "UTC"},
			{Name: "weekend", Days: []string{"fri", "sat"}, From: "17:00", To: "16:59", Zone: "Europe/Berlin"}}}
	if diff := cmp.Diff(want, r.Reconcile); diff != "" {
		t.Error(diff)
	}
}

func TestADestinationIsKeptInAWayOfItsOwn(t *testing.T) {
	text := least + `
reconcile {
  mode   = "heal"
  budget = "50%"
  freeze "weekend" {
    from = "17:00"
    to   = "09:00"
  }
}
destination "staging" {
  reconcile {
    mode = "release"
    freeze "weekend" { remove = true }
  }
}
`
	opts := in(text, "")
	opts.Destination = "staging"
	if r := load(t, opts).Reconcile; r.Mode != ModeRelease || r.Budget != 50 || len(r.Freezes) != 0 {
		t.Errorf("staging: %+v", r)
	}
	if r := load(t, in(text, "")).Reconcile; r.Mode != ModeHeal || len(r.Freezes) != 1 {
		t.Errorf("the base: %+v", r)
	}
}

func TestHowTheDaemonKeepsItIsNoPartOfARelease(t *testing.T) {
	one, two := load(t, in(least, "")), load(t, in(least+"reconcile { mode = \"heal\" }\n", ""))
	if one.Reconcile.Mode == two.Reconcile.Mode || Digest(one) != Digest(two) {
		t.Error("the digest is another")
	}
	if diff := cmp.Diff(Settings(one), Settings(two)); diff != "" {
		t.Errorf("the settings of the release are others:\n%s", diff)
	}
}

func TestABastionCanOnlyLowerTheMode(t *testing.T) {
	for _, c := range []struct{ file, bastion, want string }{
		{ModeHeal, ModeReport, ModeReport}, {ModeHeal, ModeHeal, ModeHeal}, {ModeHeal, ModeRelease, ModeHeal},
		{ModeRelease, ModeHeal, ModeHeal}, {ModeRelease, "", ModeRelease}, {ModeReport, ModeRelease, ModeReport}, {ModeHeal, "auto", ModeHeal},
	} {
		file := Reconcile{Mode: c.file, Flap: 3}
		if got := file.Lower(c.bastion); got.Mode != c.want || got.Flap != 3 || file.Mode != c.file {
			t.Errorf("%s lowered to %q is %s", c.file, c.bastion, got.Mode)
		}
	}
}
