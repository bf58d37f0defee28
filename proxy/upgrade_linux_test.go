package proxy

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

func TestUpgradesUnderLoadLoseNoRequestAndARestartRunsTheNewProgram(t *testing.T) {
	upgrades := 5
	if os.Getenv("KAMALD_LONG") != "" {
		upgrades = 100
	}
	p := install(t)
	p.do("deploy", "app", "--target", backend(t, trafficApp), "--host", "app.test")
	cert, key, roots := certificateFiles(t, "tls.test")
	p.do("deploy", "secure", "--target", backend(t, trafficApp), "--host", "tls.test", "--tls", "--tls-certificate-path", cert, "--tls-private-key-path", key)
	load := startTraffic(t, p.address(), "app.test")
	load.runHTTP2(t, p.httpsPort, "tls.test", roots)
	for i := range upgrades {
		p.upgradeTo(fmt.Sprint("v", i+1), "1s")
		// Each upgrade meets requests, and is not met by the next one before its old program has gone half of its way.
		seen := load.total.Load()
		eventually(t, fmt.Sprintf("requests pass after upgrade %d", i+1), func() bool { return load.total.Load() >= seen+100 })
		if i%2 == 1 {
			eventually(t, "the old programs have ended", func() bool { return len(p.workers()) == 1 })
		}
	}
	total, failed := load.end()
	if len(failed) > 0 || load.refused.Load() > 0 {
		t.Errorf("%d of %d requests failed in %d upgrades, %d connections refused; the first: %v", len(failed), total, upgrades, load.refused.Load(), failed[0])
	}
	t.Logf("%d requests, %d upgrades", total, upgrades)
	last := fmt.Sprint("v", upgrades)
	if a := p.about(); a.Version != last || a.Name != programName || !slices.Contains(a.Features, "upgrade") || a.Started.IsZero() || len(a.SHA256) != 64 {
		t.Errorf("%s says %+v", aboutFile, a)
	}
	if left, _ := filepath.Glob(p.path + ".*"); len(left) != 1 {
		t.Errorf("beside the program lie %v", left)
	}
	if code := p.stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	p.start()
	if a := p.about(); a.Version != last || !strings.HasPrefix(p.do("version"), last) {
		t.Errorf("after a restart it is %+v", a)
	}
	p.expect("app.test", "200 ok")
}

func TestABrokenNewProgramLeavesEverythingAsItWas(t *testing.T) {
	p := install(t)
	p.do("deploy", "app", "--target", backend(t, says("app")), "--host", "app.test")
	before := p.workers()
	broken := filepath.Join(p.dir, "broken")
	good := `if [ "$1" = version ]; then exec "` + p.path + `" "$@"; fi; `
	for _, c := range []struct {
		name, text, want string
		mode             os.FileMode
	}{
		{"exits", "#!/bin/sh\n" + good + "echo no such library >&2; exit 3", "no such library", 0o755},
		{"is killed", "#!/bin/sh\n" + good + "kill -9 $$", "killed", 0o755},
		{"says nothing of itself", "#!/bin/sh\necho hello", "is no kamald-proxy", 0o755},
		{"fails to say its version", "#!/bin/sh\necho out of order >&2; exit 1", "out of order", 0o755},
		{"is for another machine", "\x7fELF\x02\x01\x01" + strings.Repeat("\x00", 200), "another kind of machine", 0o755},
		{"is no executable", "text", "no executable file", 0o644},
		{"reads an older state", "#!/bin/sh\necho '{\"name\":\"kamald-proxy\",\"state_format\":0,\"hand_over_protocol\":1}'", "state files up to format 0", 0o755},
		{"hands over otherwise", "#!/bin/sh\necho '{\"name\":\"kamald-proxy\",\"state_format\":1,\"hand_over_protocol\":9}'", "protocol 9", 0o755},
	} {
		_ = os.Remove(broken)
		p.write(broken, c.text, c.mode)
		if out, err := p.try("upgrade", "--binary", broken); err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "the old program goes on") {
			t.Errorf("a program that %s: %q, %v, want %q", c.name, out, err, c.want)
		}
	}
	if _, err := p.try("upgrade", "--binary", filepath.Join(p.dir, "missing")); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("a missing program: %v", err)
	}
	for _, c := range [][]string{{"--binary", "relative"}, {"--drain-timeout", "-1s"}} {
		if _, err := p.try(append([]string{"upgrade"}, c...)...); err == nil || !strings.Contains(err.Error(), " must be ") {
			t.Errorf("%v: %v", c, err)
		}
	}
	p.unchanged(before)
	if _, err := os.Stat(broken); err != nil {
		t.Errorf("the program that failed: %v", err)
	}
	if left, _ := filepath.Glob(p.path + ".staged*"); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

// unchanged says that the workers of before serve the program of before and take commands.
func (p *installed) unchanged(before []int) {
	p.t.Helper()
	eventually(p.t, "the processes are those of before", func() bool { return slices.Equal(p.workers(), before) })
	if a := p.about(); a.Version != "v0" {
		p.t.Errorf("the version is %s", a.Version)
	}
	p.expect("app.test", "200 app")
	p.do("stop", "app")
	p.expect("app.test", "503")
	p.do("resume", "app")
	p.expect("app.test", "200 app")
}

