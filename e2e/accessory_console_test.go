package e2e

import (
	"bytes"
	"crypto/sha256"
	"io"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/kamald/kamald/lab"
)

// What a person does with a database that runs: a console in it and beside it, its output as it is, and its logs through a reboot.
func TestAConsoleOnAnAccessory(t *testing.T) {
	f := newFixture(t)
	f.image("v1", nil)
	for _, version := range []string{"7", "8"} {
		if _, err := f.lab.BuildApp(t.Context(), lab.AppImage{Repository: "acme/cache", Version: version}); err != nil {
			t.Fatal(err)
		}
	}
	f.write("redis.conf.tmpl", "requirepass ${secret(\"API_TOKEN\")}\n", 0o600)
	f.deploy(settings{more: f.cache("7", "plan")})
	f.must(0, "apply", "--version", "v1")
	before := f.accessoryOn()
	for _, part := range []struct {
		name string
		do   func(f *fixture)
	}{
		{"a console in it, and in a container of its own", accessoryConsoles},
		{"output as it is, byte for byte", func(f *fixture) { accessoryBytes(f, 300_000) }},
		{"with what it has, and what is noted of it", accessoryCommands},
		{"its logs, and on through a reboot", accessoryLogs},
	} {
		if !t.Run(part.name, func(t *testing.T) { part.do(f.within(t)) }) {
			break
		}
	}
	if after := f.accessoryOn(); after.ID == before.ID || !strings.HasSuffix(after.Image, "acme/cache:8") {
		t.Errorf("after its reboot it is %+v", after)
	}
	f.noCanaryOnHosts()
}

func accessoryConsoles(f *fixture) {
	for _, words := range [][]string{{"redis", "-i", "--reuse"}, {"-i", "redis"}} { // flags stand on either side of the name
		x := f.inTerminal(100, 30, slices.Concat([]string{"accessory", "exec"}, words, []string{"app", "console"})...)
		x.shows("console of 7")
		x.shows("100x30")
		x.types("hello\r")
		x.shows("you said: hello")
		f.must(0, "plan", "--version", "v1", "--detailed-exitcode") // it is in nobody's way
		x.types("exit 7\r")
		x.ends(7)
	}
	if left := f.filtered(f.host(3), "label=kamald.exec"); len(left) != 0 {
		f.t.Errorf("it left %v", left)
	}
}

// accessoryBytes brings bytes from beside it and back.
func accessoryBytes(f *fixture, n int64) {
	want := sha256.New()
	_, _ = io.CopyN(want, rand.NewChaCha8([32]byte{1}), n)
	got, beside := f.execs(0, nil, "accessory", "exec", "--raw", "redis", "app", "bytes", strconv.FormatInt(n, 10))
	if sum := sha256.Sum256(got); int64(len(got)) != n || !bytes.Equal(sum[:], want.Sum(nil)) || string(beside) != "a line beside it\n" {
		f.t.Fatalf("%d bytes of %d came, with %x for %x; beside it %q", len(got), n, sum, want.Sum(nil), beside)
	}
	for _, reuse := range []string{"--reuse=true", "--reuse=false"} {
		if back, _ := f.execs(0, bytes.NewReader(got), "accessory", "exec", "-i", reuse, "redis", "app", "cat"); !bytes.Equal(back, got) {
			f.t.Fatalf("%s: %d bytes of %d came back, or others", reuse, len(back), n)
		}
	}
}

func accessoryCommands(f *fixture) {
	out, _ := f.execs(0, nil, "accessory", "exec", "--raw", "-e", "EXTRA=one more", "redis", "app", "env", "TZ", "API_TOKEN", "EXTRA")
	if string(out) != "TZ=UTC\nAPI_TOKEN="+canary+"\nEXTRA=one more\n" {
		f.t.Errorf("its variables are %q", out)
	}
	out, _ = f.execs(0, nil, "accessory", "exec", "--detach", "redis", "app", "fail", "5")
	_, rest, _ := strings.Cut(string(out), ": ")
	name, _, _ := strings.Cut(rest, " ")
	f.says(f.must(0, "accessory", "logs", "redis", "--container", name, "-f"), "it fails as it was asked to")
	f.says(f.must(0, "prune"), name)
	_, said := f.execs(1, nil, "accessory", "exec", "rediss", "true")
	if !strings.Contains(string(said), "the options are redis. Did you mean") {
		f.t.Errorf("of an unknown one it says %s", said)
	}
	audit := f.must(0, "audit", "-n", "0").all() + f.must(0, "audit", "--servers").all()
	if !strings.Contains(audit, "run app in shop-redis-exec-") || !strings.Contains(audit, "Executed app in shop-redis") || strings.Contains(audit, "one more") || strings.Contains(audit, canary) {
		f.t.Error("the audit has it otherwise")
	}
}

func accessoryLogs(f *fixture) {
	name := f.host(3).Name + " accessory/redis | "
	f.says(f.must(0, "accessory", "logs", "redis", "-T", "--grep", "booting"), name+"booting version=7")
	x := f.begin("accessory", "logs", "redis", "--follow", "-n", "1")
	x.heardOut(name, 1)
	f.deploy(settings{more: f.cache("8", "plan")})
	f.must(0, "accessory", "reboot", "redis", "-y", "--version", "v1")
	x.heardOut("booting version=8", 1)
	x.signal(syscall.SIGINT)
	if r := x.wait(); r.code != 130 || strings.Count(r.stdout, "stopped\n") != 1 {
		f.t.Errorf("exit code %d, and the old one's end is not there once", r.code)
	}
}
