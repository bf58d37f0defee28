package release

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

const laid = `
service = "shop"
image   = "acme/shop"
locals { domain = "shop.example.com" }
host "10.0.0.1" { tags = ["eu"] }
env {
  clear  = { LOG_LEVEL = "info", REGION = "eu" }
  secret = ["TOKEN", "KEY"]
}
proxy {
  hosts    = [local.domain, "www.${local.domain}"]
  app_port = 3000
  healthcheck { path = "/health" }
}
retain_containers = 7
role "web" { hosts = ["10.0.0.1"] }
role "workers" {
  tags = ["eu"]
  cmd  = ["bin/jobs"]
}
role "cron" { hosts = ["10.0.0.1"] }
destination "staging" {
  locals { domain = "staging.example.com" }
  host "10.0.1.1" { tags = ["eu"] }
  env { clear = { LOG_LEVEL = "debug", REGION = null, TOKEN = "plain" } }
  proxy {
    healthcheck { interval = "2s" }
  }
  retain_containers = null
  role "web" { hosts = ["10.0.1.1"] }
  role "cron" { remove = true }
  role "extra" { hosts = ["10.0.1.1"] }
}
destination "quiet" {
  role "workers" {
    hosts = []
    tags  = []
  }
}
`

func load(t *testing.T, opts Options) Release {
	t.Helper()
	r, diags := Load("deploy.hcl", opts)
	if err := diags.Err(); err != nil {
		t.Fatal(err)
	}
	return r
}

// in is options that see one file.
func in(text string, destination string) Options {
	opts := memory(map[string]string{"deploy.hcl": text})
	opts.Destination = destination
	return opts
}

func TestADestinationIsLaidOverTheBase(t *testing.T) {
	r := load(t, in(laid, "staging"))
	web, _ := r.Role("web")
	want := Env{Clear: map[string]string{"LOG_LEVEL": "debug", "TOKEN": "plain"}, Secrets: map[string]string{"KEY": "KEY"}}
	if diff := cmp.Diff(want, web.Env); diff != "" {
		t.Errorf("maps merge, null goes back, and a variable changes sides:\n%s", diff)
	}
	if got := web.Proxy.Options.Hosts; !slices.Equal(got, []string{"staging.example.com", "www.staging.example.com"}) {
		t.Errorf("the overlay's local does not reach the base: %v", got)
	}
	if o := web.Proxy.Options; o.HealthPath != "/health" || o.HealthInterval.String() != "2s" || web.Proxy.AppPort != 3000 {
		t.Errorf("unlabelled blocks do not merge field by field: %+v", o)
	}
	if r.RetainContainers != defaultRetain {
		t.Errorf("null leaves retain_containers at %d, want the default", r.RetainContainers)
	}
	var names []string
	for _, role := range r.Roles {
		names = append(names, role.Name)
	}
	if !slices.Equal(names, []string{"web", "workers", "extra"}) {
		t.Errorf("roles are %v", names)
	}
	workers, _ := r.Role("workers")
	if !slices.Equal(workers.Hosts, []string{"10.0.1.1"}) || !slices.Equal(workers.Cmd, []string{"bin/jobs"}) {
		t.Errorf("with host blocks of its own, tags select among those only: %v %v", workers.Hosts, workers.Cmd)
	}
}

func TestTheBaseIsNotTouchedByItsDestinations(t *testing.T) {
	r := load(t, in(laid, ""))
	web, _ := r.Role("web")
	if web.Env.Clear["LOG_LEVEL"] != "info" || web.Env.Secrets["TOKEN"] != "TOKEN" || web.Proxy.Options.Hosts[0] != "shop.example.com" {
		t.Errorf("the base has changed: %+v", web)
	}
	if r.RetainContainers != 7 || len(r.Roles) != 3 {
		t.Errorf("the base has changed: retain %d, %d roles", r.RetainContainers, len(r.Roles))
	}
}

func TestADestinationTakesABlockAwayWithAndWithoutALabel(t *testing.T) {
	text := "registry {\n  username = \"a\"\n  password = secret(\"P\")\n}\nproxy_server { http_port = 8080 }\n" +
		"role \"jobs\" {\n  hosts = [\"h\"]\n  proxy { hosts = [\"x.example.com\"] }\n}\n" +
		"destination \"eu\" {\n  registry { remove = true }\n  proxy_server { remove = true }\n  role \"jobs\" {\n    proxy { remove = true }\n  }\n}\n"
	base, eu := load(t, in(least+text, "")), load(t, in(least+text, "eu"))
	if base.Registry == nil || !base.ProxyServer.Declared || base.Roles[1].Proxy == nil {
		t.Errorf("the base has lost a block: %+v", base)
	}
	if eu.Registry != nil || eu.ProxyServer.Declared || eu.Roles[1].Proxy != nil {
		t.Errorf("the destination has kept a block: %+v", eu)
	}
	if got := said(in(least+"proxy { remove = true }\n", ""), Options{}); !strings.Contains(got, "Nothing to remove from") {
		t.Errorf("said %q", got)
	}
}

