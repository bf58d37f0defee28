package e2e

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// hookScript leaves a line of what it was told, and fails where the test says so.
const hookScript = `#!/bin/sh
name=$(basename "$0")
echo "$name version=$KAMAL_VERSION hosts=$KAMAL_HOSTS lock=$KAMAL_LOCK command=$KAMAL_COMMAND secret=${API_TOKEN:+yes} runtime=${KAMAL_RUNTIME:+yes}" >> hooks.log
echo "$name was here with $API_TOKEN"
[ "$HOOK_FAILS" != "$name" ]
`

const migration = `
hook "migrate" {
  at      = "pre-boot"
  role    = "web"
  run     = ["app", "migrate"]
  timeout = "1m"
}
`

// Hooks run here in their order with their variables; one that fails first changes nothing. A migration runs once for a new version, in
// a container of it, not on a rollback, and not a second time after a kill; one that fails leaves the old version serving.
func TestHooksAndMigrations(t *testing.T) {
	f := newFixture(t)
	f.exec(f.host(1), "rm", "-rf", "/srv/shop-hooks")
	f.exec(f.host(2), "rm", "-rf", "/srv/shop-hooks")
	f.deploy(settings{web: `volumes = ["/srv/shop-hooks:/data"]`, more: migration})
	names := []string{"pre-connect", "pre-deploy", "pre-app-boot", "post-app-boot", "post-deploy", "failure", "rollback", "drift"}
	for _, name := range names {
		f.write(".kamald/hooks/"+name, hookScript, 0o755)
	}
	f.image("v1", nil)
	f.image("v2", nil)
	f.image("v3", map[string]string{"APP_MIGRATE_EXIT": "3"})
	f.image("v4", map[string]string{"APP_MIGRATE_TAKES": "8s"})

	first := f.must(0, "apply", "--version", "v1")
	hosts := f.host(1).Name + "," + f.host(2).Name + "," + f.host(3).Name
	f.wantHooks(
		"pre-connect version=v1 hosts="+hosts+" lock=false command=apply secret=yes runtime=",
		"pre-deploy version=v1 hosts="+hosts+" lock=true command=apply secret=yes runtime=",
		"pre-app-boot version=v1 hosts="+hosts+" lock=true command=apply secret= runtime=",
		"post-app-boot version=v1 hosts="+hosts+" lock=true command=apply secret= runtime=",
		"post-deploy version=v1 hosts="+hosts+" lock=true command=apply secret=yes runtime=yes")
	if strings.Contains(first.all(), canary) || !strings.Contains(first.stderr, "pre-deploy | pre-deploy was here with (secret)") {
		t.Error("what hooks print is not shown, or has a secret in it")
	}
	f.wantMigrations("v1 token=23")
	f.emptyTwice("v1")
	f.clearHooks()

	if shown := f.must(0, "plan", "--version", "v2"); !strings.Contains(shown.stdout, "hook migrate: app migrate, once, in a container of web on "+f.host(1).Name) {
		t.Error("the plan does not show the migration")
	}
	f.clearHooks()
	f.env = append(f.env, "HOOK_FAILS=pre-deploy")
	failed := f.must(1, "apply", "--version", "v2")
	if !strings.Contains(failed.stderr, "hook pre-deploy: exit code 1") {
		t.Error("it is not said that pre-deploy failed")
	}
	f.wantHooks("pre-connect", "pre-deploy", "failure")
	f.wantRunning(f.host(1), "shop-web-v1")
	if images := f.exec(f.host(1), "docker", "images", "--format", "{{.Tag}}"); slices.Contains(strings.Fields(images), "v2") {
		t.Error("the image came, though a hook said no before")
	}
	f.env = f.env[:len(f.env)-1]
	f.must(0, "apply", "--version", "v2")
	f.wantMigrations("v1 token=23", "v2 token=23")
	f.clearHooks()

	f.must(0, "rollback")
	f.wantHooks("pre-connect", "pre-deploy", "pre-app-boot", "post-app-boot", "rollback", "post-deploy")
	f.wantMigrations("v1 token=23", "v2 token=23")
	f.must(0, "resume")
	f.clearHooks()

	broken := f.must(1, "apply", "--version", "v3")
	for _, want := range []string{"ended: exit code 3", "| no such column in v3", "docker logs shop-hook.migrate-"} {
		if !strings.Contains(broken.stderr, want) {
			t.Errorf("a migration that failed does not say %q", want)
		}
	}
	f.wantRunning(f.host(1), "shop-web-v1")
	f.wantRunning(f.host(2), "shop-web-v1")
	f.wantRunning(f.host(3), "shop-workers-v1")
	f.wantHooks("pre-connect", "pre-deploy", "failure")
	f.must(0, "drift") // the container that is kept is nobody's drift
	f.emptyTwice("v1")

	f.killInMigration("v4")
	f.must(0, "apply", "--version", "v4")
	f.wantMigrations("v1 token=23", "v2 token=23", "v4 token=23")
	f.wantRunning(f.host(1), "shop-web-v4")
	if left := f.exec(f.host(1), "docker", "ps", "-aq", "--filter", "label=kamald.hook"); strings.TrimSpace(left) != "" {
		t.Errorf("hooks' containers are left: %s", left)
	}
	f.clearHooks()
	f.exec(f.host(3), "docker", "stop", "shop-workers-v4")
	f.must(3, "drift")
	f.wantHooks("pre-connect", "drift")
	f.clearHooks()
	f.must(0, "apply", "--version", "v2", "--skip-hooks")
	f.wantHooks()
	f.wantMigrations("v1 token=23", "v2 token=23", "v4 token=23")
}

