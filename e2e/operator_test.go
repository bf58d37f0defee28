package e2e

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kamald/kamald/lab"
)

// What a person does with saved plans, locks, holds, parts of a fleet and hosts that come and go, one after the other on one
// service.
func TestAnOperatorsDay(t *testing.T) {
	f := newFixture(t)
	f.deploy(settings{})
	for _, version := range []string{"v1", "v2", "v3"} {
		f.image(version, nil)
	}
	f.image("slow", map[string]string{"APP_START_DELAY": "3s"})
	f.must(0, "apply", "--version", "v1")
	for _, part := range []struct {
		name string
		do   func(f *fixture)
	}{
		{"a saved plan is applied once, and not when something moved", savedPlans},
		{"nobody deploys while the lock is held", heldLocks},
		{"a part of the fleet goes first", partFirst},
		{"what a person went back to stays until it is lifted", heldRelease},
		{"a version that a hand moved is adopted", handsMove},
		{"a rollback ends a release under way", cancelledRelease},
		{"a cordoned host is left out, and brought along afterwards", cordonedHost},
		{"a host that leaves the file is emptied", leavingHost},
	} {
		if !t.Run(part.name, func(t *testing.T) { part.do(f.within(t)) }) {
			break // each begins with what the one before has left
		}
	}
}

func savedPlans(f *fixture) {
	f.must(0, "plan", "--version", "v2", "-o", "release.plan")
	if info, err := os.Stat(filepath.Join(f.dir, "release.plan")); err != nil || info.Mode().Perm() != 0o600 {
		f.t.Errorf("the plan's file: %v %v", info, err)
	}
	f.exec(f.host(3), "docker", "stop", "-t", "1", "shop-workers-v1")
	f.says(f.must(5, "apply", "release.plan"), "nothing was changed", f.host(3).Name+": container shop-workers-v1 was running, and has stopped", "kamald plan -o")
	f.must(0, "plan", "--version", "v2", "-o", "release.plan")
	f.says(f.must(0, "show", "release.plan"), "kamald will release shop v2 (now v1)")
	f.must(0, "apply", "release.plan")
	f.whole("v2")
	f.says(f.must(5, "apply", "release.plan"), "was used already")
	f.store = filepath.Join(f.dir, "another.db") // as from another machine
	f.must(5, "apply", "release.plan")
}

func heldLocks(f *fixture) {
	f.must(0, "lock", "acquire", "-m", "database migration")
	f.says(f.must(4, "apply", "--version", "v3"), "database migration", "kamald lock release")
	f.says(f.must(4, "apply", "--version", "v3", "--lock-wait=1h"), "database migration") // nobody waits for a person's
	f.says(f.must(0, "lock", "release"), "released the deploy lock")
	details := base64.StdEncoding.EncodeToString([]byte("Locked by: Ann at 2026-01-01T00:00:00Z\nVersion: v9\nMessage: Automatic deploy lock\n"))
	f.exec(f.host(1), "sh", "-c", "mkdir -p /root/.kamal/lock-shop && echo "+details+" > /root/.kamal/lock-shop/details")
	f.says(f.must(0, "lock", "status"), "locked by Ann", "Kamal's")
	f.says(f.must(4, "apply", "--version", "v3", "--lock-wait=2s"), "held by Ann", "waited 2s")
	f.must(0, "lock", "release")
	f.whole("v2")
}

func partFirst(f *fixture) {
	f.must(0, "apply", "--version", "v3", "--hosts", f.host(1).Name)
	f.wantRunning(f.host(1), "shop-web-v3")
	f.wantRunning(f.host(2), "shop-web-v2")
	f.wantLatest("v2")
	f.says(f.must(0, "apply", "--version", "v3", "--hosts", f.host(1).Name), "Nothing to do")
	f.must(0, "apply", "--version", "v3")
	f.whole("v3")
}

func heldRelease(f *fixture) {
	f.must(0, "rollback")
	f.whole("v2")
	f.says(f.must(1, "apply", "--version", "v3"), "is held by", "kamald resume")
	f.must(0, "resume")
	f.must(0, "apply", "--version", "v3")
	f.whole("v3")
}

func handsMove(f *fixture) {
	image := f.lab.Registry.Server + "/acme/shop"
	for n := 1; n <= 3; n++ {
		f.exec(f.host(n), "docker", "tag", image+":v1", image+":latest")
	}
	f.says(f.must(1, "apply", "--version", "v3"), "nothing was changed", "tag latest is at v1", "kamald adopt")
	f.says(f.must(0, "adopt"), "Adopted version v3", "nothing was restarted")
	f.must(0, "resume")
	f.must(0, "apply", "--version", "v3")
	f.whole("v3")
}

