package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The lab's registry is known by its name to the lab's hosts alone, so the image is built by the engine of one of them, reached by
// SSH as `remote`, with the classic builder or whatever the docker command here has.

// repository makes the fixture's folder a git repository with the sample app in it, and lets Docker's ssh use the lab's key.
func (f *fixture) repository() {
	f.t.Helper()
	f.compile("../lab/app")
	ssh, err := exec.LookPath("ssh")
	if err != nil {
		f.t.Fatal(err)
	}
	f.write("bin/ssh", fmt.Sprintf("#!/bin/sh\nexec '%s' -F '%s/ssh_config' \"$@\"\n", ssh, f.dir), 0o700)
	f.write("ssh_config", fmt.Sprintf("Host *\n  IdentityFile %s\n  IdentitiesOnly yes\n  UserKnownHostsFile %s\n", f.lab.KeyFile, f.lab.KnownHosts), 0o600)
	f.env = append(f.env, "PATH="+filepath.Join(f.dir, "bin")+":"+os.Getenv("PATH"), "XDG_CACHE_HOME="+filepath.Join(f.dir, "cache"), "XDG_STATE_HOME="+filepath.Join(f.dir, "state"))
	f.write(".gitignore", "/*\n!/.gitignore\n!/Dockerfile\n!/deploy.hcl\n!/app\n", 0o600)
	f.git("init", "-q")
}

// compile makes the folder's program app of a package.
func (f *fixture) compile(source string) {
	f.t.Helper()
	compile := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", filepath.Join(f.dir, "app"), source)
	compile.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux")
	if said, err := compile.CombinedOutput(); err != nil {
		f.t.Fatalf("%v\n%s", err, said)
	}
}

func (f *fixture) git(args ...string) string {
	f.t.Helper()
	cmd := exec.Command("git", append([]string{"-C", f.dir, "-c", "user.name=test", "-c", "user.email=test@example.com"}, args...)...)
	said, err := cmd.CombinedOutput()
	if err != nil {
		f.t.Fatalf("git %v: %v\n%s", args, err, said)
	}
	return strings.TrimSpace(string(said))
}

// commit makes a commit whose app says that it is of a version, and gives the commit's name.
func (f *fixture) commit(version, more string) string {
	f.t.Helper()
	f.write("Dockerfile", fmt.Sprintf("FROM scratch\nCOPY app /bin/app\nENV PATH=/bin APP_VERSION=%s\nEXPOSE 3000\nCMD [\"app\", \"web\"]\n%s\n", version, more), 0o600)
	f.git("add", "Dockerfile", "deploy.hcl", "app", ".gitignore")
	f.git("commit", "-q", "-m", version)
	return f.git("rev-parse", "HEAD")
}

// buildAt is the build block of a host that builds.
func (f *fixture) buildAt(n int) string {
	return fmt.Sprintf("build {\n  remote = \"ssh://root@%s\"\n  local  = false\n}\n", f.host(n).Address)
}

type builtImage struct {
	Image, Version, Commit, ID, Digest string
	Pushed                             []string
	Size                               int64
}

func (f *fixture) json(said string, into any) {
	f.t.Helper()
	if err := json.Unmarshal([]byte(said), into); err != nil {
		f.t.Fatalf("%v in %s", err, said)
	}
}

// inRegistry is the digest that the registry has under a tag, "" when it has none.
func (f *fixture) inRegistry(tag string) string {
	f.t.Helper()
	request, err := http.NewRequestWithContext(f.t.Context(), http.MethodHead, "http://"+f.lab.Registry.Push+"/v2/acme/shop/manifests/"+tag, nil)
	if err != nil {
		f.t.Fatal(err)
	}
	request.SetBasicAuth(f.lab.Registry.Username, f.lab.Registry.Password.Reveal())
	request.Header.Set("Accept", "application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		f.t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode == http.StatusNotFound {
		return ""
	}
	if response.StatusCode != http.StatusOK {
		f.t.Fatalf("the registry answers %s", response.Status)
	}
	return response.Header.Get("Docker-Content-Digest")
}

