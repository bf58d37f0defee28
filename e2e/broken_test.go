package e2e

import (
	"context"
	"strings"
	"testing"
	"time"
)

// stillV1 wants one consistent version to serve: v1 everywhere, its tag unmoved, no lock left.
func (f *fixture) stillV1(hosts ...int) {
	f.t.Helper()
	if hosts == nil {
		hosts = []int{1, 2, 3}
	}
	for _, n := range hosts {
		name := "shop-web-v1"
		if n == 3 {
			name = "shop-workers-v1"
		}
		f.wantRunning(f.host(n), name)
		if got := f.latest(f.host(n), "latest"); got != "v1" {
			f.t.Fatalf("latest on %s is %q, want v1", f.host(n).Name, got)
		}
		if locks := f.exec(f.host(n), "sh", "-c", "ls -d /root/.kamal/lock-* 2>/dev/null || true"); strings.TrimSpace(locks) != "" {
			f.t.Fatalf("%s: a lock is left: %s", f.host(n).Name, locks)
		}
	}
}

// converges wants the next apply to succeed.
func (f *fixture) converges(version string) {
	f.t.Helper()
	f.must(0, "apply", "--version", version)
	f.emptyTwice(version)
	f.wantLatest(version)
}

// Whatever is wrong with a release, the old one serves on, nothing moves, and the message says why.
func TestBrokenReleases(t *testing.T) {
	f := newFixture(t)
	f.deploy(settings{})
	for version, env := range map[string]map[string]string{
		"v1": nil, "good": nil,
		"exits":     {"APP_CRASH": "7"},
		"sick":      {"APP_SICK": "true"},
		"redirects": {"APP_REDIRECT": "true"},
		"elsewhere": {"APP_PORT_WRONG": "8080"},
	} {
		f.image(version, env)
	}
	f.must(0, "apply", "--version", "v1")
	for _, c := range []struct {
		version, timeout string
		says             []string
	}{
		// It is given up because it ended, and not because time did: waiting would say "not within".
		{"exits", "60s", []string{"it ended", "exit code 7", "crashing at boot"}},
		{"sick", "3s", []string{"not within", "503"}},
		{"redirects", "3s", []string{"redirects to https"}},
		{"elsewhere", "3s", []string{"port 8080 listens"}},
		{"nowhere", "5s", []string{"acme/shop:nowhere"}},
	} {
		t.Run(c.version, func(t *testing.T) {
			if c.version != "exits" && c.version != "sick" { // the simulator plays the others
				onlyLong(t)
			}
			f.deploy(settings{timeout: c.timeout})
			load := startLoad(t, 50, time.Minute, f.host(1), f.host(2))
			r := f.run("apply", "--version", c.version)
			load.end(t)
			if r.code != 1 {
				t.Fatalf("exit code %d, want 1", r.code)
			}
			for _, text := range c.says {
				if !strings.Contains(r.all(), text) {
					t.Errorf("the message does not say %q", text)
				}
			}
			f.stillV1()
		})
	}
	f.converges("good")
}

// A worker that is broken takes the whole release back, also where the web role was healthy.
func TestBrokenWorker(t *testing.T) {
	onlyLong(t)
	f := newFixture(t)
	f.deploy(settings{})
	f.image("v1", nil)
	f.image("v2", nil)
	f.must(0, "apply", "--version", "v1")
	f.deploy(settings{ready: "1s", workers: "  env {\n    clear = { APP_CRASH = \"3\" }\n  }"})
	load := startLoad(t, 50, time.Minute, f.host(1), f.host(2))
	r := f.must(1, "apply", "--version", "v2")
	load.end(t)
	if !strings.Contains(r.all(), "exit code 3") {
		t.Error("the message does not name the worker's exit code")
	}
	f.stillV1()
	f.deploy(settings{})
	f.converges("v2")
}

// A web host that is down before the start: nothing is begun, everything serves on; with it skipped the others go on, and it
// converges when it is back.
func TestHostDownBeforeTheStart(t *testing.T) {
	onlyLong(t)
	f := newFixture(t)
	f.deploy(settings{})
	f.image("v1", nil)
	f.image("v2", nil)
	f.must(0, "apply", "--version", "v1")
	if err := f.host(2).Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	r := f.must(1, "apply", "--version", "v2")
	if !strings.Contains(r.all(), f.host(2).Name) || !strings.Contains(r.all(), "--skip-unreachable") {
		t.Error("the message does not name the host and the way on")
	}
	f.stillV1(1, 3)
	f.must(6, "apply", "--version", "v2", "--skip-unreachable")
	f.wantRunning(f.host(1), "shop-web-v2")
	f.wantRunning(f.host(3), "shop-workers-v2")
	if err := f.host(2).Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.converges("v2")
	f.wantRunning(f.host(2), "shop-web-v2")
}

// kill -9 in the middle: one consistent version serves, and the next apply converges.
func TestKilledInTheMiddle(t *testing.T) {
	onlyLong(t)
	f := newFixture(t)
	f.deploy(settings{timeout: "20s"})
	f.image("v1", nil)
	f.image("v2", map[string]string{"APP_START_DELAY": "3s"})
	f.must(0, "apply", "--version", "v1")
	load := startLoad(t, 50, 2*time.Minute, f.host(1), f.host(2))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := f.command(ctx, "apply", "--version", "v2")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	f.until(func() bool { return len(f.running(f.host(1))) == 2 }) // the new container is being proven
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // killed
	if got := f.latest(f.host(1), "latest"); got != "v1" {
		t.Fatalf("latest is %q after the kill, want v1", got)
	}
	f.wantRunning(f.host(3), "shop-workers-v1")
	f.converges("v2")
	load.end(t)
	f.wantRunning(f.host(1), "shop-web-v2")
	f.wantRunning(f.host(2), "shop-web-v2")
	f.wantRunning(f.host(3), "shop-workers-v2")
}

// until polls for at most a minute; it is for waiting on another process, and the test fails when it never comes.
func (f *fixture) until(ready func() bool) {
	f.t.Helper()
	for range 600 {
		if ready() {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	f.t.Fatal("it did not come within a minute")
}