func TestAccessoriesMayBeAllThatThereIs(t *testing.T) {
	text := "service = \"infra\"\nimage = \"acme/infra\"\naccessory \"db\" {\n  image = \"pg:1\"\n  hosts = [\"h\"]\n}\n"
	if diags := Validate("deploy.hcl", in(text, "")); diags.Len() > 0 {
		t.Errorf("%s", diags.Error())
	}
	if r := load(t, in(text, "")); len(r.Roles) != 0 || r.PrimaryHost() != "h" {
		t.Errorf("release: %+v", r)
	}
}

func TestADestinationCanEmptyARole(t *testing.T) {
	r := load(t, in(laid, "quiet"))
	workers, ok := r.Role("workers")
	if !ok || len(workers.Hosts) != 0 {
		t.Errorf("workers has hosts %v", workers.Hosts)
	}
}

func TestAFileBesideDoesTheSameAsABlock(t *testing.T) {
	head, rest, _ := strings.Cut(laid, `destination "staging" {`)
	body, tail, _ := strings.Cut(rest, "\n}\n")
	beside := memory(map[string]string{"deploy.hcl": head + tail, "deploy.staging.hcl": body + "\n", "deploy.hcl.example": "x"})
	beside.Destination = "staging"
	if diff := cmp.Diff(load(t, in(laid, "staging")), load(t, beside)); diff != "" {
		t.Errorf("the file says something else than the block:\n%s", diff)
	}
}

func TestABlockAndAFileForOneDestinationAreAnError(t *testing.T) {
	got := said(memory(map[string]string{"deploy.hcl": laid, "deploy.staging.hcl": ""}), Options{Destination: "staging"})
	if !strings.Contains(got, `destination "staging" is a block here, at deploy.hcl:22, and the file deploy.staging.hcl too`) {
		t.Errorf("said %s", got)
	}
}

func TestAnUnknownDestinationListsTheKnownOnes(t *testing.T) {
	opts := in(laid, "")
	got := said(opts, Options{Destination: "stagng"})
	if !strings.Contains(got, `There is no destination "stagng". The known ones are "staging", "quiet". Did you mean "staging"?`) {
		t.Errorf("said %s", got)
	}
}

func TestARequiredDestinationMustBeGiven(t *testing.T) {
	text := "require_destination = true\n" + laid
	if got := said(in(text, ""), Options{}); !strings.Contains(got, "Destination required") {
		t.Errorf("said %s", got)
	}
	if got := said(in(text, ""), Options{Destination: "staging"}); got != "" {
		t.Errorf("with the destination it says %s", got)
	}
	if diags := Validate("deploy.hcl", in(text, "")); diags.Len() > 0 {
		t.Errorf("validate needs none, and says %s", diags.Error())
	}
}

func TestRolesMayHaveHostsInDestinationsOnly(t *testing.T) {
	text := "service = \"shop\"\nimage = \"acme/shop\"\nrole \"web\" {}\ndestination \"eu\" {\n  role \"web\" { hosts = [\"10.0.0.1\"] }\n}\n"
	if diags := Validate("deploy.hcl", in(text, "")); diags.Len() > 0 {
		t.Errorf("%s", diags.Error())
	}
	if got := load(t, in(text, "eu")).PrimaryHost(); got != "10.0.0.1" {
		t.Errorf("the primary host is %q", got)
	}
	if got := said(in(text, ""), Options{}); !strings.Contains(got, `role "web" has hosts in destinations only: give -d with one of "eu".`) {
		t.Errorf("said %s", got)
	}
}

func TestEveryDestinationIsCheckedWhicheverIsChosen(t *testing.T) {
	text := strings.Replace(laid, "    healthcheck", "    helthcheck", 1)
	for _, destination := range []string{"", "quiet", "staging"} {
		if got := said(in(text, ""), Options{Destination: destination}); strings.Count(got, `no block "helthcheck". Did you mean "healthcheck"?`) != 1 {
			t.Errorf("with destination %q it says %q", destination, got)
		}
	}
}

func TestAVariableThatChangesSidesIsOnOneAlone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		base, over := drawEnv(t, "base"), drawEnv(t, "over")
		once := overlay(base, over)
		for name := range once.get("clear").stringMap() {
			if slices.Contains(once.get("secret").strings(), name) {
				t.Fatalf("%s is both clear and secret", name)
			}
		}
	})
}

// drawEnv draws an env block in which no variable is both clear and secret.
func drawEnv(t *rapid.T, label string) *block {
	b := &block{spec: envSpec(""), attrs: map[string]*value{}}
	names := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"A", "B", "C", "D"}), 0, 4, rapid.ID[string]).Draw(t, label)
	split := rapid.IntRange(0, len(names)).Draw(t, label+" clear")
	if split > 0 {
		clear := &value{name: "clear", dict: map[string][]text{}}
		for _, name := range names[:split] {
			clear.dict[name] = []text{{s: label}}
		}
		b.attrs["clear"] = clear
	}
	if split < len(names) {
		secret := &value{name: "secret"}
		for _, name := range names[split:] {
			secret.list = append(secret.list, text{s: name})
		}
		b.attrs["secret"] = secret
	}
	return b
}