func TestANewProgramThatHangsIsGivenUpAndAnotherUpgradeMeanwhileIsRefused(t *testing.T) {
	t.Parallel()
	p := install(t)
	p.do("deploy", "app", "--target", backend(t, says("app")), "--host", "app.test")
	before := p.workers()
	hanging, begun := filepath.Join(p.dir, "hanging"), filepath.Join(p.dir, "begun")
	p.write(hanging, "#!/bin/sh\nif [ \"$1\" = version ]; then exec '"+p.path+"' \"$@\"; fi; echo loading; touch "+begun+"; exec sleep 60", 0o755)
	failed := make(chan error, 1)
	go func() {
		_, err := p.try("upgrade", "--binary", hanging)
		failed <- err
	}()
	eventually(t, "the new program runs", func() bool { _, err := os.Stat(begun); return err == nil })
	if _, err := p.try("upgrade"); err == nil || !strings.Contains(err.Error(), "another upgrade is under way") {
		t.Errorf("a second upgrade: %v", err)
	}
	p.expect("app.test", "200 app")
	if err := receive(t, "the upgrade", failed); err == nil || !strings.Contains(err.Error(), "not hello within 10s") || !strings.Contains(err.Error(), "loading") {
		t.Errorf("the upgrade: %v", err)
	}
	p.unchanged(before)
}

func TestAHeldRequestIsAnsweredByWhatIsSaidToTheNewProgram(t *testing.T) {
	for _, c := range []struct {
		name string
		then func(p *installed)
		want string
	}{
		{"resume", func(p *installed) { p.do("resume", "app") }, "200 old"},
		{"stop", func(p *installed) { p.do("stop", "app", "--message", "gone fishing") }, "gone fishing"},
		{"remove", func(p *installed) { p.do("remove", "app") }, "404"},
		{"switch", func(p *installed) {
			p.do("deploy", "app", "--target", backend(p.t, says("new")), "--host", "app.test")
			p.do("resume", "app")
		}, "200 new"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := install(t)
			p.do("deploy", "app", "--target", backend(t, says("old")), "--host", "app.test")
			p.do("pause", "app", "--max-pause", "1m")
			held := make(chan string, 1)
			go func() {
				got, err := p.get("app.test", "/")
				held <- fmt.Sprint(got, err)
			}()
			// A request that is held leaves no trace; one that came in before it has been taken for as long as this one.
			p.accepted()
			p.upgradeTo("v1", "1m")
			c.then(p)
			if got := receive(t, "the held request", held); !strings.Contains(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// accepted waits until the proxy has a client's connection besides its listener.
func (p *installed) accepted() {
	p.t.Helper()
	local := fmt.Sprintf("0100007F:%04X", p.port)
	eventually(p.t, "a connection is taken", func() bool {
		for _, pid := range p.workers() {
			data, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/tcp", pid))
			if err != nil {
				return false
			}
			for line := range strings.Lines(string(data)) {
				f := strings.Fields(line)
				// Established, all that came was read, and a process has it (its inode is not 0).
				if len(f) > 9 && f[1] == local && f[3] == "01" && strings.HasSuffix(f[4], ":00000000") && f[9] != "0" {
					return true
				}
			}
		}
		return false
	})
}

func TestAnUpgradeWaitsForADeployThatWaitsAndLosesNothingOfIt(t *testing.T) {
	p := install(t)
	p.do("deploy", "app", "--target", backend(t, says("old")), "--host", "app.test")
	var well atomic.Bool
	var probes atomic.Int64
	target := backendWithHealth(t, func(w http.ResponseWriter, _ *http.Request) {
		if probes.Add(1); !well.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		fmt.Fprint(w, "new")
	})
	deployed, upgraded, late := make(chan error, 1), make(chan error, 1), make(chan error, 1)
	go func() {
		_, err := p.try("deploy", "app", "--target", target, "--host", "app.test", "--health-check-interval", "20ms")
		deployed <- err
	}()
	eventually(t, "the deploy probes", func() bool { return probes.Load() > 0 })
	p.newProgram(p.path+".new", "v1")
	go func() {
		_, err := p.try("upgrade", "--binary", p.path+".new")
		upgraded <- err
	}()
	eventually(t, "the new program runs", func() bool { return len(p.workers()) > 1 })
	// A command that comes while the state is frozen is carried out by the new program.
	go func() {
		_, err := p.try("deploy", "late", "--target", target, "--host", "late.test", "--force")
		late <- err
	}()
	p.expect("app.test", "200 old")
	select {
	case err := <-upgraded:
		t.Fatalf("the upgrade did not wait for the deploy: %v", err)
	default:
	}
	well.Store(true)
	for what, done := range map[string]chan error{"the deploy": deployed, "the upgrade": upgraded, "the late deploy": late} {
		if err := receive(t, what, done); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	p.expect("app.test", "200 new")
	p.expect("late.test", "200 new")
	if out := p.do("list"); !strings.Contains(out, "late.test") || p.about().Version != "v1" {
		t.Errorf("the new program lists\n%s", out)
	}
}

func TestASwitchInTheNewProgramWaitsForTheRequestsOfTheOldOne(t *testing.T) {
	p := install(t)
	old, arrived, finish := heldBackend(t, "/slow", "old")
	p.do("deploy", "app", "--target", old, "--host", "app.test")
	slow, switched := make(chan string, 1), make(chan error, 1)
	go func() {
		got, err := p.get("app.test", "/slow")
		slow <- fmt.Sprint(got, err)
	}()
	receive(t, "the slow request", arrived)
	p.upgradeTo("v1", "1m")
	target := backend(t, says("new"))
	go func() {
		_, err := p.try("deploy", "app", "--target", target, "--host", "app.test")
		switched <- err
	}()
	eventually(t, "the switch", func() bool { got, _ := p.get("app.test", "/"); return got == "200 new" })
	select {
	case err := <-switched:
		t.Errorf("the deploy returned (%v) while the old program had a request in flight on the old target", err)
	case <-time.After(2 * followInterval): // nothing says that it goes on waiting
	}
	close(finish)
	if got := receive(t, "the slow answer", slow); got != "200 old<nil>" {
		t.Errorf("the slow request got %q", got)
	}
	if err := receive(t, "the deploy", switched); err != nil {
		t.Error(err)
	}
}

func TestAnUpgradedConnectionEndsAtTheDrainsEndAndNotBefore(t *testing.T) {
	p := install(t)
	p.do("deploy", "app", "--target", backend(t, upgrading), "--host", "app.test")
	c := &rawClient{traffic: &traffic{address: p.address(), app: "app.test"}}
	defer c.drop()
	say := func() bool {
		if err := c.echo(); err != nil {
			t.Fatal(err)
		}
		return c.conn != nil
	}
	say()
	began := time.Now()
	p.upgradeTo("v1", "2s")
	for say() {
		time.Sleep(10 * time.Millisecond)
	}
	if took := time.Since(began); took < 2*time.Second {
		t.Errorf("the connection ended after %s of a drain of 2s", took)
	}
	eventually(t, "the old program has ended", func() bool { return len(p.workers()) == 1 })
	if !say() {
		t.Error("the new program takes no upgraded connection")
	}
}

func TestATermDuringAnUpgradeEndsEveryProcessInGoodOrder(t *testing.T) {
	for i := range 4 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			p := install(t)
			p.do("deploy", "app", "--target", backend(t, says("app")), "--host", "app.test")
			p.newProgram(p.path+".new", "v1")
			upgraded := make(chan error, 1)
			go func() {
				_, err := p.try("upgrade", "--binary", p.path+".new")
				upgraded <- err
			}()
			if i > 0 { // 0: before the new program runs
				eventually(t, "the new program runs", func() bool { return len(p.workers()) > 1 || p.about().Version == "v1" })
				time.Sleep(time.Duration(i-1) * 7 * time.Millisecond)
			}
			pids := p.workers()
			if code := p.stop(); code != 0 {
				t.Errorf("exit code %d", code)
			}
			if err := receive(t, "the upgrade", upgraded); err == nil && p.about().Version != "v1" {
				t.Error("the upgrade succeeded, and the version is the old one")
			}
			for _, pid := range pids {
				if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
					t.Errorf("process %d is still there: %v", pid, err)
				}
			}
			if _, err := os.Stat(filepath.Join(p.dir, "run", "kamal-proxy.sock")); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the socket: %v", err)
			}
			p.start()
			p.expect("app.test", "200 app")
		})
	}
}

