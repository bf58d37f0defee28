package e2e

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// What a person does with what runs: a console, a command, its output as it is, and the logs of all of it.
func TestAConsoleOnProduction(t *testing.T) {
	f := newFixture(t)
	f.deploy(settings{})
	f.image("v1", nil)
	f.image("v2", nil)
	f.must(0, "apply", "--version", "v1")
	for _, part := range []struct {
		name string
		do   func(f *fixture)
	}{
		{"a console in the container that serves, and in one of its own", consoles},
		{"output as it is, byte for byte", func(f *fixture) { rawBytes(f, 3_000_000) }},
		{"commands everywhere, and what is noted of them", commandsEverywhere},
		{"a command that nobody waits for", detached},
		{"commands on the servers", onServers},
		{"a reader that has had enough", enough},
		{"logs of all hosts by time, and on through a release", logsAcross},
	} {
		if !t.Run(part.name, func(t *testing.T) { part.do(f.within(t)) }) {
			break
		}
	}
}

// exec runs the program with what stands behind a command's own words.
func (f *fixture) execs(code int, in io.Reader, args ...string) (stdout, stderr []byte) {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.t.Context(), 5*time.Minute)
	defer cancel()
	var out, errs bytes.Buffer
	cmd := f.commandOf(ctx, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = in, &out, &errs
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		f.t.Fatalf("kamald %s: %v", strings.Join(args, " "), err)
	}
	shown := out.Bytes()[:min(out.Len(), 2000)]
	f.t.Logf("kamald %s: exit %d\n%q\n%s", strings.Join(args, " "), cmd.ProcessState.ExitCode(), shown, errs.String())
	if got := cmd.ProcessState.ExitCode(); got != code {
		f.t.Errorf("kamald %s: exit code %d, want %d", strings.Join(args, " "), got, code)
	}
	return out.Bytes(), errs.Bytes()
}

func consoles(f *fixture) {
	for _, where := range []string{"--reuse", "--primary"} {
		x := f.inTerminal(100, 30, "app", "exec", "-i", where, "app", "console")
		x.shows("console of v1")
		x.shows("100x30")
		x.resize(132, 43)
		x.shows("resized 132x43")
		x.types("hello\r")
		x.shows("you said: hello")
		x.types("\x03")
		x.shows("interrupted")
		f.must(0, "plan", "--version", "v1", "--detailed-exitcode") // it is in nobody's way
		x.types("exit 7\r")
		x.ends(7)
	}
	if left := f.containers(f.host(1), "label=kamald.exec"); len(left) != 0 {
		f.t.Errorf("it left %v", left)
	}
	f.wantRunning(f.host(1), "shop-web-v1")
}

// rawBytes brings bytes from a container and back into one.
func rawBytes(f *fixture, n int64) {
	began, want := time.Now(), sha256.New()
	_, _ = io.CopyN(want, rand.NewChaCha8([32]byte{1}), n)
	got, beside := f.execs(0, nil, "app", "exec", "--raw", "--primary", "app", "bytes", strconv.FormatInt(n, 10))
	if sum := sha256.Sum256(got); int64(len(got)) != n || !bytes.Equal(sum[:], want.Sum(nil)) {
		f.t.Fatalf("%d bytes of %d came, with %x for %x", len(got), n, sum, want.Sum(nil))
	}
	f.t.Logf("%d bytes came in %s, with checksum %x", len(got), time.Since(began).Round(time.Millisecond), want.Sum(nil))
	if string(beside) != "a line beside it\n" {
		f.t.Errorf("beside it: %q", beside)
	}
	back, _ := f.execs(0, bytes.NewReader(got), "app", "exec", "-i", "--reuse", "app", "cat")
	if !bytes.Equal(back, got) {
		f.t.Fatalf("%d bytes of %d came back, or others", len(back), n)
	}
	back, _ = f.execs(0, bytes.NewReader(got), "app", "exec", "-i", "app", "cat")
	if !bytes.Equal(back, got) {
		f.t.Fatalf("%d bytes of %d came back from a container of its own, or others", len(back), n)
	}
}

