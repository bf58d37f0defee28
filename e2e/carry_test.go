package e2e

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kamald/kamald/drivers/docker"
	"github.com/kamald/kamald/drivers/image"
	"github.com/kamald/kamald/drivers/ssh"
	"github.com/kamald/kamald/lab"
	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/release"
)

// withoutRegistry writes the deploy.hcl of an app that is carried from this machine, and has kamald's temporary files by
// themselves.
func (f *fixture) withoutRegistry(s settings) {
	f.t.Helper()
	f.deploy(s)
	text, err := os.ReadFile(filepath.Join(f.dir, "deploy.hcl"))
	if err != nil {
		f.t.Fatal(err)
	}
	before, rest, _ := strings.Cut(string(text), "registry {")
	_, after, _ := strings.Cut(rest, "}")
	f.write("deploy.hcl", strings.Replace(before+after, `"acme/shop"`, strconv.Quote(f.carried()), 1), 0o600)
	f.write("tmp/.keep", "", 0o600)
	f.env = append(f.env, "TMPDIR="+filepath.Join(f.dir, "tmp"))
}

// carried is the repository of the app on this machine, which has other tests' images too.
func (f *fixture) carried() string { return fmt.Sprintf("kamald-test/carried-%d", os.Getpid()) }

// large loads an image of the app with so many MiB, which versions are built on.
func (f *fixture) large(mib int) {
	f.t.Helper()
	ref, err := lab.LoadApp(f.t.Context(), lab.AppImage{Repository: f.carried(), Version: "base", Service: "shop", PadMiB: mib})
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { _ = exec.Command("docker", "image", "rm", ref).Run() })
}

// build builds a version on this machine: the base, a large file where that is asked for, and one line.
func (f *fixture) build(version string, padMiB int) {
	f.t.Helper()
	dir := filepath.Join("build", version)
	dockerfile := "FROM " + f.carried() + ":base\n"
	if padMiB > 0 {
		f.write(filepath.Join(dir, "more"), noise(padMiB<<20), 0o644)
		dockerfile += "COPY more /more\n"
	}
	f.write(filepath.Join(dir, "line"), "this is "+version+"\n", 0o644)
	f.write(filepath.Join(dir, "Dockerfile"), dockerfile+"COPY line /line\nENV APP_VERSION="+version+"\n", 0o644)
	ref := f.carried() + ":" + version
	cmd := exec.CommandContext(f.t.Context(), "docker", "build", "-q", "-t", ref, filepath.Join(f.dir, dir))
	cmd.Env = append(os.Environ(), "DOCKER_BUILDKIT=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		f.t.Fatalf("docker build: %v\n%s", err, out)
	}
	f.t.Cleanup(func() { _ = exec.Command("docker", "image", "rm", ref).Run() })
}

// noise is text that hardly compresses.
func noise(size int) string {
	var text strings.Builder
	text.Grow(size)
	for x := uint64(88172645463325252); text.Len() < size; {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		for i := range 8 {
			text.WriteByte(byte(x >> (8 * i)))
		}
	}
	return text.String()
}

// received counts the bytes that came to a host's network, by its kernel.
func (f *fixture) received(h *lab.Host) int64 {
	f.t.Helper()
	text := f.exec(h, "cat", "/sys/class/net/eth0/statistics/rx_bytes")
	n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
	if err != nil {
		f.t.Fatal(err)
	}
	return n
}

// sent is what a run that wrote JSON says it sent, by host.
func (f *fixture) sent(r result) map[string]reconcile.Carried {
	f.t.Helper()
	var report struct{ Carried []reconcile.Carried }
	if err := json.Unmarshal([]byte(r.stdout), &report); err != nil {
		f.t.Fatal(err)
	}
	byHost := map[string]reconcile.Carried{}
	for _, c := range report.Carried {
		byHost[c.Host] = c
	}
	return byHost
}

// parts are the tags of layers on a host that wait for the rest of their image.
func (f *fixture) parts(h *lab.Host) int {
	f.t.Helper()
	return strings.Count(f.exec(h, "docker", "image", "ls", "--format", "{{.Tag}}"), "kamald-carried-")
}

// Of an image of 100 MB only what the hosts lack travels: for a line that has changed, less than 1 MB each. The hosts' kernels
// count the same.
func TestALineOfALargeImageTravelsAlone(t *testing.T) {
	onlyLong(t)
	f := newFixture(t)
	f.withoutRegistry(settings{})
	f.large(100)
	f.build("v1", 0)
	f.build("v2", 0)
	run := func(version string) (map[string]reconcile.Carried, [3]int64) {
		var before, came [3]int64
		for i := range f.lab.Hosts {
			before[i] = f.received(&f.lab.Hosts[i])
		}
		report := f.sent(f.must(0, "apply", "--version", version, "--json"))
		for i := range f.lab.Hosts {
			came[i] = f.received(&f.lab.Hosts[i]) - before[i]
		}
		f.emptyTwice(version)
		return report, came
	}
	first, came := run("v1")
	second, cameThen := run("v2")
	for i, h := range f.lab.Hosts {
		t.Logf("%s: v1 %+v, %d bytes received; v2 %+v, %d bytes received", h.Name, first[h.Name], came[i], second[h.Name], cameThen[i])
		if first[h.Name].Sent < 100<<20 || came[i] < first[h.Name].Sent {
			t.Errorf("%s: of the whole image %d bytes were sent, %d received", h.Name, first[h.Name].Sent, came[i])
		}
		if second[h.Name].Sent == 0 || second[h.Name].Sent > 1_000_000 || cameThen[i] > 1_000_000 || second[h.Name].There != 2 {
			t.Errorf("%s: for a line %+v was sent, %d bytes received", h.Name, second[h.Name], cameThen[i])
		}
		if n := f.parts(&f.lab.Hosts[i]); n > 0 {
			t.Errorf("%s keeps %d parts", h.Name, n)
		}
	}
	f.wantRunning(f.host(1), "shop-web-v2")
	if left, err := os.ReadDir(filepath.Join(f.dir, "tmp")); err != nil || len(left) > 1 {
		t.Errorf("kamald leaves %v, %v", left, err)
	}
}

