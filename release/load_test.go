package release

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

const least = "service = \"shop\"\nimage = \"acme/shop\"\nrole \"web\" { hosts = [\"10.0.0.1\"] }\n"

func TestTheExampleIsValid(t *testing.T) {
	diags := Validate("../deploy.hcl.example", Options{})
	if diags.Len() > 0 {
		t.Fatalf("%s", diags.Error())
	}
	r, diags := Load("../deploy.hcl.example", Options{Git: commit})
	if diags.Len() > 0 || len(r.Unbuilt) > 0 {
		t.Fatalf("a new user's first file must plan: %v\n%s", r.Unbuilt, diags.Error())
	}
	src, err := os.ReadFile("../deploy.hcl.example")
	if err != nil || !bytes.Equal(Format(src), src) {
		t.Errorf("the example is not formatted (%v)", err)
	}
}

func TestALeastFileHasEveryDefault(t *testing.T) {
	r := load(t, in(least+"role \"jobs\" { hosts = [\"10.0.0.1\"] }\n", ""))
	web, jobs := r.Roles[0], r.Roles[1]
	if r.Version != "0123456789abcdef" || r.RetainContainers != 5 || r.DeployTimeout != 30*time.Second || r.ReadinessDelay != 7*time.Second ||
		r.RunDirectory != ".kamal" || r.Network != "kamal" || !r.Rollout.ParallelRoles || r.Rollout.Limit.Of(9) != 9 {
		t.Errorf("release: %+v", r)
	}
	if web.Stop.Grace != 10*time.Second || jobs.Stop.Grace != 30*time.Second {
		t.Errorf("graces are %v and %v, want 10s and the drain timeout", web.Stop.Grace, jobs.Stop.Grace)
	}
	if jobs.Proxy != nil || web.Proxy == nil || web.Proxy.AppPort != 80 || web.Restart != "unless-stopped" {
		t.Errorf("web: %+v", web)
	}
	o := web.Proxy.Options
	if o.HealthPath != "/up" || o.HealthInterval != time.Second || o.HealthTimeout != 5*time.Second || o.ResponseTimeout != 30*time.Second ||
		!o.ForwardHeaders || !o.BufferRequests || !o.BufferResponses || o.BufferMemory != 1<<20 || !o.StripPathPrefix ||
		!slices.Equal(o.PathPrefixes, []string{"/"}) || !slices.Equal(o.LogRequestHeaders, []string{"Cache-Control", "Last-Modified", "User-Agent"}) {
		t.Errorf("route: %+v", o)
	}
	if web.Logging.Driver != "json-file" || web.Logging.Options["max-size"] != "10m" {
		t.Errorf("logging: %+v", web.Logging)
	}
	p := r.ProxyServer
	if p.Declared || p.Name != "kamal-proxy" || p.Image != "kamald/proxy:1.0.0" || p.HTTPPort != 80 || p.HTTPSPort != 443 || !p.Publish {
		t.Errorf("proxy server: %+v", p)
	}
	s := r.Hosts[0].SSH
	if s.User != "root" || s.Port != 22 || !s.UserDefault || !slices.Equal(s.Config, []string{"~/.ssh/config"}) || s.DialLimit != 8 ||
		s.Keepalive != 30*time.Second || s.DNSRetries != 3 || !slices.Equal(s.KnownHosts, []string{"~/.ssh/known_hosts"}) {
		t.Errorf("ssh: %+v", s)
	}
}

func TestStopTimeoutAndGraceComeBeforeTheDefaults(t *testing.T) {
	r := load(t, in(least+"stop_timeout = \"20s\"\nrole \"a\" { hosts = [\"h\"] }\nrole \"b\" {\n hosts = [\"h\"]\n stop { grace = \"1m\" }\n}\n", ""))
	if a, b := r.Roles[1].Stop.Grace, r.Roles[2].Stop.Grace; a != 20*time.Second || b != time.Minute {
		t.Errorf("graces are %v and %v", a, b)
	}
}

