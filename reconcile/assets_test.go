package reconcile_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/kamald/kamald/drivers/sim"
	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

const (
	assetVolumes = ".kamal/apps/shop/assets/volumes"
	assetOwn     = ".kamal/apps/shop/assets/extracted"
)

// pushWithAssets pushes a version whose assets are a file of its own, a hidden one, one in a directory, and one of a name that
// every version has.
func (w *world) pushWithAssets(version string) {
	w.Push(sim.Image{Ref: repository + ":" + version, Behaviour: sim.Healthy(0), Labels: map[string]string{"service": "shop"},
		Files: map[string]string{"/app/assets/app-" + version + ".js": version, "/app/assets/.hidden-" + version: version,
			"/app/assets/deep/er/" + version + ".png": version, "/app/assets/manifest.json": version, "/app/other": "x"}})
}

// withAssets is the release with assets in web, and in a role whose name begins with web's.
func (w *world) withAssets(version string) release.Release {
	desired := w.release(version)
	desired.Roles[0].Assets = &release.Assets{Path: "/app/assets", Options: []string{"ro"}}
	admin := desired.Roles[0]
	admin.Name, admin.Primary = "web-admin", false
	admin.Hosts = []string{"h1"}
	proxy := *admin.Proxy
	proxy.Options.PathPrefixes = []string{"/admin"}
	admin.Proxy = &proxy
	desired.Roles = append(desired.Roles, admin)
	return desired
}

func own(version string) []string {
	return []string{".hidden-" + version, "app-" + version + ".js", "deep/er/" + version + ".png", "manifest.json"}
}

func union(versions ...string) []string {
	var names []string
	for _, version := range versions {
		names = append(names, own(version)...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func (w *world) mustHaveSet(host, set string, manifest string, names []string) {
	w.t.Helper()
	tree := w.Tree(host, assetVolumes+"/"+set)
	if got := slices.Sorted(maps.Keys(tree)); !slices.Equal(got, names) {
		w.t.Errorf("%s has in %s %q, want %q", host, set, got, names)
	}
	if tree["manifest.json"] != manifest {
		w.t.Errorf("%s: the manifest of %s is that of %s, and was written over", host, set, tree["manifest.json"])
	}
}

// sets are the directories of sets on a host.
func (w *world) sets(host string) []string {
	c := w.controller()
	defer func() { _ = c.Close() }()
	conn, err := connector{w.Connector()}.Connect(w.t.Context(), release.Host{Name: host})
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	volumes, err := conn.Files.List(w.t.Context(), assetVolumes)
	if err != nil {
		w.t.Fatal(err)
	}
	extracted, err := conn.Files.List(w.t.Context(), assetOwn)
	if err != nil {
		w.t.Fatal(err)
	}
	if !slices.Equal(volumes, extracted) {
		w.t.Errorf("%s has volumes %q and extracted %q", host, volumes, extracted)
	}
	return volumes
}

func TestBothVersionsHaveTheAssetsOfBoth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 4801)
		for _, version := range []string{"v1", "v2", "v3"} {
			w.pushWithAssets(version)
		}
		w.mustApply(w.withAssets("v1"))
		w.mustBeEmpty(w.withAssets("v1"))
		w.mustHaveSet("h1", "web-v1", "v1", union("v1"))
		w.mustApply(w.withAssets("v2"))
		w.mustBeEmpty(w.withAssets("v2"))
		for _, host := range []string{"h1", "h2"} {
			w.mustHaveSet(host, "web-v1", "v1", union("v1", "v2"))
			w.mustHaveSet(host, "web-v2", "v2", union("v1", "v2"))
		}
		w.mustHaveSet("h1", "web-admin-v2", "v2", union("v1", "v2"))
		w.mustApply(w.withAssets("v3"))
		w.mustHaveSet("h1", "web-v3", "v3", union("v2", "v3")) // what v2 was given of v1 goes no further
		for _, c := range w.Containers("h1", state.View{}) {
			if strings.HasSuffix(c.Name, "-assets") {
				t.Errorf("%s is left", c.Name)
			}
			set := state.AssetSet(c.Role, c.Version())
			if volume := "/root/" + assetVolumes + "/" + set + ":/app/assets:ro"; strings.HasPrefix(c.Role, "web") && !slices.Contains(c.Live.Volumes, volume) {
				t.Errorf("%s has the volumes %q, want %q", c.Name, c.Live.Volumes, volume)
			}
		}
	})
}

func TestSetsGoWithTheirContainersByExactNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 4802)
		desired := func(n int) release.Release {
			r := w.withAssets(fmt.Sprintf("v%d", n))
			r.RetainContainers = 1
			return r
		}
		for n := 1; n <= 4; n++ {
			w.pushWithAssets(fmt.Sprintf("v%d", n))
			w.mustApply(desired(n))
			w.mustBeEmpty(desired(n))
		}
		if got, want := w.sets("h1"), []string{"web-admin-v3", "web-admin-v4", "web-v3", "web-v4"}; !slices.Equal(got, want) {
			t.Errorf("h1 has %q, want %q", got, want)
		}
		c := w.controller()
		defer func() { _ = c.Close() }()
		if _, err := c.Rollback(t.Context(), desired(4), reconcile.Back{}, reconcile.Options{}); err != nil {
			t.Fatalf("%v\n%s", err, w.progress())
		}
		w.mustHaveSet("h1", "web-v3", "v3", union("v2", "v3", "v4"))
		if got := w.versions(); !strings.Contains(got, "v3") {
			t.Errorf("it runs %s", got)
		}
	})
}

func TestAnImageWithoutTheDirectoryFailsBeforeAnythingServes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 4803)
		w.pushWithAssets("v1")
		w.mustApply(w.withAssets("v1"))
		w.image("v2", sim.Healthy(0))
		_, err := w.apply(t.Context(), w.withAssets("v2"))
		if err == nil || !strings.Contains(err.Error(), "the image has no directory /app/assets") {
			t.Fatalf("%v", err)
		}
		if got := w.versions(); strings.Contains(got, "v2") {
			t.Errorf("it runs %s", got)
		}
	})
}

// Whatever happens to the n-th call, the next apply makes whole sets of it: nothing half is ever mounted.
func TestSetsAreWholeWhateverFails(t *testing.T) {
	for n := 1; ; n++ {
		met := false
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, uint64(4900+n))
			w.pushWithAssets("v1")
			w.pushWithAssets("v2")
			w.mustApply(w.withAssets("v1"))
			calls := 0
			w.Before(func(c sim.Call) error {
				relevant := slices.Contains([]string{"Files.Unpack", "Files.Share", "Files.Rename", "Engine.Download", "Files.Remove"}, c.Method) && strings.Contains(c.Args, "assets")
				if !relevant {
					return nil
				}
				if calls++; calls == n {
					met = true
					w.Kill()
					return fmt.Errorf("killed at %s", c.Method)
				}
				return nil
			})
			_, _ = w.apply(t.Context(), w.withAssets("v2"))
			w.ClearHooks()
			w.Revive()
			w.mustApply(w.withAssets("v2"))
			for _, host := range []string{"h1", "h2"} {
				w.mustHaveSet(host, "web-v2", "v2", union("v1", "v2"))
				w.mustHaveSet(host, "web-v1", "v1", union("v1", "v2"))
			}
			w.mustBeEmpty(w.withAssets("v2"))
		})
		if !met || t.Failed() {
			break
		}
		if n > 200 {
			t.Fatal("it never ends")
		}
	}
}

// A host that leaves the file keeps none of the app's assets, whoever empties it.
func TestAHostThatLeavesIsEmptiedOfItsAssets(t *testing.T) {
	for _, elsewhere := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, 77)
			w.pushWithAssets("v1")
			desired := w.withAssets("v1")
			w.mustApply(desired)
			if sets := w.Tree("h2", assetVolumes); len(sets) == 0 {
				t.Fatal("h2 has no assets")
			}
			if elsewhere { // from a machine that has seen nothing yet
				w.store = &memory{}
			}
			desired.Hosts = slices.DeleteFunc(slices.Clone(desired.Hosts), func(on release.Host) bool { return on.Name == "h2" })
			desired.Roles[0].Hosts = []string{"h1"}
			w.mustApply(desired)
			if left := append(slices.Collect(maps.Keys(w.Tree("h2", assetVolumes))), slices.Collect(maps.Keys(w.Tree("h2", assetOwn)))...); len(left) > 0 {
				t.Errorf("from elsewhere %t, h2 has %v", elsewhere, left)
			}
			w.mustHaveSet("h1", "web-v1", "v1", own("v1"))
			w.mustBeEmpty(desired)
		})
	}
}
