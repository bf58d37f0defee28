package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/kamald/kamald/lab"
)

// The scenarios of Kamal's own integration tests that no other test here plays, one after the other. docs/kamal-parity.md has the
// rows: T-01 (what was done, in its order), T-03, T-04, T-05, T-07 and T-11.
func TestKamalScenarios(t *testing.T) {
	f := newFixture(t)
	f.image("v1", nil)
	f.image("v2", nil)
	for _, part := range []struct {
		name string
		do   func(f *fixture)
	}{
		{"destinations have hosts of their own", destinationsOfTheirOwn},
		{"the configuration of one of them", configuration},
		{"two apps are behind one proxy, each by its name", twoApps},
		{"two roles of one host", rolesOfOneHost},
		{"what was done is told in its order", toldInOrder},
		{"commands by the names that the file has for them", aliases},
	} {
		if !t.Run(part.name, func(t *testing.T) { part.do(f.within(t)) }) {
			break // each begins with what the one before has left
		}
	}
}

// service writes the deploy.hcl of an app on the lab: its roles, and a block for each of these hosts.
func (f *fixture) service(name, roles string, hosts ...int) {
	f.t.Helper()
	blocks := ""
	for _, n := range hosts {
		blocks += fmt.Sprintf("host %q { address = %q }\n", f.host(n).Name, f.host(n).Address)
	}
	f.write("deploy.hcl", fmt.Sprintf(`service = %q
image = "acme/shop"
deploy_timeout = "5s"
drain_timeout = "5s"
readiness_delay = "300ms"
stop_timeout = "5s"
registry {
  server   = %q
  username = %q
  password = secret("REGISTRY_PASSWORD")
}
ssh {
  user        = "root"
  keys        = [%q]
  known_hosts = [%q]
  config      = false
}
%s%s
`, name, f.lab.Registry.Server, f.lab.Registry.Username, f.lab.KeyFile, f.lab.KnownHosts, blocks, roles), 0o600)
}

// version is what answers for a name on a host: its status, and the version that the app says.
func (f *fixture) version(h *lab.Host, host string) (int, string) {
	f.t.Helper()
	status, body := f.answer(h, host)
	_, rest, _ := strings.Cut(body, "version=")
	version, _, _ := strings.Cut(rest, "\n")
	return status, version
}

// wantVersion wants a version to answer for a name on a host.
func (f *fixture) wantVersion(h *lab.Host, host, version string) {
	f.t.Helper()
	if status, got := f.version(h, host); status != 200 || got != version {
		f.t.Fatalf("%s answers %d of version %q for %s, want %s", h.Name, status, got, host, version)
	}
}

func destinationsOfTheirOwn(f *fixture) {
	names := []any{f.host(1).Name, f.host(2).Name, f.host(3).Name}
	f.service("shop", fmt.Sprintf(`require_destination = true
proxy { app_port = 3000 }
role "web" {}
destination "staging" {
  proxy { hosts = ["staging.example.com"] }
  role "web" { hosts = [%q] }
}
destination "production" {
  proxy { hosts = ["shop.example.com"] }
  role "web" { hosts = [%q, %q] }
}`, names...), 1, 2, 3)
	f.says(f.must(1, "apply", "--version", "v1"), "destination", "staging", "production")
	f.must(0, "apply", "--version", "v1", "-d", "staging")
	f.must(0, "apply", "--version", "v2", "-d", "production")
	f.wantRunning(f.host(1), "shop-web-staging-v1")
	f.wantRunning(f.host(2), "shop-web-production-v2")
	f.wantRunning(f.host(3), "shop-web-production-v2")
	f.wantVersion(f.host(1), "staging.example.com", "v1")
	f.wantVersion(f.host(3), "shop.example.com", "v2")
	if status, _ := f.version(f.host(1), "shop.example.com"); status != 404 {
		f.t.Errorf("staging's host answers %d for production's name", status)
	}
	f.must(0, "plan", "--version", "v1", "-d", "staging", "--detailed-exitcode")
}

func configuration(f *fixture) {
	var said struct {
		Release struct {
			Service, Destination, Repository, Version string
			PrimaryRole                               string `json:"primary_role"`
			Registry                                  struct {
				Server         string
				PasswordSecret string `json:"password_secret"`
			}
			Roles []struct {
				Name  string
				Hosts []string
			}
		}
	}
	printed := f.must(0, "config", "--version", "v2", "-d", "production", "--json").stdout
	f.json(printed, &said)
	r := said.Release
	if r.Service != "shop" || r.Destination != "production" || r.Repository != "acme/shop" || r.Version != "v2" || r.PrimaryRole != "web" ||
		r.Registry.Server != f.lab.Registry.Server || r.Registry.PasswordSecret != "REGISTRY_PASSWORD" {
		f.t.Errorf("it is %+v", r)
	}
	if len(r.Roles) != 1 || r.Roles[0].Name != "web" || !slices.Equal(r.Roles[0].Hosts, []string{f.host(2).Name, f.host(3).Name}) {
		f.t.Errorf("the roles are %+v", r.Roles)
	}
	if strings.Contains(printed, f.lab.Registry.Password.Reveal()) {
		f.t.Error("the password is in it")
	}
}