func TestTheNewProgramMayLieElsewhereOrInTheOldOnesPlaceAndMayBeOlder(t *testing.T) {
	p := install(t)
	p.do("deploy", "app", "--target", backend(t, says("app")), "--host", "app.test")
	elsewhere := filepath.Join(p.dir, "elsewhere")
	p.newProgram(elsewhere, "v2")
	if out := p.do("upgrade", "--binary", elsewhere); out != "Upgraded from v0 to v2\n" {
		t.Errorf("from elsewhere: %q", out)
	}
	for _, path := range []string{elsewhere, versionFile(elsewhere)} {
		if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s has not moved: %v", path, err)
		}
	}
	// In its place, as `docker cp` puts it: removed, and made anew.
	if err := os.Remove(p.path); err != nil {
		t.Fatal(err)
	}
	p.newProgram(p.path, "v1")
	if out := p.do("upgrade"); out != "Upgraded from v2 to v1\n" || p.about().Version != "v1" {
		t.Errorf("in its place, older: %q, %+v", out, p.about())
	}
	if out := p.do("version"); !strings.HasPrefix(out, "v1 ") {
		t.Errorf("version printed %q", out)
	}
	eventually(t, "the supervisor is the new program", func() bool {
		exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", p.cmd.Process.Pid))
		return err == nil && exe == p.path
	})
	if left, _ := filepath.Glob(p.path + ".*"); len(left) != 1 {
		t.Errorf("beside the program lie %v", left)
	}
	p.expect("app.test", "200 app")
}