// A hundred megabytes each way arrive as they were.
func TestMuchOutputComesAsItIs(t *testing.T) {
	onlyLong(t)
	f := newFixture(t)
	f.deploy(settings{})
	f.image("v1", nil)
	f.must(0, "apply", "--version", "v1")
	rawBytes(f, 100_000_000)
}

func commandsEverywhere(f *fixture) {
	const secret = "walrus-in-the-command-line"
	out, _ := f.execs(0, nil, "app", "exec", "--env", "EXTRA="+secret, "app", "env", "EXTRA", "KAMAL_VERSION")
	for n, role := range []string{"web", "web", "workers"} {
		name := f.host(n+1).Name + " " + role
		for _, want := range []string{"EXTRA=" + secret, "KAMAL_VERSION=v1"} {
			if !slices.ContainsFunc(strings.Split(string(out), "\n"), func(line string) bool {
				return strings.HasPrefix(line, name) && strings.HasSuffix(line, "| "+want)
			}) {
				f.t.Errorf("no line of %s has %s:\n%s", name, want, out)
			}
		}
	}
	out, _ = f.execs(0, nil, "app", "exec", "--raw", "--hosts", f.host(3).Name, "app", "env", "API_TOKEN")
	if string(out) != "API_TOKEN="+canary+"\n" {
		f.t.Errorf("the role's secret is %q there", out)
	}
	_, said := f.execs(3, nil, "app", "exec", "--roles", "web", "app", "fail", "3")
	if text := string(said); !strings.Contains(text, f.host(1).Name+" web: it ended with exit code 3") || !strings.Contains(text, "2 of 2") {
		f.t.Errorf("it says %s", text)
	}
	_, said = f.execs(1, nil, "app", "exec", "--primary", "nothing-like-it")
	if !strings.Contains(string(said), "nothing-like-it") {
		f.t.Errorf("it says %s", said)
	}
	audit := f.must(0, "audit", "-n", "0").all() + f.must(0, "audit", "--servers").all()
	if !strings.Contains(audit, "run app in shop-web-exec-v1-") || !strings.Contains(audit, "Executed app in shop-web-exec-v1-") || strings.Contains(audit, secret) || strings.Contains(audit, canary) {
		f.t.Error("the audit has it otherwise")
	}
	for n := 1; n <= 3; n++ {
		if left := f.containers(f.host(n), "label=kamald.exec"); len(left) != 0 {
			f.t.Errorf("%s has %v", f.host(n).Name, left)
		}
	}
}

func detached(f *fixture) {
	out, _ := f.execs(0, nil, "app", "exec", "--detach", "--primary", "app", "fail", "5")
	_, rest, _ := strings.Cut(string(out), ": ")
	name, _, _ := strings.Cut(rest, " ")
	if !strings.HasPrefix(name, "shop-web-exec-v1-") {
		f.t.Fatalf("it was named %q", name)
	}
	f.says(f.must(0, "app", "logs", "--container", name, "-f"), "it fails as it was asked to")
	f.must(0, "plan", "--version", "v1", "--detailed-exitcode")
	f.says(f.must(0, "prune"), name)
	if left := f.containers(f.host(1), "label=kamald.exec"); len(left) != 0 {
		f.t.Errorf("it left %v", left)
	}
}

func onServers(f *fixture) {
	out, said := f.execs(4, nil, "server", "exec", "hostname; echo beside >&2; exit 4")
	for n := range f.lab.Hosts {
		h := f.host(n + 1)
		if name := strings.TrimSpace(f.exec(h, "hostname")); !strings.Contains(string(out), h.Name+" | "+name+"\n") || !strings.Contains(string(said), h.Name+": it ended with exit code 4") {
			f.t.Errorf("%s: %s%s", h.Name, out, said)
		}
	}
	out, _ = f.execs(0, nil, "server", "exec", "--primary", "--raw", "printf", "%s\\n", "it's $HOME", "a  b")
	if string(out) != "it's $HOME\na  b\n" {
		f.t.Errorf("words came as %q", out)
	}
	x := f.inTerminal(90, 20, "server", "exec", "-i", "trap 'echo caught' INT; stty size; read a; read b; stty size; echo got $b; exit 5")
	x.shows("20 90")
	x.types("\x03")
	x.shows("caught")
	x.resize(77, 19)
	time.Sleep(time.Second) // the size travels beside what is typed
	x.types("one\rtwo\r")
	x.shows("19 77")
	x.ends(5)
	f.says(f.must(0, "audit"), "run hostname on the host")
}