// From a commit to the servers: built, pushed to a registry with a password, planned with its digest, applied; and then the next
// commit by one command.
func TestACommitComesToTheServersByTheRegistry(t *testing.T) {
	f := newFixture(t)
	f.deploy(settings{more: f.buildAt(1)})
	f.repository()
	one := f.commit("one", "")

	var made, pushed builtImage
	f.json(f.must(0, "build", "--json").stdout, &made)
	if made.Version != one || made.Commit != one || made.ID == "" || made.Digest != "" || len(made.Pushed) > 0 || made.Size < 1<<20 {
		t.Errorf("built %+v", made)
	}
	if got := f.inRegistry(one); got != "" {
		t.Errorf("building has pushed %s", got)
	}
	f.write(".kamald/secrets", "REGISTRY_PASSWORD=wrong\nAPI_TOKEN="+canary+"\n", 0o600)
	if refused := f.must(1, "push"); !strings.Contains(refused.stderr, "log in at "+f.lab.Registry.Server) || f.inRegistry(one) != "" {
		t.Error("a wrong password is not said")
	}
	f.write(".kamald/secrets", "REGISTRY_PASSWORD="+f.lab.Registry.Password.Reveal()+"\nAPI_TOKEN="+canary+"\n", 0o600)
	r := f.must(0, "push", "--json")
	f.json(r.stdout, &pushed)
	if pushed.ID != made.ID || pushed.Digest == "" || pushed.Digest != f.inRegistry(one) || len(pushed.Pushed) != 1 || !strings.Contains(r.stderr, "latest is not pushed: the engine is that of h1") {
		t.Errorf("pushed %+v, the registry has %s", pushed, f.inRegistry(one))
	}
	if said := f.exec(f.host(1), "ls", "-a", "/root"); strings.Contains(said, ".docker") {
		t.Error("the engine's host has settings of Docker's: somebody has logged in there")
	}

	if plan := f.must(2, "plan", "--detailed-exitcode", "--json"); !strings.Contains(plan.stdout, pushed.Digest) {
		t.Error("the plan is not of the digest that was pushed")
	}
	f.must(0, "apply")
	f.wantRunning(f.host(1), "shop-web-"+one)
	f.wantRunning(f.host(2), "shop-web-"+one)
	if said := f.exec(f.host(2), "docker", "image", "inspect", "-f", "{{.RepoDigests}}", made.Image); !strings.Contains(said, pushed.Digest) {
		t.Errorf("h2 has %s, pushed %s", said, pushed.Digest)
	}

	two := f.commit("two", "")
	f.must(1, "build", "-q", "--version", one).says(f.t, "is the name of another commit", "check that commit out to build it")
	f.must(1, "deploy", "--version", one[:10]).says(f.t, "nothing is released, for there is no image", "is the name of another commit")
	var report struct {
		Version, Outcome string
		Build            builtImage
	}
	f.json(f.must(0, "deploy", "--json").stdout, &report)
	if report.Version != two || report.Outcome != "succeeded" || report.Build.Version != two || report.Build.Digest != f.inRegistry(two) {
		t.Errorf("deployed %+v", report)
	}
	f.wantRunning(f.host(2), "shop-web-"+two)
	f.wantRunning(f.host(3), "shop-workers-"+two)
	f.wantLatest(two)
	f.emptyTwice(two)
	if again := f.must(0, "deploy", "-P"); !strings.Contains(again.stdout, "Nothing to do") || strings.Contains(again.stdout, "Built") {
		t.Error("-P builds, or there is something to do")
	}

	f.commit("three", "COPY nowhere /")
	if failed := f.must(1, "deploy"); !strings.Contains(failed.stderr, "nothing is released, for there is no image") || !strings.Contains(failed.stderr, "nowhere") {
		t.Error("the failure does not say what failed")
	}
	f.wantRunning(f.host(2), "shop-web-"+two)
}

// latest is pushed from an engine that is no host's of the release, and lent to the image there for that time only.
func TestLatestGoesToTheRegistryAndStaysOnNoEngine(t *testing.T) {
	onlyLong(t)
	f := newFixture(t)
	f.deploy(settings{more: f.buildAt(3)})
	f.rewrite("deploy.hcl", strings.NewReplacer("role \"workers\" {\n  hosts = [\"h3\"]", "role \"workers\" {\n  hosts = [\"h2\"]"))
	f.repository()
	for _, version := range []string{"one", "two"} {
		sha := f.commit(version, "")
		var made builtImage
		f.json(f.must(0, "build", "--push", "--json").stdout, &made)
		if got := f.inRegistry("latest"); got == "" || got != made.Digest || got != f.inRegistry(sha) || len(made.Pushed) != 2 {
			t.Errorf("%s: the registry's latest is %s; pushed %+v", version, got, made)
		}
		if on := f.latest(f.host(3), "latest"); on != "" {
			t.Errorf("%s: the engine has latest at %s", version, on)
		}
	}
}
