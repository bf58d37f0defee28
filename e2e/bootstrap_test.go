package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/kamald/kamald/lab"
)

// Servers as they are rented: sshd and no Docker. What is fetched is fetched by the very commands that kamald runs anywhere; the
// site that they reach under the name of get.docker.com is the test's own, and its script installs the distribution's packages
// from a repository on the host.
func TestBareServers(t *testing.T) {
	f := newFixture(t)
	site := newScriptSite(t, f.lab)
	f.image("v1", nil)
	t.Run("a script that cannot be had whole is not run, and curl gets it", func(t *testing.T) {
		onlyLong(t)
		byCurl(f.within(t), site)
	})
	t.Run("a user with sudo, and wget alone", func(t *testing.T) {
		onlyLong(t)
		byWget(f.within(t), site)
	})
	t.Run("from bare to serving by one command", func(t *testing.T) { setUp(f.within(t), site) })
}

// bare makes a bare host that reaches the site, and a deploy.hcl for it.
func (f *fixture) bare(n int, site *scriptSite, user string) *lab.Bare {
	f.t.Helper()
	b := f.lab.Bare(f.t, n, "get.docker.com")
	site.trust(f, b)
	f.write("deploy.hcl", fmt.Sprintf(`service = "shop"
image   = "acme/shop"
readiness_delay = "1s"
drain_timeout = "5s"
registry {
  server   = %q
  username = %q
  password = secret("REGISTRY_PASSWORD")
}
ssh {
  user        = %q
  keys        = [%q]
  known_hosts = [%q]
  config      = false
}
host %q {
  address = %q
}
env {
  secret = ["API_TOKEN"]
}
role "web" {
  hosts = [%q]
}
proxy {
  app_port = 3000
}
`, f.lab.Registry.Server, f.lab.Registry.Username, user, f.lab.KeyFile, b.KnownHosts, b.Name, b.Address, b.Name), 0o600)
	return b
}

// wantBare wants nothing of Docker on a host, no file of an attempt to install it, and no script to have begun there.
func (f *fixture) wantBare(b *lab.Bare) {
	f.t.Helper()
	const left = `command -v docker dockerd containerd; ls -d /run/kamald-bootstrap* /var/tmp/script-* /var/run/docker.sock /root/.kamal /home/deploy/.kamal 2>/dev/null
dpkg -l docker.io 2>/dev/null | grep ^i; getent group docker; true`
	if found := f.exec(&b.Host, "sh", "-c", left); found != "" {
		f.t.Fatalf("%s is not bare any more:\n%s", b.Name, found)
	}
}

// says wants words in what a run has said.
func (r result) says(t *testing.T, words ...string) {
	t.Helper()
	for _, want := range words {
		if !strings.Contains(r.all(), want) {
			t.Errorf("it does not say %q", want)
		}
	}
}

func byCurl(f *fixture, site *scriptSite) {
	b := f.bare(1, site, "root")
	f.wantBare(b)
	for _, command := range []string{"plan", "apply"} {
		f.must(1, command, "--version", "v1").says(f.t, "Docker is not installed", "kamald setup", "kamald server bootstrap --hosts b1")
	}
	f.wantBare(b)

	half := strings.Index(theScript, "apt-get update")
	head := strings.Index(theScript, "do_install() {") // what comes before is a script of valid syntax
	for name, part := range map[string]struct {
		answer answering
		says   string
	}{
		"cut, with its length promised":      {cutOff(theScript, half), "curl ended with 18"},
		"cut, with no length promised":       {unmeasured(theScript[:half]), "no whole script"},
		"a shorter one, whole by its length": {whole(theScript[:half]), "no whole script"},
		"cut where its syntax is valid":      {whole(theScript[:head]), "is not the whole script"},
		"without its last line":              {whole(strings.TrimSuffix(theScript, "do_install\n")), "is not the whole script"},
		"refused":                            {nil, "403"},
	} {
		f.t.Run(name, func(t *testing.T) {
			f := f.within(t)
			site.serve(b, part.answer)
			f.must(1, "server", "bootstrap").says(t, part.says, "nothing was run")
			f.wantBare(b)
		})
	}
	f.t.Run("neither curl nor wget", func(t *testing.T) {
		f := f.within(t)
		f.exec(&b.Host, "mv", "/usr/bin/curl", "/usr/bin/curl.away")
		defer f.exec(&b.Host, "mv", "/usr/bin/curl.away", "/usr/bin/curl")
		asked := site.count(b)
		f.must(1, "server", "bootstrap").says(t, "neither curl nor wget", "--from-distro")
		f.wantBare(b)
		if site.count(b) != asked {
			t.Error("something has asked for the script all the same")
		}
	})
	site.serve(b, unmeasured(theScript))
	f.must(0, "server", "bootstrap").says(f.t, "fetched https://get.docker.com by curl", "b1  installed docker.io", "installed Docker by its official script")
	f.wantNoWorkspace(b)
	asked := site.count(b)
	var again struct {
		Schema int
		Done   []struct {
			Host, Did string
			Unchanged bool
		}
	}
	r := f.must(0, "server", "bootstrap", "--json")
	if err := json.Unmarshal([]byte(r.stdout), &again); err != nil || again.Schema != 1 || len(again.Done) != 1 || !again.Done[0].Unchanged {
		f.t.Errorf("a second time: %v: %+v", err, again)
	}
	if site.count(b) != asked {
		f.t.Error("a host that was ready was not left alone")
	}
	f.must(0, "audit").says(f.t, "install Docker by its official script")
}

