package e2e

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// bastion writes a kamald.hcl that drives the fixture's app, and gives its path.
func (f *fixture) bastion(source, more string) string {
	f.t.Helper()
	f.write("bastion/shop.secrets", "REGISTRY_PASSWORD="+f.lab.Registry.Password.Reveal()+"\nHOOK=walrus\n", 0o600)
	f.write("bastion/kamald.hcl", fmt.Sprintf(`store { bolt = %q }
listen { socket = %q }
log {
  format = "json"
  level  = "debug"
}
app "shop" {
  %s
  secrets { files = ["shop.secrets"] }
  %s
}
`, f.store, f.store+".sock", source, more), 0o600)
	return filepath.Join(f.dir, "bastion/kamald.hcl")
}

// hooks is a receiver of webhooks.
type hooks struct {
	mu   sync.Mutex
	got  []string
	seen int // how many of them want has seen
	bad  []string
	post *httptest.Server
}

func receiveHooks(t *testing.T, key string) *hooks {
	h := &hooks{}
	h.post = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(io.LimitReader(r.Body, 1<<20))
		mac := hmac.New(sha256.New, []byte(key))
		mac.Write([]byte(r.Header.Get("X-Kamald-Timestamp") + "." + string(body)))
		var message struct {
			Kind, Summary string
			Over          bool
		}
		err := json.Unmarshal(body, &message)
		h.mu.Lock()
		defer h.mu.Unlock()
		if err != nil || r.Header.Get("X-Kamald-Signature") != "sha256="+hex.EncodeToString(mac.Sum(nil)) {
			h.bad = append(h.bad, string(body))
			return
		}
		if message.Over {
			message.Kind += " over"
		}
		h.got = append(h.got, message.Kind)
	}))
	t.Cleanup(h.post.Close)
	return h
}

func (h *hooks) kinds() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.got)
}

// A branch is what is wanted: a commit with another version is released, a broken one changes nothing, a pipeline's order goes before it, and
// people are told.
func TestADaemonFollowsABranchAndItsOrders(t *testing.T) {
	f := newFixture(t)
	for _, version := range []string{"v1", "v2", "v3"} {
		f.image(version, nil)
	}
	f.image("broken", map[string]string{"APP_BROKEN": "1", "BROKEN": "1"})
	f.deploy(settings{root: "version = \"v1\"", more: keeps})
	f.must(0, "apply")
	repository := f.branch()
	heard := receiveHooks(t, "walrus")
	file := f.bastion(fmt.Sprintf("source \"git\" {\n url = %q\n branch = \"production\"\n every = \"1s\"\n}", repository),
		fmt.Sprintf("notify \"webhook\" {\n url = %q\n secret = secret(\"HOOK\")\n}", heard.post.URL))
	d := f.drives("-f", file)
	defer d.end()
	f.proposes("v2", strings.NewReplacer("version = \"v1\"", "version = \"v2\""))
	f.eventually("v2 is released", func() bool { s := d.status(); return s.Held != nil && s.Held.Version == "v2" })
	f.wantLatest("v2")
	f.proposes("a mistake", strings.NewReplacer("service = \"shop\"", "servcie = \"shop\""))
	f.eventually("the mistake is said", func() bool { return strings.Contains(d.status().kinds(), "source") })
	f.exec(f.host(1), "docker", "rm", "-f", "shop-web-v2")
	f.eventually("what was good last is healed", func() bool { return serves(f.host(1), "v2") })
	f.proposes("mended", strings.NewReplacer("servcie = \"shop\"", "service = \"shop\""))
	f.eventually("the mistake is forgotten", func() bool { return d.status().kinds() == "" })
	r := f.must(0, "release", "v3", "--wait")
	if !strings.Contains(r.stdout, "Released shop v3") {
		t.Error("the order's report is not the release's")
	}
	f.wantLatest("v3")
	f.eventually("what the branch has waits", func() bool { return strings.Contains(d.status().kinds(), "held") })
	f.must(0, "status")
	f.must(0, "rollback")
	f.wantLatest("v2")
	f.must(0, "pause", "--for", "1h", "--reason", "looking at it", "--role", "workers")
	f.exec(f.host(3), "docker", "rm", "-f", "shop-workers-v2")
	f.eventually("the pause is respected", func() bool {
		return d.status().kinds() == "drifted paused" || d.status().kinds() == "drifted held paused"
	})
	f.must(3, "drift", "--server", f.store+".sock")
	f.must(0, "unpause", "--role", "workers")
	f.eventually("it is healed then", func() bool { return len(f.running(f.host(3))) == 1 })
	f.must(0, "resume")
	f.eventually("people were told", func() bool { return slices.Contains(heard.kinds(), "held") })
	for _, kind := range []string{"released", "healed", "drifted"} {
		if !slices.Contains(heard.kinds(), kind) {
			t.Errorf("nobody was told %s: %v", kind, heard.kinds())
		}
	}
	if len(heard.bad) > 0 {
		t.Errorf("not signed: %v", heard.bad)
	}
}

