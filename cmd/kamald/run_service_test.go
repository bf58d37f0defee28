//go:build linux

package main

import (
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestTheServiceManagerIsToldOfTheDaemonsLife(t *testing.T) {
	b := newBastionMachine(t)
	conn, env := b.manager()
	d := b.begin(nil, env, "WATCHDOG_USEC=300000")
	if said := hears(t, conn, false); said != "READY=1" {
		t.Errorf("first it said %q", said)
	}
	hears(t, conn, true)

	d.signal(syscall.SIGHUP)
	if said := hears(t, conn, false); !strings.HasPrefix(said, "RELOADING=1\nMONOTONIC_USEC=") {
		t.Errorf("at SIGHUP it said %q", said)
	}
	if said := hears(t, conn, false); said != "READY=1" {
		t.Errorf("when the file was read again it said %q", said)
	}
	hears(t, conn, true)

	b.configure("tokn {}")
	d.signal(syscall.SIGHUP)
	hears(t, conn, false)
	if said := hears(t, conn, false); said != "READY=1" {
		t.Errorf("after a file with mistakes it said %q", said)
	}
	if line := d.logs("the file has mistakes"); !strings.Contains(line, "tokn") {
		t.Errorf("it does not say which: %s", line)
	}
	if status, err := asks(b.path("kamald.sock")); status != http.StatusOK {
		t.Errorf("after a file with mistakes the socket answers with %d %v", status, err)
	}

	d.signal(syscall.SIGTERM)
	if said := hears(t, conn, false); said != "STOPPING=1" {
		t.Errorf("at SIGTERM it said %q", said)
	}
	if code := d.ends(); code != 0 {
		t.Errorf("it ended with %d:\n%s", code, d.log())
	}
	if _, err := os.Lstat(b.path("kamald.sock")); err == nil {
		t.Error("its socket is still there")
	}
}

func TestAFileThatCannotBeDoneChangesNothing(t *testing.T) {
	b := newBastionMachine(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	d := b.begin(nil)
	d.logs("kamald runs")
	b.configure(fmt.Sprintf("metrics { listen = %q }", taken.Addr()))
	d.signal(syscall.SIGHUP)
	if line := d.logs("what it said before goes on to hold"); !strings.Contains(line, "address already in use") {
		t.Errorf("it does not say why: %s", line)
	}
	d.logs("kamald runs")
	if status, err := asks(b.path("kamald.sock")); status != http.StatusOK {
		t.Errorf("the socket answers with %d %v", status, err)
	}
	b.configure("log { format = \"text\" }")
	d.signal(syscall.SIGHUP)
	if line := d.logs("kamald runs"); strings.HasPrefix(line, "{") {
		t.Errorf("the log's new form does not hold: %s", line)
	}
	d.signal(syscall.SIGTERM)
	if code := d.ends(); code != 0 {
		t.Errorf("it ended with %d", code)
	}
}

func TestASocketThatIsGivenIsUsedThroughReloadsAndLeft(t *testing.T) {
	b := newBastionMachine(t)
	path := b.path("given.sock")
	given, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = given.Close() }()
	if err := os.Chmod(path, 0o640); err != nil { // what the socket's unit says
		t.Fatal(err)
	}
	file, err := given.File()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	d := b.begin(file)
	for range 2 {
		d.logs("kamald runs")
		if status, err := asks(path); status != http.StatusOK {
			t.Fatalf("it answers with %d %v", status, err)
		}
		d.signal(syscall.SIGHUP)
	}
	d.logs("kamald runs")
	if _, err := os.Lstat(b.path("kamald.sock")); err == nil {
		t.Error("it made a socket besides")
	}
	d.signal(syscall.SIGTERM)
	if code := d.ends(); code != 0 {
		t.Errorf("it ended with %d:\n%s", code, d.log())
	}
	info, err := os.Lstat(path)
	if err != nil || info.Mode() != fs.ModeSocket|0o640 {
		t.Errorf("the given socket is %v %v", info, err)
	}
	again := b.begin(file)
	again.logs("kamald runs")
	if status, err := asks(path); status != http.StatusOK {
		t.Errorf("the next daemon answers with %d %v", status, err)
	}
}

func TestAStoreHasOneDaemonAndASocketLeftBehindIsReplaced(t *testing.T) {
	b := newBastionMachine(t)
	killed := b.begin(nil)
	killed.logs("kamald runs")
	killed.signal(syscall.SIGKILL)
	killed.ends()
	if _, err := os.Lstat(b.path("kamald.sock")); err != nil {
		t.Fatalf("nothing was left behind: %v", err)
	}

	d := b.begin(nil)
	d.logs("kamald runs")
	if status, err := asks(b.path("kamald.sock")); status != http.StatusOK {
		t.Errorf("it answers with %d %v", status, err)
	}
	if info, err := os.Lstat(b.path("kamald.sock")); err != nil || info.Mode().Perm() != 0o660 {
		t.Errorf("its socket is %v %v", info, err)
	}
	second := b.begin(nil)
	if code := second.ends(); code != 1 {
		t.Errorf("a second daemon ended with %d", code)
	}
	second.logs("another kamald runs with this store")
	if status, err := asks(b.path("kamald.sock")); status != http.StatusOK {
		t.Errorf("beside a second one it answers with %d %v", status, err)
	}
}

func TestADaemonThatReachesNoServerEndsAtOnce(t *testing.T) {
	b := newBastionMachine(t)
	silent, err := net.Listen("tcp", "127.0.0.1:0") // takes connections and says nothing, as a server behind a firewall that drops
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = silent.Close() }()
	text, err := os.ReadFile(b.path("deploy.hcl"))
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := strings.Cut(silent.Addr().String(), ":")
	b.write("deploy.hcl", strings.Replace(string(text), "port    = 1\n", "port    = "+port+"\n", 1))
	d := b.begin(nil)
	d.logs("kamald runs")
	if err := silent.(*net.TCPListener).SetDeadline(time.Now().Add(unheard)); err != nil {
		t.Fatal(err)
	}
	if conn, err := silent.Accept(); err != nil {
		t.Fatalf("%v; it said:\n%s", err, d.log())
	} else {
		defer func() { _ = conn.Close() }()
	}
	began := time.Now()
	d.signal(syscall.SIGTERM)
	if code := d.ends(); code != 0 {
		t.Errorf("it ended with %d:\n%s", code, d.log())
	}
	if took := time.Since(began); took > 5*time.Second { // less than it waits for a server; on an idle machine it is some milliseconds
		t.Errorf("it took %s", took)
	}
}

