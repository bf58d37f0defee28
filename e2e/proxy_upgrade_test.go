package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kamald/kamald/lab"
)

// A hundred upgrades of the proxy under constant traffic lose no request, and a restart of its container runs the newest program.
func TestUpgradesOfTheProxyUnderTraffic(t *testing.T) {
	onlyLong(t)
	f := newFixture(t)
	f.deploy(settings{})
	f.image("v1", nil)
	f.must(0, "apply", "--version", "v1")
	hosts := []*lab.Host{f.host(1), f.host(2)}
	versions := []string{"e2e-a", "e2e-b"}
	for _, version := range versions {
		file := f.buildProxy(version)
		for _, h := range hosts {
			if out, err := exec.CommandContext(t.Context(), "docker", "cp", file, h.Container+":/root/"+version).CombinedOutput(); err != nil {
				t.Fatalf("%s: %v: %s", h.Name, err, out)
			}
		}
	}
	times := counts(1, 50)
	traffic := startTraffic(t, 50, 55*time.Minute, hosts...)
	var all sync.WaitGroup
	for _, h := range hosts {
		all.Go(func() {
			for n := range times {
				if err := f.upgradeProxy(h, versions[n%2]); err != nil {
					t.Errorf("%s: upgrade %d: %v", h.Name, n+1, err)
					return
				}
			}
		})
	}
	all.Wait()
	traffic.end(t)
	t.Logf("%d upgrades on each of 2 hosts", times)

	for _, h := range hosts {
		f.exec(h, "docker", "restart", "-t", "10", "kamal-proxy")
		if said := f.exec(h, "docker", "exec", "kamal-proxy", "kamal-proxy", "version"); !strings.Contains(said, versions[(times-1)%2]) {
			t.Errorf("%s: after a restart the proxy is %s", h.Name, said)
		}
	}
	after := startLoad(t, 20, 3*time.Second, hosts...)
	after.done.Wait()
	after.end(t)
}

// buildProxy builds the proxy for the lab's hosts with a version of its own.
func (f *fixture) buildProxy(version string) string {
	f.t.Helper()
	file := filepath.Join(f.t.TempDir(), version)
	build := exec.CommandContext(f.t.Context(), "go", "build", "-trimpath", "-ldflags", "-s -w -X github.com/kamald/kamald/proxy.Version="+version,
		"-o", file, "github.com/kamald/kamald/cmd/kamald-proxy")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+runtime.GOARCH)
	if out, err := build.CombinedOutput(); err != nil {
		f.t.Fatalf("building the proxy: %v: %s", err, out)
	}
	return file
}

// upgradeProxy puts a program that lies on the host into the proxy's container, and has the proxy go over to it.
func (f *fixture) upgradeProxy(h *lab.Host, version string) error {
	const next = "/usr/local/bin/kamal-proxy.new"
	if _, err := h.Exec(f.t.Context(), "docker", "cp", "/root/"+version, "kamal-proxy:"+next); err != nil {
		return err
	}
	out, err := h.Exec(f.t.Context(), "docker", "exec", "kamal-proxy", "kamal-proxy", "upgrade", "--binary", next, "--drain-timeout", "10s")
	if err != nil {
		return err
	}
	if !strings.HasSuffix(strings.TrimSpace(out), "to "+version) {
		return fmt.Errorf("the proxy said %q", out)
	}
	return nil
}