func cancelledRelease(f *fixture) {
	load := startLoad(f.t, 30, time.Minute, f.host(1), f.host(2))
	p := f.begin("apply", "--version", "slow")
	p.hears("create shop-web-", 2)
	f.says(f.must(0, "rollback"), "was cancelled")
	if r := p.wait(); r.code != 1 {
		f.t.Errorf("the release that was cancelled: exit code %d, want 1", r.code)
	} else {
		f.says(r, "every role runs what it ran before")
	}
	load.end(f.t)
	f.whole("v3")
	f.must(0, "resume")
}

func cordonedHost(f *fixture) {
	f.must(0, "server", "cordon", f.host(2).Name, "--reason", "new disk")
	f.says(f.must(0, "apply", "--version", "v2"), "left out: "+f.host(2).Name, "new disk")
	f.wantRunning(f.host(1), "shop-web-v2")
	f.wantRunning(f.host(2), "shop-web-v3")
	f.must(0, "server", "uncordon", f.host(2).Name)
	f.must(0, "apply", "--version", "v2")
	f.whole("v2")
}

func leavingHost(f *fixture) {
	file := filepath.Join(f.dir, "deploy.hcl")
	whole, err := os.ReadFile(file)
	if err != nil {
		f.t.Fatal(err)
	}
	name := f.host(2).Name
	_, rest, _ := strings.Cut(string(whole), "host \""+name+"\"")
	block, _, _ := strings.Cut(rest, "}\n")
	less := strings.Replace(string(whole), "host \""+name+"\""+block+"}\n", "", 1)
	f.write("deploy.hcl", strings.Replace(less, ", \""+name+"\"]", "]", 1), 0o600)
	f.says(f.must(0, "apply", "--version", "v2"), "it left the file")
	if left := f.containers(f.host(2)); len(left) != 0 {
		f.t.Errorf("%s still has %v", name, left)
	}
	f.must(0, "plan", "--version", "v2", "--detailed-exitcode")
	f.write("deploy.hcl", string(whole), 0o600)
	f.must(0, "apply", "--version", "v2")
	f.whole("v2")
}

// Servers as Kamal leaves them are adopted as they run, and the next release goes on from there.
func TestServersOfKamalAreAdopted(t *testing.T) {
	onlyLong(t)
	f := newFixture(t)
	f.deploy(settings{})
	f.image("v1", nil)
	f.image("v2", nil)
	before := [3]string{}
	for i := range f.lab.Hosts {
		h, role, cmd := &f.lab.Hosts[i], "web", ""
		if i == 2 {
			role, cmd = "workers", " app worker"
		}
		before[i] = f.bootAsKamal(h, role, cmd)
	}
	f.says(f.must(0, "adopt", "--dry-run"), "Would adopt version v1")
	f.says(f.must(0, "adopt"), "Adopted version v1", "nothing was restarted")
	for i := range f.lab.Hosts {
		if now := f.containers(&f.lab.Hosts[i]); len(now) != 1 || now[0].ID != before[i] {
			t.Errorf("%s: another container runs: %v", f.lab.Hosts[i].Name, now)
		}
	}
	f.must(0, "resume")
	f.must(0, "apply", "--version", "v2")
	f.whole("v2")
	f.emptyTwice("v2")
}

// bootAsKamal makes what `kamal deploy` leaves of a role on a host, but for its proxy, and gives the container's ID.
func (f *fixture) bootAsKamal(h *lab.Host, role, cmd string) string {
	f.t.Helper()
	if _, err := h.Load(f.t.Context(), lab.AppImage{Repository: "acme/shop", Version: "v1"}, f.lab.Registry.Server); err != nil {
		f.t.Fatal(err)
	}
	image, name := f.lab.Registry.Server+"/acme/shop", "shop-"+role+"-v1"
	return strings.TrimSpace(f.exec(h, "sh", "-ec", "cd /root; umask 077; mkdir -p .kamal/apps/shop/env/roles; echo API_TOKEN="+canary+" > .kamal/apps/shop/env/roles/"+role+".env; "+
		"docker tag "+image+":v1 "+image+":latest; docker network create kamal >/dev/null; "+
		"docker run --detach --restart unless-stopped --name "+name+" --network kamal --hostname "+h.Name+"-0123456789ab --env KAMAL_CONTAINER_NAME="+name+
		" --env KAMAL_VERSION=v1 --env KAMAL_HOST="+h.Name+" --env-file .kamal/apps/shop/env/roles/"+role+".env --log-opt max-size=10m"+
		" --label service=shop --label role="+role+" --label destination= "+image+":v1"+cmd))
}
