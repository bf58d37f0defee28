package e2e

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// A clear variable that changed is named, and the container replaced; a tag's variable reaches only its hosts.
func TestClearVariables(t *testing.T) {
	f := newFixture(t)
	tagged := settings{hosts: [3]string{"", "  tags = [\"tuned\"]", "  tags = [\"tuned\"]"}}
	tagged.more = "tag \"tuned\" {\n  roles = [\"web\"]\n  env {\n    clear = { ARENA = \"2\" }\n  }\n}"
	f.deploy(tagged)
	f.image("v1", nil)
	f.must(0, "apply", "--version", "v1")
	for n, want := range []bool{false, true, false} {
		if got := slices.Contains(f.containers(f.host(n + 1))[0].Env, "ARENA=2"); got != want {
			t.Errorf("%s has the tag's variable: %v, want %v", f.host(n+1).Name, got, want)
		}
	}
	tagged.web = "  env {\n    clear = { LOG_LEVEL = \"debug\" }\n  }"
	f.deploy(tagged)
	if plan := f.must(2, "plan", "--version", "v1", "--detailed-exitcode"); !strings.Contains(plan.stdout, "env LOG_LEVEL") || strings.Contains(plan.stdout, "workers-v1") {
		t.Error("the plan does not name the variable, or names what does not change")
	}
	load := startLoad(t, 50, time.Minute, f.host(1), f.host(2))
	f.must(0, "apply", "--version", "v1")
	load.end(t)
	f.emptyTwice("v1")
	for _, c := range f.containers(f.host(1)) {
		if c.State == "running" && !slices.Contains(c.Env, "LOG_LEVEL=debug") {
			t.Errorf("%s runs without the variable", c.Name)
		}
	}
}

// A secret that changed on the host is a change that the plan shows without its value; a planted one is found nowhere.
func TestSecrets(t *testing.T) {
	f := newFixture(t)
	f.deploy(settings{})
	f.image("v1", nil)
	printed := f.must(0, "apply", "--version", "v1", "-v").all()
	if !slices.Contains(f.containers(f.host(1))[0].Env, "API_TOKEN="+canary) {
		t.Fatal("the container does not have the secret")
	}
	second := "ocelot-" + canary
	f.write(".kamald/secrets", "REGISTRY_PASSWORD="+f.lab.Registry.Password.Reveal()+"\nAPI_TOKEN="+second+"\n", 0o600)
	differs := f.must(2, "env", "diff", "--detailed-exitcode")
	if strings.Count(differs.stdout, "API_TOKEN has another value on the host") != 3 {
		t.Error("env diff does not name the secret on each host")
	}
	printed += differs.all() + f.must(0, "env", "push", "-v").all()
	differs = f.must(2, "env", "diff", "--detailed-exitcode", "--json")
	if strings.Count(differs.stdout, `"change": "stale"`) != 3 {
		t.Error("env diff does not say that what runs has the old value")
	}
	printed += differs.all()
	if err := os.Remove(filepath.Join(f.dir, ".kamald/secrets")); err != nil { // from here on, nothing but the host knows it
		t.Fatal(err)
	}
	plan := f.must(2, "plan", "--version", "v1", "--detailed-exitcode", "-v")
	if !strings.Contains(plan.stdout, "secret API_TOKEN") {
		t.Error("the plan does not name the secret")
	}
	printed += plan.all() + f.must(2, "plan", "--version", "v1", "--json", "--detailed-exitcode").all()
	printed += f.must(0, "apply", "--version", "v1", "-v").all()
	f.emptyTwice("v1")
	if differs := f.must(0, "env", "diff"); strings.Count(differs.stdout, "not at hand here") != 3 {
		t.Error("env diff does not say that it cannot compare")
	}
	for _, c := range f.containers(f.host(1)) {
		if c.State == "running" && !slices.Contains(c.Env, "API_TOKEN="+second) {
			t.Error("the container does not have the new secret")
		}
	}
	f.noCanary("what the program printed", printed)
	f.noCanaryInFiles()
	f.noCanaryOnHosts()
}

func (f *fixture) noCanary(where, text string) {
	f.t.Helper()
	if i := strings.Index(text, canary); i >= 0 {
		f.t.Errorf("the secret is in %s: …%.200s", where, text[max(0, i-60):])
	}
}

// noCanaryInFiles looks through the store and all else in the folder.
func (f *fixture) noCanaryInFiles() {
	f.t.Helper()
	err := filepath.WalkDir(f.dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		f.noCanary(path, string(data))
		return err
	})
	if err != nil {
		f.t.Error(err)
	}
}