// enough is a reader that takes a byte and goes away, as head does: what is shown to it ends with it, and nothing is wrong with a server.
func enough(f *fixture) {
	for _, args := range [][]string{
		{"app", "logs", "--follow"},
		{"server", "exec", "yes"},
		{"server", "exec", "--primary", "--raw", "head -c 8388608 /dev/zero; sleep 3600"},
		{"app", "exec", "--primary", "--raw", "app", "bytes", "100000000"},
		{"app", "exec", "--reuse", "--primary", "--raw", "app", "bytes", "100000000"},
	} {
		ctx, cancel := context.WithTimeout(f.t.Context(), 2*time.Minute)
		cmd := f.commandOf(ctx, args...)
		var said bytes.Buffer
		cmd.Stderr = &said
		out, err := cmd.StdoutPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			f.t.Fatal(err)
		}
		_, _ = out.Read(make([]byte, 1))
		_ = out.Close()
		_ = cmd.Wait() // its code says it
		cancel()
		goesOn := slices.Contains(args, "--reuse") // in the container that serves, which is said
		if code := cmd.ProcessState.ExitCode(); code != 141 || strings.Contains(said.String(), "kamald:") != goesOn || goesOn && !strings.Contains(said.String(), "may go on in shop-web-v1") {
			f.t.Errorf("kamald %s: exit code %d, and it says %s", strings.Join(args, " "), code, said.String())
		}
	}
	if left := f.containers(f.host(1), "label=kamald.exec"); len(left) != 0 {
		f.t.Errorf("it left %v", left)
	}
	f.must(0, "plan", "--version", "v1", "--detailed-exitcode")
}

func logsAcross(f *fixture) {
	var last string
	hosts := map[string]bool{}
	for line := range strings.Lines(f.must(0, "app", "logs", "-n", "20").stdout) {
		stamp, rest, _ := strings.Cut(line, " ")
		if _, err := time.Parse(time.RFC3339, stamp); err != nil || stamp < last {
			f.t.Errorf("%q comes after %q", stamp, last)
		}
		last = stamp
		hosts[strings.Fields(rest)[0]] = true
	}
	if len(hosts) != 3 {
		f.t.Errorf("there are lines of %v", hosts)
	}
	f.says(f.must(0, "app", "logs", "--roles", "workers", "--grep", `tick=[0-9]+$`, "-T"), f.host(3).Name+" workers | worker version=v1 tick=1")
	x := f.begin("app", "logs", "--follow")
	x.heardOut("version=v1 tick=", 1)
	f.must(0, "apply", "--version", "v2")
	x.heardOut("worker version=v2 tick=2", 1)
	x.heardOut("booting version=v2 mode=web", 2)
	x.signal(syscall.SIGINT)
	r := x.wait()
	if r.code != 130 {
		f.t.Errorf("exit code %d", r.code)
	}
	if n := strings.Count(r.stdout, "stopped\n"); n != 3 {
		f.t.Errorf("%d of 3 old containers' ends are there", n)
	}
	seen := map[string]bool{}
	for line := range strings.Lines(r.stdout) {
		if strings.Contains(line, "tick=") && seen[line] {
			f.t.Errorf("%q came twice", line)
		}
		seen[line] = true
	}
	f.says(r, fmt.Sprintf("%s web v2 ", f.host(1).Name))
}

// heardOut is hears for what is said on standard output.
func (p *process) heardOut(text string, times int) {
	p.t.Helper()
	for deadline := time.Now().Add(3 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
		p.mu.Lock()
		said := p.stdout.String()
		p.mu.Unlock()
		if strings.Count(said, text) >= times {
			return
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("kamald %s never showed %q:\n%s", p.name, text, said)
		}
	}
}
