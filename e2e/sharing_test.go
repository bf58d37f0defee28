package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kamald/kamald/lab"
	"github.com/kamald/kamald/state/etcdtest"
)

// shareLease is how soon another daemon leads when nothing is heard of one any more.
const shareLease = 4 * time.Second

// sharing is two bastions that share the fixture's app by a cluster of three members. Each reaches the members over lines of its own.
type sharing struct {
	*fixture
	cluster  *etcdtest.Cluster
	bastions [2]*bastion
}

// bastion is one of them: a machine of its own as far as its name goes.
type bastion struct {
	*process
	f      *fixture
	name   string
	dir    string
	socket string
	lines  []*etcdtest.Line
}

// shares makes the bastions' files; hosts gives lines of deploy.hcl for each bastion, nil: none.
func (f *fixture) shares(s settings, hosts func(i int, of *fixture) [3]string) *sharing {
	f.t.Helper()
	sh := &sharing{fixture: f, cluster: etcdtest.Start(f.t, 3)}
	for i := range sh.bastions {
		name := fmt.Sprintf("bastion-%d", i+1)
		b := &bastion{f: f, name: name, dir: filepath.Join(f.dir, name), socket: filepath.Join(f.dir, name, "kamald.sock")}
		var endpoints []string
		for _, member := range sh.cluster.Members {
			line := etcdtest.NewLine(f.t, member.Endpoint)
			b.lines, endpoints = append(b.lines, line), append(endpoints, strconv.Quote(line.Endpoint))
		}
		of := *f
		of.dir = b.dir
		if s.hosts = [3]string{}; hosts != nil {
			s.hosts = hosts(i, &of)
		}
		of.deploy(s)
		f.write(name+"/.kamald/secrets", "REGISTRY_PASSWORD="+f.lab.Registry.Password.Reveal()+"\nAPI_TOKEN="+canary+"\n", 0o600)
		f.write(name+"/kamald.hcl", fmt.Sprintf(`store {
  etcd  = [%s]
  name  = %q
  lease = %q
}
listen { socket = "kamald.sock" }
log {
  format = "json"
  level  = "debug"
}
app "shop" {
  source "file" { path = "deploy.hcl" }
}
`, strings.Join(endpoints, ", "), name, shareLease), 0o600)
		sh.bastions[i] = b
	}
	s.hosts = [3]string{}
	f.deploy(s)
	return sh
}

// start begins a bastion's daemon on a machine of its own name: what is locked by another machine is not known to be dead.
func (b *bastion) start() {
	b.f.t.Helper()
	b.process = b.f.beginOf(func(ctx context.Context) *exec.Cmd {
		cmd := exec.CommandContext(ctx, "unshare", "--uts", "sh", "-c", `hostname "$0" && exec "$@"`, b.name, b.f.bin, "run", "-f", filepath.Join(b.dir, "kamald.hcl"), "--no-color")
		cmd.Dir, cmd.Env = b.dir, append(slices.Clone(b.f.env), "XDG_STATE_HOME="+b.dir)
		return cmd
	}, b.name)
}

// shared is what the tests read of what a bastion shows.
type shared struct {
	standing
	Leader *struct {
		Name string
		Self bool
	}
	Wanted *struct{ Version string }
	Doing  *struct {
		Kind, Version string
		Lines         []struct{ Kind string }
	}
}

// shows asks a bastion's socket; false when it does not answer.
func (b *bastion) shows() (s shared, ok bool) { return b.showsOf("shop") }