// A transfer that is cut goes on behind what has arrived. A limit is kept, and whoever looks
// at the servers meanwhile need not wait for it.
func TestACutTransferGoesOnBehindWhatHasArrived(t *testing.T) {
	f := newFixture(t)
	x, line := f.toxicLine(2)
	line = strings.Replace(line, `keepalive = "1s"`, `keepalive = "30s"`, 1) // a busy machine is no line that is gone
	f.withoutRegistry(settings{hosts: [3]string{1: line}})
	f.large(12)
	f.build("v1", 12)
	arrived := func(h *lab.Host) {
		for deadline := time.Now().Add(2 * time.Minute); f.parts(h) == 0; time.Sleep(100 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("no part has arrived on %s", h.Name)
			}
		}
	}
	f.env = append(f.env, "KAMALD_BANDWIDTH=12M")
	p := f.begin("apply", "--version", "v1")
	arrived(f.host(2))
	f.must(2, "plan", "--version", "v1", "--detailed-exitcode")
	x.add("reset_peer", map[string]int{"timeout": 0})
	p.hears("going on behind what has arrived", 1)
	if os.Getenv("KAMALD_LONG") == "" {
		x.heal()
		f.carriedOn(p.wait())
		return
	}
	r := p.wait()
	x.heal()
	// The line stays bad until the run has ended: by its last attempt, or by the lease of the lock that could not be renewed.
	ended := strings.Contains(r.all(), "failed: get image") || strings.Contains(r.all(), "connection lost") || strings.Contains(r.all(), "the lease of the deploy lock is lost")
	if r.code != 1 || !ended || !strings.Contains(r.stderr, "going on behind what has arrived") {
		t.Fatalf("exit code %d, want 1 and %s to be named", r.code, f.host(2).Name)
	}
	f.wantRunning(f.host(1))

	rest := f.sent(f.must(0, "apply", "--version", "v1", "--json", "--bandwidth", "1g"))
	if c := rest[f.host(2).Name]; c.There == 0 || c.Sent > 18<<20 {
		t.Errorf("%s had a part already, and %+v was sent", f.host(2).Name, c)
	}
	f.carriedOn(result{})
}

// carriedOn wants an interrupted transfer to have come to its end, and nothing of it to be left.
func (f *fixture) carriedOn(r result) {
	f.t.Helper()
	if r.code != 0 {
		f.t.Fatalf("exit code %d: the transfer was not carried on", r.code)
	}
	f.emptyTwice("v1")
	f.wantRunning(f.host(2), "shop-web-v1")
	for i := range f.lab.Hosts {
		if n := f.parts(&f.lab.Hosts[i]); n > 0 {
			f.t.Errorf("%s keeps %d parts", f.lab.Hosts[i].Name, n)
		}
	}
	if left, err := os.ReadDir(filepath.Join(f.dir, "tmp")); err != nil || len(left) > 1 {
		f.t.Errorf("kamald leaves %v, %v", left, err)
	}
}

// A server's engine refuses a layer that is damaged on the way, and keeps nothing of it.
func TestAServersEngineRefusesADamagedLayer(t *testing.T) {
	onlyLong(t)
	f := newFixture(t)
	if err := f.host(1).ResetBare(t.Context()); err != nil { // of the proxy's image too
		t.Fatal(err)
	}
	f.large(1)
	here := docker.New(docker.DialLocal, docker.Options{Socket: cmp.Or(strings.TrimPrefix(os.Getenv("DOCKER_HOST"), "unix://"), docker.DefaultSocket)})
	defer here.Close()
	h := f.host(1)
	on := release.Host{Name: h.Name, Address: h.Address, SSH: release.SSH{User: "root", Port: 22, Keys: []string{f.lab.KeyFile}, KnownHosts: []string{f.lab.KnownHosts}}}
	client, err := ssh.Dial(t.Context(), ssh.Options{}, on)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	there := docker.New(client.Dial, docker.Options{Host: h.Name})
	defer there.Close()
	built, err := here.Image(t.Context(), f.carried()+":base")
	if err != nil {
		t.Fatal(err)
	}
	saved, err := here.Save(t.Context(), built.ID)
	if err != nil {
		t.Fatal(err)
	}
	defer saved.Close()
	spool := &image.Spool{Dir: t.TempDir()}
	defer spool.Close()
	if err := spool.Fill(t.Context(), saved, built.Layers); err != nil {
		t.Fatal(err)
	}
	archive, err := spool.Archive(0, len(built.Layers), f.carried()+":base", nil)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(archive)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)-(512<<10)] ^= 1 // in the last layer
	if err := there.Load(t.Context(), bytes.NewReader(data)); err == nil {
		t.Error("it was taken")
	} else if !strings.Contains(err.Error(), h.Name+": ") {
		t.Errorf("the host is not named: %v", err)
	}
	if images := f.exec(h, "docker", "image", "ls", "-aq"); strings.TrimSpace(images) != "" {
		t.Errorf("it keeps %s", images)
	}
	data[len(data)-(512<<10)] ^= 1
	if err := there.Load(t.Context(), bytes.NewReader(data)); err != nil {
		t.Errorf("undamaged: %v", err)
	}
}
