package plan_test

import (
	"slices"
	"testing"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// What lies on a host with other permissions, or another owner, than it was given is put right where it lies: by healing, too, and
// whatever waits.
func TestPermissionsOfAnAccessorysFilesArePutRightWhereTheyLie(t *testing.T) {
	const conf, data = "/etc/redis.conf", "/data"
	as := func(mode, owner string) map[string]state.File {
		return map[string]state.File{conf: {Mode: mode, Owner: owner}}
	}
	for _, one := range []struct {
		name   string
		lying  map[string]state.File
		file   func(a *release.Accessory) // what the file has, and the container was made with
		paths  []string
		fields []plan.Field
	}{
		{name: "as it was given", lying: as("0640", "33:33")},
		{name: "another mode", lying: as("0600", "33:33"), paths: []string{conf}, fields: []plan.Field{{Path: "file " + conf + " mode", Before: "0600", After: "0640"}}},
		{name: "another owner", lying: as("0640", "0:33"), paths: []string{conf}, fields: []plan.Field{{Path: "file " + conf + " owner", Before: "0:33", After: "33:33"}}},
		{name: "both", lying: as("0777", "0:0"), paths: []string{conf}, fields: []plan.Field{{Path: "file " + conf + " mode", Before: "0777", After: "0640"}, {Path: "file " + conf + " owner", Before: "0:0", After: "33:33"}}},
		{name: "a user without a group", lying: as("0640", "33:0"), file: func(a *release.Accessory) { a.Files[0].Owner = "33" }},
		{name: "the same in other digits", lying: as("0640", "33:33"), file: func(a *release.Accessory) { a.Files[0].Mode = "640" }},
		{name: "whoever made it", lying: as("0640", "5:5"), file: func(a *release.Accessory) { a.Files[0].Owner = "" }},
		{name: "not seen", lying: nil},
		{name: "a directory of whoever uses it", lying: map[string]state.File{data: {Mode: "0700", Owner: "5:5"}}},
		{name: "a directory with an owner", lying: map[string]state.File{data: {Mode: "0700", Owner: "5:5"}}, file: func(a *release.Accessory) { a.Directories[0].Owner = "33:33" },
			paths: []string{data}, fields: []plan.Field{{Path: "file " + data + " owner", Before: "5:5", After: "33:33"}}},
		{name: "a directory with a mode", lying: map[string]state.File{data: {Mode: "0700", Owner: "5:5"}}, file: func(a *release.Accessory) { a.Directories[0].Mode = "0750" },
			paths: []string{data}, fields: []plan.Field{{Path: "file " + data + " mode", Before: "0700", After: "0750"}}},
	} {
		for _, change := range []string{release.OnChangePlan, release.OnChangeRecreate, release.OnChangeIgnore} {
			for _, heal := range []bool{false, true} {
				desired := besideShop("redis:7", change)
				if one.file != nil {
					one.file(&desired.Accessories[0])
				}
				w := released(t, desired)
				w.lying(one.lying)
				w.options = plan.Options{Heal: heal}
				p := w.plan()
				if len(one.paths) == 0 || change == release.OnChangeIgnore {
					if !p.Empty() || len(p.Items) > 0 {
						t.Errorf("%s, %s: %s", one.name, change, show(p))
					}
					continue
				}
				if len(p.Steps) != 1 || p.Steps[0].Kind != plan.StepPermit || !slices.Equal(p.Steps[0].Paths, one.paths) ||
					len(p.Items) != 1 || p.Items[0].Cause != plan.Drift || p.Items[0].Risk != plan.Safe || !slices.Equal(p.Items[0].Fields, one.fields) {
					t.Errorf("%s, %s, healing %t: %s %+v", one.name, change, heal, show(p), p.Items)
				}
			}
		}
	}
}

// A mode that the file has otherwise by now is a change, and waits as such: nothing is put right meanwhile that would be wrong then.
func TestAnotherModeInTheFileIsAChangeOfTheContainer(t *testing.T) {
	w := released(t, besideShop("redis:7", release.OnChangePlan))
	w.desired.Accessories[0].Files[0].Mode = "0600"
	if p := w.plan(); len(p.Steps) != 0 || len(p.Items) != 1 || p.Items[0].Deferred == "" || !slices.Equal(p.Items[0].Fields, []plan.Field{{Path: "file /etc/redis.conf mode", Before: "0640", After: "0600"}}) {
		t.Errorf("%s %+v", show(p), p.Items)
	}
}

func TestPermissionsThatMovedMakeASavedPlanStale(t *testing.T) {
	w := released(t, besideShop("redis:7", release.OnChangeRecreate)).to("v2")
	saved := w.save()
	later := w.clone()
	later.lying(map[string]state.File{"/etc/redis.conf": {Mode: "0600", Owner: "33:33"}})
	moves := saved.Moved(later.input().Observed)
	if len(moves) != 1 || moves[0].What != "/etc/redis.conf of accessory/redis has other permissions, or another owner" {
		t.Errorf("it says %+v", moves)
	}
}