func (b *bastion) showsOf(app string) (s shared, ok bool) {
	ctx, cancel := context.WithTimeout(b.f.t.Context(), 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://kamald/v1/apps/"+app, nil)
	if err != nil {
		b.f.t.Fatal(err)
	}
	response, err := socketClient(b.socket).Do(request)
	if err != nil {
		return s, false
	}
	defer response.Body.Close()
	var answer struct{ App json.RawMessage }
	if json.NewDecoder(response.Body).Decode(&answer) != nil || json.Unmarshal(answer.App, &s) != nil || json.Unmarshal(answer.App, &s.standing) != nil {
		return s, false
	}
	return s, response.StatusCode == http.StatusOK
}

// leads tells whether a bastion says that it leads.
func (b *bastion) leads() bool {
	s, ok := b.shows()
	return ok && s.Leader != nil && s.Leader.Self
}

// leader waits for one that leads, and gives it and the other.
func (sh *sharing) leader() (leads, follows *bastion) {
	sh.t.Helper()
	sh.eventually("somebody leads", func() bool {
		for i, b := range sh.bastions {
			if b.leads() {
				leads, follows = b, sh.bastions[1-i]
				return true
			}
		}
		return false
	})
	return leads, follows
}

// propose has the files of both bastions name a version.
func (sh *sharing) propose(version string) {
	sh.t.Helper()
	for _, b := range sh.bastions {
		name := b.name + "/deploy.hcl"
		text, err := os.ReadFile(filepath.Join(sh.dir, name))
		if err != nil {
			sh.t.Fatal(err)
		}
		lines := strings.Split(string(text), "\n")
		for i, line := range lines {
			if strings.HasPrefix(line, "version = ") {
				lines[i] = fmt.Sprintf("version = %q", version)
			}
		}
		sh.write(name+".new", strings.Join(lines, "\n"), 0o600)
		if err := os.Rename(filepath.Join(sh.dir, name+".new"), filepath.Join(sh.dir, name)); err != nil {
			sh.t.Fatal(err)
		}
	}
}

// converged waits until a bastion shows a version as held, and nothing to do.
func (sh *sharing) converged(b *bastion, version string) {
	sh.t.Helper()
	last := ""
	for until := time.Now().Add(2 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
		s, ok := b.shows()
		if ok && s.Held != nil && s.Held.Version == version && s.Doing == nil && s.kinds() == "" {
			return
		}
		last = fmt.Sprintf("%+v", s)
		if time.Now().After(until) {
			sh.t.Fatalf("%s never shows %s as held: %s", b.name, version, last)
		}
	}
}

// created are the fences of the app's containers on a host in the order in which they were made, from a time on.
func (sh *sharing) created(h *lab.Host, since time.Time) (fences []int) {
	sh.t.Helper()
	out := sh.exec(h, "docker", "events", "--since", strconv.FormatInt(since.Unix(), 10), "--until", strconv.FormatInt(time.Now().Unix()+1, 10),
		"--filter", "type=container", "--filter", "event=create", "--format", `{{index .Actor.Attributes "service"}} {{index .Actor.Attributes "kamald.fence"}}`)
	for line := range strings.Lines(out) {
		service, fence, _ := strings.Cut(strings.TrimSpace(line), " ")
		if n, err := strconv.Atoi(fence); err == nil && service == "shop" {
			fences = append(fences, n)
		}
	}
	return fences
}

// neverTwoWriters holds the servers to what only one writer at a time leaves behind: no container was made under an older lock than one
// before it, and every release was recorded by one process.
func (sh *sharing) neverTwoWriters(since time.Time) {
	sh.t.Helper()
	for i := range sh.lab.Hosts {
		h := sh.host(i + 1)
		fences := sh.created(h, since)
		sh.t.Logf("%s: containers were made under the fences %v", h.Name, fences)
		if !slices.IsSorted(fences) {
			sh.t.Errorf("%s: a container was made under an older fence than the one before it: %v", h.Name, fences)
		}
	}
}

// begin releases what the files say by a hand, and starts both bastions. It returns when both show it.
func (sh *sharing) begin() (leads, follows *bastion) {
	sh.t.Helper()
	sh.must(0, "apply")
	for _, b := range sh.bastions {
		b.start()
	}
	leads, follows = sh.leader()
	sh.converged(leads, "v1")
	sh.converged(follows, "v1") // it shows what the other sees
	return leads, follows
}

// roundTrips logs what a look that finds nothing asks of the cluster.
func (sh *sharing) roundTrips() {
	sh.t.Helper()
	const looks = 5
	leads, _ := sh.leader()
	before := sh.asked()
	for range looks {
		response, err := socketClient(leads.socket).Post("http://kamald/v1/apps/shop/look", "application/json", strings.NewReader("{}"))
		if err != nil {
			sh.t.Fatal(err)
		}
		_ = response.Body.Close()
		time.Sleep(time.Second)
	}
	for method, n := range sh.asked() {
		if n -= before[method]; n > 0 {
			sh.t.Logf("in %d looks of %d s: %s %.0f times", looks, looks, method, n)
		}
	}
}

// asked counts the calls that the members have answered, by their method.
func (sh *sharing) asked() map[string]float64 {
	sh.t.Helper()
	families, err := prometheus.DefaultGatherer.Gather()
	if err != nil {
		sh.t.Fatal(err)
	}
	calls := map[string]float64{}
	for _, family := range families {
		if family.GetName() != "grpc_server_handled_total" {
			continue
		}
		for _, m := range family.GetMetric() {
			for _, label := range m.GetLabel() {
				if label.GetName() == "grpc_method" {
					calls[label.GetValue()] += m.GetCounter().GetValue()
				}
			}
		}
	}
	return calls
}

// records counts those of releases on the first host.
func (sh *sharing) records() int {
	out, err := sh.host(1).Exec(sh.t.Context(), "ls", "/root/.kamal/apps/shop/kamald/releases")
	if err != nil {
		return 0
	}
	return len(strings.Fields(out))
}

// underWay waits until a bastion is in the middle of a release: it has the locks, and has begun.
func (sh *sharing) underWay(b *bastion) {
	sh.t.Helper()
	sh.eventually("a release is under way", func() bool {
		s, ok := b.shows()
		return ok && s.Doing != nil && slices.ContainsFunc(s.Doing.Lines, func(l struct{ Kind string }) bool { return l.Kind == "begin" })
	})
}

// end asks both bastions to end, and wants them to do so well.
func (sh *sharing) end() {
	sh.t.Helper()
	for _, b := range sh.bastions {
		b.signal(syscall.SIGTERM)
		if r := b.wait(); r.code != 0 {
			sh.t.Errorf("%s ended with %d", b.name, r.code)
		}
	}
}