// killInMigration kills a release while its migration runs.
func (f *fixture) killInMigration(version string) {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.t.Context(), time.Minute)
	defer cancel()
	cmd := f.command(ctx, "apply", "--version", version)
	if err := cmd.Start(); err != nil {
		f.t.Fatal(err)
	}
	for {
		if running := f.exec(f.host(1), "docker", "ps", "-q", "--filter", "label=kamald.hook=migrate"); strings.TrimSpace(running) != "" {
			break
		}
		if ctx.Err() != nil {
			f.t.Fatal("the migration does not begin")
		}
		time.Sleep(100 * time.Millisecond)
	}
	_ = cmd.Process.Kill() // SIGKILL
	_ = cmd.Wait()
}

// wantHooks wants these hooks to have run, each by the beginning of its line.
func (f *fixture) wantHooks(want ...string) {
	f.t.Helper()
	text, _ := os.ReadFile(filepath.Join(f.dir, "hooks.log")) // none ran: there is none
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	if len(text) == 0 {
		lines = nil
	}
	same := len(lines) == len(want)
	for i := 0; same && i < len(want); i++ {
		same = strings.HasPrefix(lines[i]+" ", want[i]+" ")
	}
	if !same {
		f.t.Fatalf("ran\n%s\nwant\n%s", text, strings.Join(want, "\n"))
	}
}

func (f *fixture) clearHooks() {
	f.t.Helper()
	if err := os.Remove(filepath.Join(f.dir, "hooks.log")); err != nil && !os.IsNotExist(err) {
		f.t.Fatal(err)
	}
}

// wantMigrations wants exactly these to have been made, and none on the second host.
func (f *fixture) wantMigrations(want ...string) {
	f.t.Helper()
	got := strings.Split(strings.TrimSpace(f.exec(f.host(1), "cat", "/srv/shop-hooks/migrations")), "\n")
	if !slices.Equal(got, want) {
		f.t.Fatalf("migrated %q, want %q", got, want)
	}
	if out, err := f.host(2).Exec(f.t.Context(), "cat", "/srv/shop-hooks/migrations"); err == nil {
		f.t.Fatalf("migrated on the second host, too: %s", out)
	}
}
