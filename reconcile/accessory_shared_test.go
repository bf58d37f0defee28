package reconcile_test

import (
	"slices"
	"testing"
	"testing/synctest"

	"github.com/kamald/kamald/drivers/sim"
	"github.com/kamald/kamald/release"
)

// sharing are two destinations of an app that share an accessory with secrets.
func (w *world) sharing() (production, staging release.Release) {
	production, staging = w.withRedis("v1", "redis:7"), w.withRedis("v1", "redis:7")
	production.Accessories[0].Shared, staging.Accessories[0].Shared = true, true
	proxied := *staging.Roles[0].Proxy
	proxied.Options.Hosts = []string{"staging.example.com"}
	staging.Destination, staging.Roles[0].Proxy = "staging", &proxied
	return production, staging
}

func TestASharedAccessorySettlesForEachDestination(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorldWithRedis(t)
		production, staging := w.sharing()
		w.mustApply(production)
		id := w.redisID()
		w.mustApply(staging)
		w.mustBeEmpty(production)
		w.mustBeEmpty(staging)
		if w.redisID() != id {
			t.Errorf("it was made anew\n%s", w.progress())
		}
	})
}

// The other may use what the one that has made it needs no more.
func TestASharedAccessoryStaysWhenWhoMadeItDropsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorldWithRedis(t)
		production, staging := w.sharing()
		w.mustApply(staging)
		w.mustApply(production)
		id := w.redisID()
		staging.Accessories = nil
		for _, version := range []string{"v1", "v2", "v2"} {
			if version == "v2" {
				w.image(version, sim.Healthy(0))
			}
			staging.Version = version
			w.mustApply(staging)
			if w.redisID() != id || w.redis() != "redis:7" {
				t.Fatalf("after an apply of %s it is %q\n%s", version, w.redis(), w.progress())
			}
		}
		w.mustBeEmpty(staging)
		w.mustBeEmpty(production)
		if !slices.Contains(w.Volumes("h3"), "redis-sockets") {
			t.Errorf("volumes: %v", w.Volumes("h3"))
		}
	})
}

// A host that was away when it was dropped has it in its own newest record, and what is held has not: its label says that it is shared.
func TestASharedAccessoryStaysOnAHostThatWasAwayWhenItWasDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorldWithRedis(t)
		_, staging := w.sharing()
		w.mustApply(staging)
		id := w.redisID()
		w.image("v2", sim.Healthy(0))
		staging.Accessories, staging.Version, staging.Rollout.SkipUnreachable = nil, "v2", true
		w.Cut("h3")
		w.mustApply(staging)
		w.Restore("h3")
		w.mustApply(staging)
		if w.redisID() != id || w.redis() != "redis:7" {
			t.Errorf("it is %q\n%s", w.redis(), w.progress())
		}
		w.mustBeEmpty(staging)
	})
}
