package plan_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// sharedShop is a shop that runs with an accessory that others share.
func sharedShop(t *testing.T, change string) *world {
	desired := besideShop("redis:7", change)
	desired.Accessories[0].Shared = true
	return released(t, desired)
}

// Whoever made its container last: one of those that share it leaves it where it is, and says so while it still holds it.
func TestASharedAccessoryThatLeavesOneFileStays(t *testing.T) {
	const waits = "others may share it"
	for name, one := range map[string]struct {
		disturb func(w *world, c *state.Container)
		said    bool
	}{
		"of this app's making":       {func(*world, *state.Container) {}, true},
		"of another's":               {func(_ *world, c *state.Container) { c.Accessory = "shop-eu/redis" }, true},
		"of Kamal's":                 {func(_ *world, c *state.Container) { c.Accessory, c.Shared, c.Asked = "", false, nil }, true},
		"made before it was shared":  {func(_ *world, c *state.Container) { c.Shared = false }, true},
		"what is held has it not":    {func(w *world, _ *state.Container) { w.heldRelease.Accessories = nil }, false},
		"nothing is held":            {func(w *world, _ *state.Container) { w.heldRelease = nil }, false},
		"as an approval of all else": {func(w *world, _ *state.Container) { w.options = plan.Options{Heal: true, Orphans: true} }, true},
	} {
		t.Run(name, func(t *testing.T) {
			w := sharedShop(t, release.OnChangePlan)
			held := *w.heldRelease
			w.heldRelease = &held
			one.disturb(w, w.container("work-1", "shop-redis"))
			w.desired.Accessories = nil
			p := w.plan()
			if slices.ContainsFunc(p.Steps, func(s plan.Step) bool { return s.Role == behind }) {
				t.Errorf("it goes: %s", show(p))
			}
			said := slices.ContainsFunc(p.Items, func(i plan.Item) bool { return i.Role == behind && strings.HasPrefix(i.Deferred, waits) })
			if said != one.said {
				t.Errorf("said: %t\n%s", said, show(p))
			}
		})
	}
}

// Digests of secrets are by the key of whoever made the container: another cannot tell by them that anything changed.
func TestASharedAccessorysSecretsAreComparedByWhoMadeItAlone(t *testing.T) {
	for name, owner := range map[string]string{"its own": "shop/redis", "another's": "shop-eu/redis"} {
		t.Run(name, func(t *testing.T) {
			w := sharedShop(t, release.OnChangeRecreate)
			w.desired.Accessories[0].Files = append(w.desired.Accessories[0].Files, release.Placed{Path: "./shop-redis/etc/auth", To: "/etc/auth", Mode: "0640", Owner: "33:33",
				Content: []release.Part{{Secret: "TOKEN"}}})
			c := w.container("work-1", "shop-redis")
			asked := *c.Asked
			c.Accessory, c.Asked = owner, &asked
			asked.Files = maps.Clone(asked.Files)
			asked.Volumes = slices.Insert(slices.Clone(asked.Volumes), 2, "/root/shop-redis/etc/auth:/etc/auth")
			c.Live.Volumes = asked.Volumes
			asked.Secrets = map[string]string{"TOKEN": strings.Repeat("a", 32)}
			asked.Files["/etc/auth"] = state.File{Digest: strings.Repeat("b", 32), Mode: "0640", Owner: "33:33"}
			w.lie("/etc/auth", strings.Repeat("c", 32))
			p := w.plan()
			differs := slices.ContainsFunc(p.Items, func(i plan.Item) bool { return i.Role == behind })
			if differs != (owner == "shop/redis") {
				t.Errorf("%s", show(p))
			}
			w.lie("/etc/auth", "")
			if p := w.plan(); !slices.ContainsFunc(p.Items, func(i plan.Item) bool { return i.Role == behind }) {
				t.Errorf("a file that is gone: %s", show(p))
			}
		})
	}
}

// lie has a file of the accessory's lie on its host with a content of this digest.
func (w *world) lie(to, digest string) {
	lying, _ := w.host("work-1").EnvFile(state.FilesName(behind))
	lying.Digests[to] = digest
}