// branch makes a bare repository with the fixture's file on a branch, and a clone to commit in.
func (f *fixture) branch() string {
	f.t.Helper()
	bare := filepath.Join(f.dir, "shop.git")
	f.git("init", "--bare", "-q", "-b", "production", bare)
	f.git("clone", "-q", bare, filepath.Join(f.dir, "clone"))
	f.proposes("v1", strings.NewReplacer())
	return bare
}

// proposes changes the file in the clone and pushes it.
func (f *fixture) proposes(message string, change *strings.Replacer) {
	f.t.Helper()
	clone := filepath.Join(f.dir, "clone")
	text, err := os.ReadFile(filepath.Join(clone, "deploy.hcl"))
	if err != nil {
		if text, err = os.ReadFile(filepath.Join(f.dir, "deploy.hcl")); err != nil {
			f.t.Fatal(err)
		}
	}
	f.write("clone/deploy.hcl", change.Replace(string(text)), 0o600)
	f.git("-C", clone, "add", "deploy.hcl")
	f.git("-C", clone, "commit", "-q", "-m", message)
	f.git("-C", clone, "push", "-q", "origin", "HEAD:production")
}

// A host that reboots, an engine that is killed alone, and a link that is cut are seen, told of once at most, and healed once: nothing is
// made twice, and the log says when it began and when it was over.
func TestADaemonThroughWhatBefallsAHost(t *testing.T) {
	f := newFixture(t)
	f.image("v1", nil)
	f.deploy(settings{root: "version = \"v1\"", hosts: [3]string{1: `keepalive = "1s"`}, more: keeps})
	f.must(0, "apply")
	heard := receiveHooks(t, "walrus")
	file := f.bastion(fmt.Sprintf("source \"file\" { path = %q }", filepath.Join(f.dir, "deploy.hcl")),
		fmt.Sprintf("notify \"webhook\" {\n url = %q\n secret = secret(\"HOOK\")\n}", heard.post.URL))
	d := f.drives("-f", file)
	defer d.end()
	h := f.host(2)
	well := func() bool { return d.status().kinds() == "" && serves(h, "v1") && len(f.running(h)) == 1 }
	id := f.containers(h, "name=shop-web-v1")[0].ID
	same := func(after string) {
		t.Helper()
		if now := f.containers(h); len(now) != 1 || now[0].ID != id {
			t.Errorf("after %s there is %v, and not the container that was there before", after, now)
		}
	}
	restart := func(what, signal string) {
		t.Helper()
		before := strings.TrimSpace(f.exec(h, "pgrep", "-x", "dockerd"))
		f.exec(h, "pkill", "-"+signal, "-x", "dockerd")
		f.eventually("another engine answers", func() bool {
			now, err := h.Exec(t.Context(), "sh", "-c", "docker version >/dev/null && pgrep -x dockerd")
			return err == nil && strings.TrimSpace(now) != before
		})
		f.eventually("the app is back with its engine", well)
		same(what)
	}

	must(t, h.Restart(t.Context()))
	f.eventually("the host is back", well)
	same("a reboot")
	restart("a restart of the engine", "TERM")   // it ends its containers first, one after another, and brings them back
	restart("an engine that was killed", "KILL") // it leaves them ended: by its books somebody has stopped them
	heard.want(t, "restarts", 1, "drifted", "drifted", "healed", "healed")

	lines := d.conditionLines("unreachable")
	since := strings.TrimSpace(f.exec(h, "date", "+%s"))
	must(t, h.Cut(t.Context()))
	cut := time.Now()
	f.eventually("the host is missed", func() bool { return strings.Contains(d.status().kinds(), "unreachable") })
	f.exec(h, "docker", "rm", "-f", "shop-web-v1")
	time.Sleep(time.Until(cut.Add(time.Duration(count(5, 90)) * time.Second)))
	must(t, h.Heal(t.Context()))
	f.eventually("what was removed meanwhile is back", well)
	// An outage that people were told of is over when it was for a minute; events are asked for up to a whole second.
	time.Sleep(time.Duration(count(1, 70)) * time.Second)
	events := f.exec(h, "docker", "events", "--since", since, "--until", strings.TrimSpace(f.exec(h, "date", "+%s")), "--filter", "type=container",
		"--filter", "event=create", "--format", "{{.Actor.Attributes.name}}")
	if made := strings.Fields(events); !slices.Equal(made, []string{"shop-web-v1"}) {
		t.Errorf("after a cut were made: %v", made)
	}
	if long() { // after a minute it is worth telling
		heard.want(t, "a cut", 4, "drifted", "healed", "unreachable", "unreachable over")
	} else {
		heard.want(t, "a cut", 2, "drifted", "healed")
	}
	if began, over := d.conditionLines("unreachable").since(lines); began != 1 || over != 1 {
		t.Errorf("the log says %d times that the host is out of reach, and %d times that this is over", began, over)
	}
}