func (f *fixture) wantNoWorkspace(b *lab.Bare) {
	f.t.Helper()
	if left := f.exec(&b.Host, "sh", "-c", "ls -d /run/kamald-bootstrap* 2>/dev/null; true"); left != "" {
		f.t.Errorf("there is still %s", left)
	}
}

func byWget(f *fixture, site *scriptSite) {
	b := f.bare(2, site, "deploy")
	f.exec(&b.Host, "sh", "-c", "apt-get update -qq && apt-get install -y -qq sudo wget >/dev/null 2>&1 && mv /usr/bin/curl /usr/bin/curl.away")
	site.serve(b, whole(theScript))
	f.must(1, "server", "bootstrap").says(f.t, "user deploy is not root", "a password is required", "NOPASSWD")
	f.wantBare(b)

	f.exec(&b.Host, "sh", "-c", "echo 'deploy ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/kamald")
	f.must(0, "server", "bootstrap").says(f.t, "fetched https://get.docker.com by wget", "added user deploy to the group docker")
	f.must(0, "plan", "--version", "v1")

	// Installed, and it does not run: told from one that is not installed, and started.
	f.exec(&b.Host, "service", "docker", "stop")
	f.must(1, "plan", "--version", "v1").says(f.t, "Docker is installed, and its engine is not running", "kamald server bootstrap --hosts b2")
	f.must(0, "server", "bootstrap").says(f.t, "started the engine")

	// It cannot run: its own last words are in the error.
	f.exec(&b.Host, "sh", "-c", `service docker stop; cp /etc/docker/daemon.json /root/daemon.json; echo '{"no-such-setting": true}' >/etc/docker/daemon.json`)
	f.must(1, "server", "bootstrap").says(f.t, "no-such-setting")
	f.exec(&b.Host, "sh", "-c", "mv /root/daemon.json /etc/docker/daemon.json")

	// Its user may not use it any more.
	f.exec(&b.Host, "sh", "-c", "service docker start && gpasswd -d deploy docker")
	f.must(1, "plan", "--version", "v1").says(f.t, "user deploy may not open /var/run/docker.sock", "kamald server bootstrap --hosts b2")
	f.must(0, "server", "bootstrap").says(f.t, "added user deploy to the group docker; Docker")
}

func setUp(f *fixture, site *scriptSite) {
	b := f.bare(3, site, "root")
	f.must(0, "setup", "--skip-push", "--version", "v1", "--from-distro").says(f.t, "installed Docker from the distribution's package", "Released shop v1")
	if site.count(b) != 0 {
		f.t.Error("the script was asked for although the distribution's package was wanted")
	}
	answer, err := http.Get("http://" + b.Address + "/")
	if err != nil {
		f.t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	if err != nil || !strings.Contains(string(body), "version=v1") {
		f.t.Errorf("it answers %s %q, %v", answer.Status, body, err)
	}
	f.must(0, "setup", "-P", "--version", "v1").says(f.t, "was ready", "Nothing to do")
	f.emptyTwice("v1")
}