// twoApps puts a till beside the shop's staging, and releases it again.
func twoApps(f *fixture) {
	before := f.containers(f.host(1))
	f.till(f.host(1).Name)
	f.must(0, "apply", "--version", "v1")
	proxy := f.proxyID(f.host(1))
	f.wantVersion(f.host(1), "till.example.com", "v1")
	f.must(0, "apply", "--version", "v2")
	f.wantVersion(f.host(1), "till.example.com", "v2")
	f.wantVersion(f.host(1), "staging.example.com", "v1")
	after := f.containers(f.host(1))
	if len(before) != 1 || len(after) != 1 || before[0].ID != after[0].ID || after[0].State != "running" {
		f.t.Errorf("the shop's containers were %v and are %v", before, after)
	}
	if f.proxyID(f.host(1)) != proxy {
		f.t.Error("it is another proxy")
	}
	f.must(0, "plan", "--version", "v2", "--detailed-exitcode")
}

// till is an app with two roles on one host.
func (f *fixture) till(host string) {
	f.t.Helper()
	f.store = filepath.Join(f.dir, "till.db")
	f.service("till", fmt.Sprintf(`proxy {
  app_port = 3000
  hosts    = ["till.example.com"]
}
role "web" { hosts = [%[1]q] }
role "workers" {
  hosts = [%[1]q]
  cmd   = ["app", "worker"]
}
rollout { parallel_roles = true }`, host), 1)
}

func rolesOfOneHost(f *fixture) {
	f.till(f.host(1).Name)
	names := strings.Fields(f.exec(f.host(1), "docker", "ps", "--filter", "label=service=till", "--format", "{{.Names}}"))
	slices.Sort(names)
	if !slices.Equal(names, []string{"till-web-v2", "till-workers-v2"}) {
		f.t.Fatalf("%s runs %v of the till", f.host(1).Name, names)
	}
	f.must(0, "app", "maintenance", "--message", "counting")
	if status, body := f.answer(f.host(1), "till.example.com"); status != 503 || !strings.Contains(body, "counting") {
		f.t.Errorf("in maintenance it answers %d: %.200s", status, body)
	}
	f.wantVersion(f.host(1), "staging.example.com", "v1")
	f.must(0, "app", "live")
	f.wantVersion(f.host(1), "till.example.com", "v2")
}

// toldInOrder reads the host's own audit file, and the store's history.
func toldInOrder(f *fixture) {
	f.till(f.host(1).Name)
	said := f.must(0, "audit", "--servers", "-n", "0").stdout
	at := 0
	for _, want := range []string{"Booted app version v1", "Released version v1 (release 1)", "Created till-web-v2", "Booted app version v2", "Switched traffic of till-web", "Stopped till-web-v1", "Released version v2 (release 2)"} {
		found := strings.Index(said[at:], want)
		if found < 0 {
			f.t.Fatalf("%q does not stand behind what was done before it in\n%s", want, said)
		}
		at += found
	}
	f.says(f.must(0, "history"), "v1", "v2")
	f.says(f.must(0, "status"), "workers", "v2")
}

// aliases are commands on the servers, quiet or not, with words that follow.
func aliases(f *fixture) {
	f.till(f.host(1).Name)
	text, err := os.ReadFile(filepath.Join(f.dir, "deploy.hcl"))
	if err != nil {
		f.t.Fatal(err)
	}
	f.write("deploy.hcl", string(text)+`
alias "what" { command = "app version" }
alias "worker-env" { command = "app exec --roles workers --reuse -q app env" }
alias "kernel" { command = "server exec -q uname" }
`, 0o600)
	f.says(f.must(0, "what"), "v2")
	f.says(f.must(0, "what", "--json"), `"schema"`)
	for want, words := range map[string][]string{
		"KAMAL_CONTAINER_NAME=till-workers-v2": {"worker-env", "KAMAL_CONTAINER_NAME"}, "Linux": {"kernel"}, strings.TrimSpace(f.exec(f.host(1), "uname", "-m")): {"kernel", "-m"},
	} {
		if out, said := f.execs(0, nil, words...); strings.TrimSpace(string(out)) != want || len(said) > 0 {
			f.t.Errorf("%v says %q %q, and not %q alone", words, out, said, want)
		}
	}
	f.must(1, "no-such-alias")
}
