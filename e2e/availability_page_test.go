package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// docs/high-availability.md, command by command: the distribution's etcd by TLS and with users, and two bastions.
func TestHighAvailabilityAsThePageSays(t *testing.T) {
	for _, name := range []string{"etcd", "etcdctl", "openssl"} {
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("NOT RUN: %s is not installed", name)
		}
	}
	f := newFixture(t)
	f.image("v1", nil)
	f.deploy(settings{root: "version = \"v1\"", more: keeps})
	f.must(0, "apply")
	page := pageText(t, "high-availability.md")
	p := &availability{fixture: f, dir: filepath.Join(f.dir, "etcd"), env: os.Environ()}
	if err := os.MkdirAll(p.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	blocks := fenced(page, "sh")
	if len(blocks) != 6 {
		t.Fatalf("the page has %d blocks of commands", len(blocks))
	}
	p.shell(strings.ReplaceAll(blocks[0], `IP:${at#*=}"`, `IP:${at#*=},IP:127.0.0.1"`)) // members look at where a connection comes from
	for n := 1; n <= 3; n++ {
		p.member(blocks[1], n)
	}
	f.eventually("all members are healthy", func() bool {
		out, err := p.try(blocks[2])
		return err == nil && strings.Count(out, "is healthy") == 3
	})
	for _, line := range strings.Split(blocks[2], "\n") { // what is exported holds for what follows
		for _, word := range strings.Fields(strings.TrimPrefix(line, "export ")) {
			if strings.Contains(word, "=") {
				p.env = append(p.env, p.placed(word))
			}
		}
	}
	p.shell(blocks[3])

	sh := &sharing{fixture: f, bastions: p.bastions(page)}
	migrate := strings.Fields(p.placed(strings.TrimSpace(blocks[4])))
	if r := f.withoutStore(migrate[1:]...); r.code != 0 || !strings.Contains(r.all(), "SHA-256") {
		t.Fatalf("the store does not come to the cluster: %s", r.all())
	}
	if r := f.withoutStore("history", "--no-refresh", "--store", "bastion-2.hcl"); r.code != 0 || !strings.Contains(r.stdout, "v1") {
		t.Errorf("the history of the cluster: %s", r.all())
	}
	if r := f.withoutStore("store", "check", "--store", "bastion-1.hcl"); r.code != 0 || !strings.Contains(r.stdout, "is whole") {
		t.Errorf("the store is not whole: %s", r.all())
	}
	sh.handOver(func() { p.backUp(blocks[5]) })
}

// backUp types the page's backup, while bastions run, and reads what is in it.
func (p *availability) backUp(text string) {
	p.t.Helper()
	f, backup := p.fixture, filepath.Join(p.dir, "kamald.db")
	if r := f.withoutStore(strings.Fields(p.placed(strings.TrimSpace(text)))[1:]...); r.code != 0 || !strings.Contains(r.stdout, "Led meanwhile by bastion-") {
		p.t.Errorf("no backup is made beside bastions: %s", r.all())
	}
	if r := f.withoutStore("history", "--no-refresh", "--store", backup); r.code != 0 || !strings.Contains(r.stdout, "v1") {
		p.t.Errorf("the history of the backup: %s", r.all())
	}
}

// handOver starts the bastions, does something while one leads, and ends that one.
func (sh *sharing) handOver(led func()) {
	sh.t.Helper()
	f := sh.fixture
	for _, b := range sh.bastions {
		b.process = f.beginOf(func(ctx context.Context) *exec.Cmd {
			cmd := exec.CommandContext(ctx, f.bin, "run", "-f", b.name+".hcl", "--no-color")
			cmd.Dir, cmd.Env = f.dir, append(os.Environ(), "HOME="+f.dir, "SSH_AUTH_SOCK=", "XDG_STATE_HOME="+filepath.Join(f.dir, b.name))
			return cmd
		}, b.name)
	}
	leads, follows := sh.leader()
	sh.converged(follows, "v1")
	if r := f.withoutStore("status", "--server", follows.socket); !strings.Contains(r.stdout, "led by "+leads.name) {
		sh.t.Errorf("the status does not say who leads: %s", r.all())
	}
	led()
	asked := time.Now()
	leads.signal(syscall.SIGTERM)
	f.eventually("the other leads", follows.leads)
	sh.t.Logf("handed over in %s", time.Since(asked).Round(time.Millisecond))
	sh.end()
}

