package e2e

import (
	"strings"
	"testing"
	"time"
)

// A release under load loses nothing, is complete, and leaves an empty plan.
func TestReleaseUnderLoad(t *testing.T) {
	f := newFixture(t)
	f.deploy(settings{})
	f.image("v1", nil)
	f.image("v2", nil)
	f.must(2, "plan", "--version", "v1", "--detailed-exitcode")
	f.must(0, "apply", "--version", "v1")
	f.emptyTwice("v1")
	f.wantRunning(f.host(1), "shop-web-v1")
	f.wantRunning(f.host(3), "shop-workers-v1")
	f.wantLatest("v1")

	load := startLoad(t, 200, time.Minute, f.host(1), f.host(2))
	f.must(0, "apply", "--version", "v2")
	load.end(t)
	if load.versions["v2"] == 0 {
		t.Error("no request was answered by v2")
	}
	f.emptyTwice("v2")
	for n := 1; n <= 2; n++ {
		f.wantRunning(f.host(n), "shop-web-v2")
	}
	f.wantRunning(f.host(3), "shop-workers-v2")
	f.wantLatest("v2")
}

// A rollback goes to the release before, by number and by version, and history tells all of it.
func TestRollback(t *testing.T) {
	f := newFixture(t)
	f.deploy(settings{})
	f.image("v1", nil)
	f.image("v2", nil)
	f.must(0, "apply", "--version", "v1")
	f.must(0, "apply", "--version", "v2")
	load := startLoad(t, 50, time.Minute, f.host(1), f.host(2))
	f.must(0, "rollback")
	load.end(t)
	f.wantRunning(f.host(1), "shop-web-v1")
	f.wantRunning(f.host(3), "shop-workers-v1")
	f.wantLatest("v1")
	f.emptyTwice("v1")
	f.must(0, "rollback", "2")
	f.wantLatest("v2")
	f.must(0, "rollback", "--version", "v1")
	f.wantLatest("v1")
	missing := f.must(1, "rollback", "--version", "v9")
	if !strings.Contains(missing.all(), "version v2") {
		t.Error("a rollback to a missing version does not list what is there")
	}
	history := f.must(0, "history")
	if got := strings.Count(history.stdout, "rollback"); got < 3 {
		t.Errorf("history shows %d rollbacks, want 3", got)
	}
	// The store is a cache: with an empty one the history comes back from the servers.
	f.store = f.dir + "/other.db"
	if again := f.must(0, "history"); !strings.Contains(again.stdout, "v2") {
		t.Error("with an empty store the history does not come from the servers")
	}
}

// Looking costs one connection a host, and no shell command and no docker process there.
func TestPlanOpensOneConnectionAndNoShell(t *testing.T) {
	f := newFixture(t)
	f.deploy(settings{})
	f.image("v1", nil)
	f.must(0, "apply", "--version", "v1")
	for i := range f.lab.Hosts {
		if err := f.lab.Hosts[i].ClearSSHLog(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	verbose := f.must(0, "plan", "--version", "v1", "-v")
	if !strings.Contains(verbose.stderr, "connections") {
		t.Error("-v does not print the counters")
	}
	for i := range f.lab.Hosts {
		accepted, sessions, err := f.lab.Hosts[i].SSHLog(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if accepted != 1 {
			t.Errorf("%s: %d connections, want 1", f.lab.Hosts[i].Name, accepted)
		}
		for _, session := range sessions {
			if !strings.HasPrefix(session, "subsystem 'sftp'") {
				t.Errorf("%s: a session was started: %s", f.lab.Hosts[i].Name, session)
			}
		}
	}
}

// A user who is not root and is in the group docker deploys as well.
func TestReleaseAsUserWhoIsNotRoot(t *testing.T) {
	f := newFixture(t)
	f.deploy(settings{user: "deploy"})
	f.image("v1", nil)
	f.must(0, "apply", "--version", "v1")
	f.emptyTwice("v1")
	f.wantLatest("v1")
}

// Groups of hosts go one after the other.
func TestRolloutInGroups(t *testing.T) {
	onlyLong(t)
	f := newFixture(t)
	f.deploy(settings{more: "rollout {\n  limit = 1\n  wait = \"100ms\"\n}"})
	f.image("v1", nil)
	f.image("v2", nil)
	f.must(0, "apply", "--version", "v1")
	load := startLoad(t, 100, time.Minute, f.host(1), f.host(2))
	f.must(0, "apply", "--version", "v2")
	load.end(t)
	f.emptyTwice("v2")
	f.wantLatest("v2")
}