// noCanaryOnHosts looks through records, audit files, labels, process arguments and logs; the env files are where it may be.
func (f *fixture) noCanaryOnHosts() {
	f.t.Helper()
	for i := range f.lab.Hosts {
		h := &f.lab.Hosts[i]
		files := f.exec(h, "sh", "-c", "grep -rl "+canary+" /root/.kamal | grep -v -e '/env/roles/' -e '/env/accessories/' || true")
		if strings.TrimSpace(files) != "" {
			f.t.Errorf("%s: the secret is in %s", h.Name, files)
		}
		f.noCanary(h.Name+": ps", f.exec(h, "ps", "-eww", "-o", "args"))
		for _, c := range f.containers(h) {
			for name, value := range c.Labels {
				f.noCanary(h.Name+": label "+name, value)
			}
			f.noCanary(h.Name+": logs of "+c.Name, f.exec(h, "docker", "logs", c.ID))
		}
		if modes := f.exec(h, "sh", "-c", "stat -c '%a %n' /root/.kamal/apps/shop/env/roles /root/.kamal/apps/shop/env/roles/*.env"); !strings.HasPrefix(modes, "700 ") || strings.Count(modes, "600 ") != 1 {
			f.t.Errorf("%s: modes of the env files: %s", h.Name, modes)
		}
	}
}

// Two destinations of one service on one host have their own tags, containers and retention.
func TestTwoDestinationsOnOneHost(t *testing.T) {
	onlyLong(t)
	f := newFixture(t)
	staging := "destination \"staging\" {\n  retain_containers = 1\n  proxy { hosts = [\"staging.example.com\"] }\n}\ndestination \"beta\" {\n  proxy { hosts = [\"beta.example.com\"] }\n}"
	f.deploy(settings{more: staging})
	for _, version := range []string{"v1", "v2", "v3", "v4"} {
		f.image(version, nil)
	}
	f.must(0, "apply", "--version", "v1", "-d", "beta")
	f.must(0, "apply", "--version", "v1")
	for _, version := range []string{"v1", "v2", "v3", "v4"} {
		f.must(0, "apply", "--version", version, "-d", "staging")
	}
	h := f.host(1)
	f.wantRunning(h, "shop-web-beta-v1", "shop-web-staging-v4", "shop-web-v1")
	for tag, want := range map[string]string{"latest": "v1", "latest-beta": "v1", "latest-staging": "v4"} {
		if got := f.latest(h, tag); got != want {
			t.Errorf("%s is %q, want %q", tag, got, want)
		}
	}
	plain := f.containers(h, "label=destination=")
	if len(plain) != 1 || plain[0].Name != "shop-web-v1" {
		t.Errorf("label=destination= finds %v, want only shop-web-v1", plain)
	}
	if kept := f.containers(h, "label=destination=staging"); len(kept) != 2 {
		t.Errorf("staging keeps %d containers, want the current and one old", len(kept))
	}
	f.must(0, "plan", "--version", "v1", "--detailed-exitcode")
	f.must(0, "plan", "--version", "v4", "-d", "staging", "--detailed-exitcode")
}

// Values of several lines, empty ones and such with every special character arrive as they are, clear and secret.
func TestValuesArriveAsTheyAre(t *testing.T) {
	f := newFixture(t)
	f.image("v1", nil)
	odd := "a \"b\" 'c' $HOME ${X} `d` \\e # = é"
	f.write(".kamald/secrets", "REGISTRY_PASSWORD="+f.lab.Registry.Password.Reveal()+"\nAPI_TOKEN="+canary+
		"\nPEM=\"-----BEGIN-----\nline two\n\n-----END-----\n\"\nEMPTY=\nODD='"+strings.ReplaceAll(odd, "'", "")+"'\n", 0o600)
	role := "  env {\n    clear = {\n      LINES = \"one\\ntwo\\n\"\n      NOTHING = \"\"\n      STRANGE = %s\n      WHO = \"<${host_env(\"USER\")}>\"\n    }\n" +
		"    secret = [\"PEM\", \"EMPTY\", \"ODD\", \"OTHER_NAME:ODD\"]\n  }"
	quoted := "\"" + strings.NewReplacer("\\", "\\\\", "\"", "\\\"", "${", "$${").Replace(odd) + "\""
	f.deploy(settings{web: strings.Replace(role, "%s", quoted, 1)})
	f.must(0, "apply", "--version", "v1")
	env := f.containers(f.host(1))[0].Env
	plainer := strings.ReplaceAll(odd, "'", "")
	for _, want := range []string{"PEM=-----BEGIN-----\nline two\n\n-----END-----\n", "EMPTY=", "ODD=" + plainer, "OTHER_NAME=" + plainer,
		"LINES=one\ntwo\n", "NOTHING=", "STRANGE=" + odd, "WHO=<root>"} {
		if !slices.Contains(env, want) {
			t.Errorf("the container has no %q among\n%q", want, env)
		}
	}
	f.emptyTwice("v1")
	if differs := f.must(0, "env", "diff"); !strings.Contains(differs.stdout, "No secret differs") {
		t.Error("env diff finds something")
	}
}