// bastions are the two of the page, by the store block that it has for the first.
func (p *availability) bastions(page string) (both [2]*bastion) {
	p.t.Helper()
	p.write("etcd/etcd.secrets", "ETCD_PASSWORD=change-me-2\n", 0o600)
	store := ""
	for _, block := range fenced(page, "") {
		if strings.HasPrefix(block, "store {") {
			store = block
		}
	}
	for i := range both {
		name := fmt.Sprintf("bastion-%d", i+1)
		b := &bastion{f: p.fixture, name: name, dir: p.fixture.dir, socket: filepath.Join(p.fixture.dir, name+".sock")}
		p.write(name+".hcl", p.placed(strings.ReplaceAll(store, "bastion-1", name))+fmt.Sprintf(`
listen { socket = %q }
log { format = "json" }
app "shop" {
  source "file" { path = "deploy.hcl" }
}
`, b.socket), 0o600)
		both[i] = b
	}
	return both
}

// availability is a place in which the page's commands are typed, with addresses of this machine's own and directories of the test's.
type availability struct {
	*fixture
	dir string
	env []string
}

func (p *availability) placed(text string) string {
	return strings.NewReplacer("10.0.0.", "127.0.77.", "/etc/kamald/kamald.hcl", filepath.Join(p.fixture.dir, "bastion-1.hcl"), "/etc/kamald/etcd.secrets", filepath.Join(p.dir, "etcd.secrets"),
		"/var/lib/kamald/state.db", p.store, "/etc/etcd", p.dir, "/var/lib/etcd", p.dir, "/var/backups", p.dir).Replace(text)
}

func (p *availability) try(text string) (string, error) {
	ctx, cancel := context.WithTimeout(p.t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-ec", p.placed(text))
	cmd.Dir, cmd.Env = p.dir, p.env
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (p *availability) shell(text string) {
	p.t.Helper()
	if out, err := p.try(text); err != nil {
		p.t.Fatalf("%s\n%v: %s", text, err, out)
	}
}

// member begins a member of the cluster, by the command that the page has for the first.
func (p *availability) member(text string, n int) {
	p.t.Helper()
	lines := strings.Split(p.placed(text), "\n")
	for i, line := range lines {
		if !strings.Contains(line, "--initial-cluster ") {
			lines[i] = strings.NewReplacer("etcd-1", fmt.Sprintf("etcd-%d", n), ".21:", fmt.Sprintf(".2%d:", n), p.dir+"/kamald", fmt.Sprintf("%s/data-%d", p.dir, n)).Replace(line)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	cmd := exec.CommandContext(ctx, "sh", "-c", "exec "+strings.TrimSpace(strings.Join(lines, "\n")))
	var said strings.Builder
	cmd.Dir, cmd.Stdout, cmd.Stderr = p.dir, &said, &said
	if err := cmd.Start(); err != nil {
		cancel()
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() {
		cancel()
		_ = cmd.Wait() // it was ended
		if p.t.Failed() {
			p.t.Logf("etcd-%d: %s", n, said.String()[max(said.Len()-2000, 0):])
		}
	})
}

// withoutStore runs the program without a store of the fixture's.
func (f *fixture) withoutStore(args ...string) result {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, f.bin, append(args, "--no-color")...)
	cmd.Dir, cmd.Env = f.dir, append(f.env[:len(f.env):len(f.env)], "XDG_STATE_HOME="+filepath.Join(f.dir, "elsewhere"))
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	_ = cmd.Run() // its exit code is what counts
	f.t.Logf("kamald %s: exit %d\n%s%s", strings.Join(args, " "), cmd.ProcessState.ExitCode(), stdout.String(), stderr.String())
	return result{code: cmd.ProcessState.ExitCode(), stdout: stdout.String(), stderr: stderr.String()}
}