func TestEnvironmentComesFromRootThenRoleThenTags(t *testing.T) {
	r := load(t, in(`
service = "shop"
image   = "acme/shop"
env {
  clear  = { A = "root", B = "root", C = "root", GONE = "root" }
  secret = ["S", "T:OTHER"]
}
tag "x" {
  env { clear = { C = "x", GONE = "x" } }
}
tag "y" {
  roles = ["web"]
  env {
    clear  = { C = "y", S = "now clear" }
  }
}
host "h" { tags = ["x", "y"] }
role "web" {
  hosts = ["h"]
  env {
    clear  = { B = "role" }
    remove = ["GONE"]
  }
}
role "jobs" { hosts = ["h"] }
`, ""))
	host, _ := r.Host("h")
	want := Env{Clear: map[string]string{"A": "root", "B": "role", "C": "y", "S": "now clear"}, Secrets: map[string]string{"T": "OTHER"}}
	if diff := cmp.Diff(want, r.EnvOn(r.Roles[0], host).trimmed()); diff != "" {
		t.Errorf("web:\n%s", diff)
	}
	want = Env{Clear: map[string]string{"A": "root", "B": "root", "C": "x", "GONE": "x"}, Secrets: map[string]string{"S": "S", "T": "OTHER"}}
	if diff := cmp.Diff(want, r.EnvOn(r.Roles[1], host).trimmed()); diff != "" {
		t.Errorf("jobs:\n%s", diff)
	}
}

func TestAReleaseSurvivesItsRecord(t *testing.T) {
	for _, destination := range []string{"", "staging"} {
		r, diags := Load("testdata/deploy.reference.hcl", Options{Git: commit, Destination: destination})
		if diags.HasErrors() {
			t.Fatal(diags)
		}
		data, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		var back Release
		if err := json.Unmarshal(data, &back); err != nil {
			t.Fatal(err)
		}
		r.Build, r.Reconcile, r.Hooks, r.Aliases = Build{}, Reconcile{}, Hooks{}, nil // how the image was made, what ran and who keeps it so stand in no record
		if diff := cmp.Diff(r, back); diff != "" {
			t.Errorf("destination %q comes back as another:\n%s", destination, diff)
		}
		if Digest(r) != Digest(back) {
			t.Error("the digest is another after a round trip")
		}
	}
}

func TestTheDigestSeesValuesAndNotPlaces(t *testing.T) {
	notBuilt(t, "accessory.shared")
	const asked = "accessory \"x\" {\n  image = \"redis:7\"\n  hosts = [\"10.0.0.1\"]\n  shared = true\n}\n"
	one := load(t, in(least+asked, ""))
	two := load(t, in("\n\n"+least+"\n"+asked, ""))
	if one.Unbuilt[0].Where == two.Unbuilt[0].Where || Digest(one) != Digest(two) {
		t.Error("moving lines changes the digest")
	}
	if three := load(t, in(least+"network = \"other\"\n", "")); Digest(three) == Digest(one) {
		t.Error("another network has the same digest")
	}
}

func TestTheVersionComesFromTheCallerThenTheFileThenGit(t *testing.T) {
	broken := in(least, "")
	broken.Git = func() (Git, error) { return Git{}, errors.New("no repository here") }
	if _, diags := Load("deploy.hcl", broken); !strings.Contains(diags.List()[0].Detail, "git cannot be read: no repository here. Give --version, or set version.") {
		t.Errorf("said %s", diags.Error())
	}
	broken.Version = "v9"
	if got := load(t, broken).Version; got != "v9" {
		t.Errorf("version is %q", got)
	}
	withFile := in(least+"version = \"v2\"\n", "")
	withFile.Git = broken.Git
	if got := load(t, withFile).Version; got != "v2" {
		t.Errorf("version is %q", got)
	}
	none := in(least, "")
	none.Git = nil
	if got := load(t, none).Version; got != "" {
		t.Errorf("version is %q, want none until it is resolved", got)
	}
}

