package reconcile_test

import (
	"context"
	"time"

	"github.com/kamald/kamald/drivers/sim"
	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// besideScenarios are those with an accessory.
var besideScenarios = []scenario{
	{name: "first deploy with an accessory", before: (*history).caches, want: beside("v1", "redis:7"), after: allV1 + " h3/redis=redis:7"},
	{name: "accessory replaced", before: ranBeside("v1", "redis:7"), want: beside("v2", "redis:8"), after: allV2 + " h3/redis=redis:8"},
	{name: "broken accessory", before: ranBeside("v1", "redis:7"), want: beside("v2", "redis:9"), breaks: true, settle: beside("v1", "redis:7"), after: allV1 + " h3/redis=redis:7"},
	{name: "accessory left the file", before: ranBeside("v1", "redis:7"), want: at("v1"), after: allV1},
	{name: "accessory rebooted", before: ranBeside("v1", "redis:7"), want: beside("v1", "redis:8"), after: allV1 + " h3/redis=redis:8", act: func(ctx context.Context, h *history, by string) *command {
		desired := beside("v1", "redis:8")(h)
		return h.run(by, desired, func(c *reconcile.Controller) (reconcile.Report, error) {
			return c.BootAccessories(ctx, desired, []string{"redis"}, nil, true)
		})
	}, settle: beside("v1", "redis:8")},
	{name: "one of two accessories rebooted is broken", before: func(h *history) { h.caches(); h.must(h.withQueue("redis:7")) }, want: func(h *history) release.Release { return h.withQueue("redis:7") },
		breaks: true, after: allV1 + " h3/redis=redis:7 h3/queue=redis:7", act: func(ctx context.Context, h *history, by string) *command {
			desired := h.withQueue("redis:8")
			desired.Accessories[1].Health = &release.Health{TCP: 9999, Interval: time.Second, Timeout: time.Second} // nobody listens there
			return h.run(by, desired, func(c *reconcile.Controller) (reconcile.Report, error) {
				return c.BootAccessories(ctx, desired, []string{"redis", "queue"}, nil, true)
			})
		}, settle: func(h *history) release.Release { return h.withQueue("redis:7") }},
	{name: "accessory behind the proxy replaced", before: ranBehind("v1", "redis:7"), want: behind("v2", "redis:8"), after: allV2 + " h3/redis=redis:8 routed"},
	{name: "broken accessory behind the proxy", before: ranBehind("v1", "redis:7"), want: behind("v2", "redis:9"), breaks: true, settle: behind("v1", "redis:7"), after: allV1 + " h3/redis=redis:7 routed"},
	{name: "accessory behind the proxy left the file", before: ranBehind("v1", "redis:7"), want: at("v1"), after: allV1},
	{name: "accessory behind the proxy started", want: behind("v1", "redis:7"), after: allV1 + " h3/redis=redis:7 routed", before: func(h *history) {
		ranBehind("v1", "redis:7")(h)
		h.onBehind(h.t.Context(), "stop", (*reconcile.Controller).StopAccessories)
	}, act: func(ctx context.Context, h *history, by string) *command {
		return h.onBehind(ctx, by, func(c *reconcile.Controller, ctx context.Context, r release.Release, names, hosts []string, _ string) (reconcile.Commanded, error) {
			return c.StartAccessories(ctx, r, names, hosts)
		})
	}},
	{name: "accessory behind the proxy restarted", before: ranBehind("v1", "redis:7"), want: behind("v1", "redis:7"), after: allV1 + " h3/redis=redis:7 routed", act: func(ctx context.Context, h *history, by string) *command {
		return h.onBehind(ctx, by, func(c *reconcile.Controller, ctx context.Context, r release.Release, names, hosts []string, _ string) (reconcile.Commanded, error) {
			return c.RestartAccessories(ctx, r, names, hosts)
		})
	}, settle: behind("v1", "redis:7")},
}

// caches pushes the images of an accessory.
func (h *history) caches() {
	h.cache("redis:7", sim.Healthy(300*time.Millisecond))
	h.cache("redis:8", sim.Healthy(300*time.Millisecond))
	h.cache("redis:9", sim.Exits(1, time.Second))
}

// beside is a version with the accessory beside it.
func beside(version, image string) func(*history) release.Release {
	return func(h *history) release.Release { return h.withRedis(version, image) }
}

// withQueue is a version with two accessories on one host.
func (w *world) withQueue(image string) release.Release {
	desired := w.withRedis("v1", image)
	queue := redis(image)
	queue.Name, queue.Service, queue.Volumes, queue.Files, queue.Directories = "queue", "shop-queue", nil, nil, nil
	desired.Accessories = append(desired.Accessories, queue)
	return desired
}

// ranBeside has both run, with data that nothing may take away.
func ranBeside(version, image string) func(*history) {
	return func(h *history) {
		h.caches()
		h.must(h.withRedis(version, image))
		h.WriteFile("h3", accessoryData, []byte("all that there is"))
		h.data = true
	}
}

// behind is a version with the accessory behind the proxy.
func behind(version, image string) func(*history) release.Release {
	return func(h *history) release.Release { return h.behindProxy(version, image) }
}

func ranBehind(version, image string) func(*history) {
	return func(h *history) {
		h.caches()
		h.must(h.behindProxy(version, image))
		h.WriteFile("h3", accessoryData, []byte("all that there is"))
		h.data = true
	}
}

// onBehind carries out a command about the accessory behind the proxy.
func (h *history) onBehind(ctx context.Context, by string, do func(*reconcile.Controller, context.Context, release.Release, []string, []string, string) (reconcile.Commanded, error)) *command {
	desired := h.behindProxy("v1", "redis:7")
	return h.run(by, desired, func(c *reconcile.Controller) (reconcile.Report, error) {
		_, err := do(c, ctx, desired, theRedis, nil, "")
		return reconcile.Report{Kind: plan.KindNone}, err
	})
}

const accessoryData = "shop-redis/data/dump.rdb"

// runsBeside gives what runs of the accessories, and that one has a route: " h3/redis=redis:7 routed".
func (h *history) runsBeside() string {
	routed := map[string]string{}
	for _, r := range h.Routes("h3") {
		routed[r.TargetID()] = " routed"
	}
	text := ""
	for _, name := range []string{"redis", "queue"} {
		for _, c := range h.Glance("h3") {
			for _, image := range []string{"redis:7", "redis:8", "redis:9"} {
				if c.Name == "shop-"+name && c.Status == state.StatusRunning && c.ImageID == h.ImageID("h3", ours+image) {
					text += " h3/" + name + "=" + image + routed[state.ShortID(c.ID)]
				}
			}
		}
	}
	return text
}
