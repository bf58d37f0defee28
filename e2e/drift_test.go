package e2e

import (
	"strings"
	"testing"

	"github.com/kamald/kamald/lab"
)

// Drift by hand is seen, named, and healed by apply.
func TestDriftByHand(t *testing.T) {
	f := newFixture(t)
	f.deploy(settings{workers: "  options = { memory = \"64m\" }"})
	f.image("v1", nil)
	f.image("v2", nil)
	f.must(0, "apply", "--version", "v1")
	f.must(0, "apply", "--version", "v2")
	web, workers := f.host(1), f.host(3)
	image := f.lab.Registry.Server + "/acme/shop"
	for _, c := range []struct {
		name string
		says string
		do   func(t *testing.T)
	}{
		{"container removed", "it was removed", func(t *testing.T) { f.exec(workers, "docker", "rm", "-f", "shop-workers-v2") }},
		{"proxied container removed", "it was removed", func(t *testing.T) { f.exec(web, "docker", "rm", "-f", "shop-web-v2") }},
		{"container stopped", "it is stopped", func(t *testing.T) { f.exec(web, "docker", "stop", "-t", "1", "shop-web-v2") }},
		{"recreated with another variable", "BY_HAND", func(t *testing.T) { f.recreate(workers, image+":v2") }},
		{"memory changed", "memory", func(t *testing.T) {
			f.exec(workers, "docker", "update", "--memory", "128m", "--memory-swap", "256m", "shop-workers-v2")
		}},
		{"old version running too", "shop-web-v1", func(t *testing.T) { f.exec(web, "docker", "start", "shop-web-v1") }},
		{"network detached", "network", func(t *testing.T) { f.exec(web, "docker", "network", "disconnect", "kamal", "shop-web-v2") }},
		{"route removed", "the proxy does not know it", func(t *testing.T) { f.exec(web, "docker", "exec", "kamal-proxy", "kamal-proxy", "remove", "shop-web") }},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.do(t)
			drift := f.must(3, "drift", "--version", "v2")
			if !strings.Contains(drift.stdout, c.says) {
				t.Errorf("the report does not say %q", c.says)
			}
			f.must(0, "apply", "--version", "v2")
			f.must(0, "drift", "--version", "v2")
			f.emptyTwice("v2")
			f.wantRunning(f.host(1), "shop-web-v2")
			f.wantRunning(f.host(3), "shop-workers-v2")
			f.wantLatest("v2")
		})
	}
}

// recreate makes the workers' container anew by hand, as somebody would who only knows `docker run`.
func (f *fixture) recreate(h *lab.Host, image string) {
	f.t.Helper()
	f.exec(h, "docker", "rm", "-f", "shop-workers-v2")
	f.exec(h, "docker", "run", "-d", "--name", "shop-workers-v2", "--network", "kamal", "--restart", "unless-stopped", "-e", "BY_HAND=yes",
		"--label", "service=shop", "--label", "role=workers", "--label", "destination=", image, "app", "worker")
}