func TestValidateAsksNothingOfTheWorld(t *testing.T) {
	opts := in(least+`
network = env("NET")
deploy_timeout = env("TIMEOUT", "1m")
volumes = split(",", file("volumes"))
run_directory = git.branch
proxy { hosts = yamldecode(file("hosts.yml")) }
registry {
  username = env("USER")
  password = secret("P")
}
role "jobs" {
  hosts   = split(",", env("JOBS"))
  options = { memory = env("MEM") }
}
`, "")
	opts.Env = func(string) (string, bool) { t.Error("the environment is read"); return "", false }
	opts.Git = func() (Git, error) { t.Error("git is asked"); return Git{}, nil }
	if diags := Validate("deploy.hcl", opts); diags.Len() > 0 {
		t.Errorf("%s", diags.Error())
	}
}

func TestFunctionsReadWhatIsThere(t *testing.T) {
	opts := memory(map[string]string{"dir/deploy.hcl": least + `
network = env("NET", "fallback")
labels = { a = upper(env("A")), b = file("b.txt"), c = git.short_sha, d = yamldecode("x: [1, 2]").x[1], e = jsondecode("{\"k\":\"v\"}").k, f = format("%s-%d", "n", 3), g = join("+", [for s in split(",", "p,q") : replace(s, "p", "r")]) }
`, "dir/b.txt": "from a file"})
	opts.Env = func(name string) (string, bool) { return "value of " + name, name == "A" }
	r, diags := Load("dir/deploy.hcl", opts)
	if diags.Len() > 0 {
		t.Fatal(diags)
	}
	want := map[string]string{"a": "VALUE OF A", "b": "from a file", "c": "0123456", "d": "2", "e": "v", "f": "n-3", "g": "r+q"}
	if diff := cmp.Diff(want, r.Roles[0].Labels); diff != "" || r.Network != "fallback" {
		t.Errorf("network %q, labels:\n%s", r.Network, diff)
	}
}

func TestKamalsSecretsAreReadWhereThereAreNoOthers(t *testing.T) {
	files := map[string]string{"deploy.hcl": least + "destination \"eu\" {}\n", ".kamal/secrets-common": "", ".kamal/secrets.eu": ""}
	opts := memory(files)
	opts.Destination = "eu"
	if got := load(t, opts).SecretFiles; !slices.Equal(got, []string{".kamal/secrets-common", ".kamal/secrets.eu"}) {
		t.Errorf("files are %v", got)
	}
	files[".kamald/secrets"] = ""
	if got := load(t, opts).SecretFiles; !slices.Equal(got, []string{".kamald/secrets", ".kamald/secrets.eu"}) {
		t.Errorf("files are %v", got)
	}
}

func TestARegistrysLoginIsRead(t *testing.T) {
	for username, want := range map[string]Registry{
		`"deploy"`:       {Server: "ghcr.io", Username: "deploy", PasswordSecret: "P"},
		`secret("USER")`: {Server: "ghcr.io", UsernameSecret: "USER", PasswordSecret: "P"},
	} {
		r := load(t, in(least+"registry {\nserver = \"ghcr.io\"\nusername = "+username+"\npassword = secret(\"P\")\n}\n", ""))
		if diff := cmp.Diff(&want, r.Registry); diff != "" {
			t.Errorf("%s:\n%s", username, diff)
		}
	}
}

// Engines list images without Docker Hub's name, and what is looked for among them is this one.
func TestImagesOfDockerHubAreNamedAsEnginesListThem(t *testing.T) {
	for _, server := range []string{"", "docker.io", "index.docker.io", "registry-1.docker.io"} {
		text := strings.Replace(least, "acme/shop", "library/shop", 1) + "registry {\nserver = \"" + server + "\"\n}\n"
		if r := load(t, in(text, "")); r.Registry == nil || r.Registry.Server != "" || r.Image() != "shop:0123456789abcdef" {
			t.Errorf("server %q: %+v, %s", server, r.Registry, r.Image())
		}
	}
	if r := load(t, in(strings.Replace(least, "acme/shop", "library/shop", 1), "")); r.Registry != nil || r.ImageName() != "shop" {
		t.Errorf("without a registry: %+v, %s", r.Registry, r.ImageName())
	}
	text := strings.Replace(least, "acme/shop", "library/shop", 1) + "registry { server = \"ghcr.io\" }\n"
	if r := load(t, in(text, "")); r.ImageName() != "ghcr.io/library/shop" {
		t.Errorf("elsewhere: %s", r.ImageName())
	}
}