func TestWhatStandsInTheWayIsSaidAtTheStart(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(b *bastionMachine)
		says  string
	}{
		{"a store in no directory", func(b *bastionMachine) { b.write("store", "") }, "the store's directory cannot be made"},
		{"a store that is no file", func(b *bastionMachine) { _ = os.MkdirAll(b.path("store/state.db"), 0o700) }, "state.db"},
		{"a store that is none", func(b *bastionMachine) {
			_ = os.Mkdir(b.path("store"), 0o700)
			b.write("store/state.db", strings.Repeat("no store", 2000))
		}, "is not a store of kamald"},
		{"a file for a socket", func(b *bastionMachine) { b.write("kamald.sock", "precious") }, "a file is there that is no socket"},
		{"no secret", func(b *bastionMachine) { b.write("shop.secrets", "") }, "secret HOOK is not at hand"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBastionMachine(t)
			c.spoil(b)
			d := b.begin(nil)
			if code := d.ends(); code != 1 {
				t.Errorf("it ended with %d", code)
			}
			d.logs(c.says)
			if content, err := os.ReadFile(b.path("kamald.sock")); err == nil && string(content) != "precious" {
				t.Errorf("the file was changed: %q", content)
			}
		})
	}
}

func TestAStoreThatMayNotBeWrittenIsNamed(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("NOT RUN: root may begin a process as another user")
	}
	b := newBastionMachine(t)
	if err := os.Chmod(b.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	_ = os.Chmod(b.path("kamald.hcl"), 0o644)
	if err := os.Mkdir(b.path("store"), 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(b.bin, "run", "-f", b.path("kamald.hcl"))
	cmd.Dir, cmd.Env = "/", []string{"CREDENTIALS_DIRECTORY=" + b.dir}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "the store's directory cannot be written") || !strings.Contains(string(out), "permission denied") {
		t.Errorf("%v: %s", err, out)
	}
}