// want wants people to have been told of nothing but these since it was called last, and of so many of them at least. It waits a moment
// for what comes late.
func (h *hooks) want(t *testing.T, after string, least int, most ...string) {
	t.Helper()
	time.Sleep(2 * time.Second)
	h.mu.Lock()
	defer h.mu.Unlock()
	told, left := h.got[h.seen:], slices.Clone(most)
	h.seen = len(h.got)
	t.Logf("after %s people were told %q", after, told)
	for _, kind := range told {
		at := slices.Index(left, kind)
		if at < 0 {
			t.Errorf("after %s people were told %q, and at most %q were to be", after, told, most)
			return
		}
		left = slices.Delete(left, at, at+1)
	}
	if len(told) < least {
		t.Errorf("after %s people were told only %q of %q", after, told, most)
	}
}

// conditionLines counts the lines of a daemon's log that say that a condition begins or is over.
type conditionLines struct{ began, over int }

func (c conditionLines) since(before conditionLines) (began, over int) {
	return c.began - before.began, c.over - before.over
}

// conditionLines counts those of a kind; "" for all.
func (d *daemon) conditionLines(kind string) (lines conditionLines) {
	d.t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	for line := range strings.Lines(d.stderr.String()) {
		var said struct {
			Condition string
			Over      bool
		}
		if json.Unmarshal([]byte(line), &said) != nil || said.Condition == "" || kind != "" && said.Condition != kind {
			continue
		}
		if said.Over {
			lines.over++
		} else {
			lines.began++
		}
	}
	return lines
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Whenever the daemon is killed, its store is whole, and what it said to be recorded is there.
func TestADaemonThatIsKilledLosesNothing(t *testing.T) {
	f := newFixture(t)
	f.image("v1", nil)
	f.image("v2", nil)
	f.deploy(settings{root: "version = \"v1\"", more: keeps})
	f.must(0, "apply")
	first := f.drives() // whose store is new only reports for a while, and one that is killed meanwhile leaves it new
	f.eventually("the servers are known", func() bool { return first.status().kinds() == "" })
	first.end()
	kills, newest, heard := count(4, 200), 0, 0
	for n := range kills {
		d := &daemon{f.begin("run"), f}
		if running := f.running(f.host(1)); n%2 == 0 && len(running) > 0 {
			_, _ = f.host(1).Exec(t.Context(), "docker", "rm", "-f", running[0]) // the daemon may have been quicker
		}
		if n%4 == 1 {
			f.rewrite("deploy.hcl", strings.NewReplacer("version = \"v1\"", "version = \"v2\"", "version = \"v2\"", "version = \"v1\""))
		}
		life := 2500
		if n%4 == 2 { // what was proposed before has a chance to be released
			life = 6000
		}
		time.Sleep(time.Duration(n*137%life) * time.Millisecond)
		if s := d.status(); s.Held != nil {
			newest, heard = max(newest, s.Held.Number), heard+1
		}
		d.signal(syscall.SIGKILL)
		d.wait()
		f.must(0, "store", "check")
		if held := f.newestRelease(); held < newest {
			t.Fatalf("release %d was said to be held, and the newest that is known is %d", newest, held)
		}
	}
	t.Logf("of %d daemons that were killed %d had said what is held, and release %d is the newest", kills, heard, newest)
	if long() && newest < kills/20 {
		t.Errorf("hardly anything was released")
	}
	d := f.drives()
	f.eventually("all is well in the end", func() bool {
		k := d.status().kinds()
		return (k == "" || k == "held") && len(f.running(f.host(1))) == 1
	})
	d.end()
}

// newestRelease is the number of the newest release that the store knows.
func (f *fixture) newestRelease() int {
	f.t.Helper()
	r := f.run("history", "--json", "--no-refresh")
	var answer struct {
		Releases []struct{ Number int } `json:"releases"`
	}
	if err := json.Unmarshal([]byte(r.stdout), &answer); err != nil || len(answer.Releases) == 0 {
		f.t.Fatalf("history --json: %v", err)
	}
	n := 0
	for _, one := range answer.Releases {
		n = max(n, one.Number)
	}
	return n
}