func TestSSHConfigFilesAreTheUsualOneOthersOrNone(t *testing.T) {
	for config, want := range map[string]string{"": "~/.ssh/config", "true": "~/.ssh/config", "false": "", `"a"`: "a", `["a", "b"]`: "a b"} {
		text := least
		if config != "" {
			text += "ssh { config = " + config + " }\n"
		}
		r := load(t, in(text, ""))
		if got := strings.Join(r.SSH.Config, " "); got != want || strings.Join(r.Hosts[0].SSH.Config, " ") != want {
			t.Errorf("config = %s reads %q, want %q", config, got, want)
		}
	}
}

func TestAStringCommandIsSplitAsAShellWould(t *testing.T) {
	text := least + "role \"jobs\" {\n  hosts = [\"h\"]\n  cmd = \"bin/run --name 'two words' \\\"x y\\\" a\\\\ b *.rb ''\"\n}\n"
	want := []string{"bin/run", "--name", "two words", "x y", "a b", "*.rb", ""}
	if got := load(t, in(text, "")).Roles[1].Cmd; !slices.Equal(got, want) {
		t.Errorf("words are %q, want %q", got, want)
	}
}

func TestALimitIsAlwaysBetweenOneAndAll(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := Limit{Count: rapid.IntRange(0, 50).Draw(t, "count"), Percent: rapid.IntRange(0, 100).Draw(t, "percent")}
		total := rapid.IntRange(1, 40).Draw(t, "total")
		if n := limit.Of(total); n < 1 || n > total {
			t.Fatalf("%+v of %d is %d", limit, total, n)
		}
	})
}

func TestFormattingTwiceIsFormattingOnce(t *testing.T) {
	src := []byte("a=1\n  role \"x\"{\nhosts=[\"a\"] # why\n}\n")
	once := Format(src)
	if bytes.Equal(once, src) || !bytes.Equal(Format(once), once) || !bytes.Contains(once, []byte("# why")) {
		t.Errorf("formatted:\n%s", once)
	}
}

func TestAFileThatWouldFillTheStackIsRefused(t *testing.T) {
	for _, text := range []string{strings.Repeat("(", 1<<13), strings.Repeat("[", 1<<13), strings.Repeat("!", 1<<13), strings.Repeat("1+", 1<<13)} {
		if got := said(in("network = "+text, ""), Options{}); !strings.Contains(got, "Too deep") {
			t.Errorf("%.5s… said %.200s", text, got)
		}
	}
}

func TestAliasesThatWouldFillTheMemoryAreRefused(t *testing.T) {
	bomb := "a0: &a0 [x, x]\n"
	for i := range 30 {
		bomb += fmt.Sprintf("a%d: &a%d [*a%d, *a%d]\n", i+1, i+1, i, i)
	}
	opts := memory(map[string]string{"deploy.hcl": least + "hooks_output = yamldecode(file(\"y\"))\n", "y": bomb})
	if _, diags := Load("deploy.hcl", opts); !strings.Contains(diags.Error(), "more than 20 aliases") {
		t.Errorf("said %s", diags.Error())
	}
}

func TestNullGoesBackToTheDefaultAndIsNotAValue(t *testing.T) {
	if got := said(in("service = null\nimage = \"acme/shop\"\nrole \"web\" { hosts = [\"h\"] }\n", ""), Options{}); !strings.Contains(got, "The file needs service") {
		t.Errorf("said %s", got)
	}
	if r := load(t, in(least+"network = null\n", "")); r.Network != "kamal" {
		t.Errorf("network is %q", r.Network)
	}
}

func TestTheTableOfTheUnbuiltNamesOnlyWhatTheVocabularyHas(t *testing.T) {
	for path := range unbuilt {
		spec := destinationSpec
		parts := strings.Split(path, ".")
		for _, name := range parts[:len(parts)-1] {
			if spec = spec.block(name); spec == nil {
				t.Fatalf("%s: no block %s", path, name)
			}
		}
		last := parts[len(parts)-1]
		if _, attr := spec.attr(last); !attr && spec.block(last) == nil {
			t.Errorf("%s: no %s", path, last)
		}
	}
}
