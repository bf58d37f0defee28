package e2e

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kamald/kamald/lab"
)

// counts gives how many times something is done: with KAMALD_LONG in full, else a sample.
func counts(sample, full int) int {
	if long() {
		return full
	}
	return sample
}

// A thousand consecutive switches under constant traffic lose no request: some of them by kamald, of alternating versions, most by
// the proxy's own command, between the release's container and a twin of it.
func TestSwitchesUnderTraffic(t *testing.T) {
	f := newFixture(t)
	f.deploy(settings{})
	f.image("v1", nil)
	f.image("v2", nil)
	f.must(0, "apply", "--version", "v1")
	applies, commands := counts(1, 20), counts(8, 480)

	traffic := startTraffic(t, 50, 55*time.Minute, f.host(1), f.host(2))
	serves := "v1"
	for n := range applies { // each switches both hosts
		serves = []string{"v2", "v1"}[n%2]
		f.must(0, "apply", "--version", serves)
	}
	var hosts sync.WaitGroup
	for _, h := range []*lab.Host{f.host(1), f.host(2)} {
		hosts.Go(func() {
			if err := f.switchBetweenTwins(h, serves, commands); err != nil {
				t.Error(err)
			}
		})
	}
	hosts.Wait()
	traffic.end(t)
	t.Logf("%d switches on each of 2 hosts", applies+commands)

	// The commands above have left the proxy's defaults in the route, which is drift.
	f.must(0, "apply", "--version", serves)
	f.emptyTwice(serves)
	f.wantRunning(f.host(1), "shop-web-"+serves)
}

// switchBetweenTwins starts another container of the version that a host runs, switches so many times between the two by the
// proxy's own command, ends at the release's own one, and takes the other away.
func (f *fixture) switchBetweenTwins(h *lab.Host, version string, times int) error {
	release, err := f.shortID(h, "shop-web-"+version)
	if err != nil {
		return err
	}
	image := f.lab.Registry.Server + "/acme/shop:" + version
	const twin = "shop-twin"
	if _, err := h.Exec(f.t.Context(), "docker", "run", "-d", "--name", twin, "--network", "kamal", image); err != nil {
		return err
	}
	defer func() { _, _ = h.Exec(f.t.Context(), "docker", "rm", "-f", twin) }()
	other, err := f.shortID(h, twin)
	if err != nil {
		return err
	}
	for n := range times + times%2 {
		target := []string{other, release}[n%2]
		if out, err := h.Exec(f.t.Context(), "docker", "exec", "kamal-proxy", "kamal-proxy", "deploy", "shop-web", "--target", target+":3000",
			"--health-check-interval", "100ms", "--deploy-timeout", "10s", "--drain-timeout", "10s"); err != nil {
			return fmt.Errorf("%s: switch %d: %w: %s", h.Name, n+1, err, out)
		}
	}
	return nil
}

// shortID is a container's 12-digit ID, by which it is known on its network.
func (f *fixture) shortID(h *lab.Host, name string) (string, error) {
	out, err := h.Exec(f.t.Context(), "docker", "inspect", "-f", "{{.Id}}", name)
	if err != nil {
		return "", err
	}
	id := strings.TrimSpace(out)
	return id[:min(12, len(id))], nil
}
