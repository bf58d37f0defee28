package release

import (
	"slices"
	"strings"
	"testing"
)

// redis is a file with an accessory, for destinations to be laid over.
const redis = least + `accessory "redis" {
  image = "redis:7"
  hosts = ["10.0.0.9"]
}
`

func TestADestinationTakesAnyBlockOfTheBaseAway(t *testing.T) {
	r := load(t, in(least+`
registry {
  username = "u"
  password = secret("P")
}
proxy_server { http_port = 8080 }
rollout {
  limit = 1
  canary {
    percent = 10
    hold    = "10m"
  }
}
host "b" { tags = ["eu"] }
tag "eu" {
  env { clear = { A = "1" } }
}
role "jobs" {
  hosts = ["b"]
  health { tcp = 9000 }
}
secrets {
  fetch "1password" { keys = ["A"] }
  fetch "1password" { keys = ["B"] }
}
destination "eu" {
  registry { remove = true }
  proxy_server { remove = true }
  rollout {
    canary { remove = true }
  }
  tag "eu" { remove = true }
  role "jobs" {
    health { remove = true }
  }
  secrets {
    fetch "1password" { remove = true }
  }
}
`, "eu"))
	jobs, _ := r.Role("jobs")
	if r.Registry != nil || r.ProxyServer.Declared || len(r.Tags) != 0 || jobs.Health != nil {
		t.Errorf("registry %v, proxy server %v, tags %v, health %v", r.Registry, r.ProxyServer.Declared, r.Tags, jobs.Health)
	}
	if len(r.Unbuilt) != 0 || r.Rollout.Canary != nil || r.Rollout.Limit.Count != 1 {
		t.Errorf("the canary and the fetches are still there: %v %v, or the limit is not: %v", r.Rollout.Canary, r.Unbuilt, r.Rollout.Limit)
	}
}

func TestRemovingWhatIsNotThereIsAnError(t *testing.T) {
	for text, want := range map[string]string{
		`role "wob" { remove = true }`:                 `role "wob" is not in the base, so there is nothing to take away. Did you mean "web"?`,
		`registry { remove = true }`:                   `registry is not in the base`,
		"role \"web\" {\n stop { remove = true }\n}":   `stop is not in the base`,
		"role \"web\" {\nremove = true\nhosts = []\n}": `role "web" is taken away here, and what else stands in the block would be lost`,
		`env { remove = true }`:                        `An env block has no attribute "remove"`,
		"role \"web\" { remove = false }":              "",
		"role \"jobs\" {\n hosts = [\"b\"]\n}":         "",
	} {
		got := said(in(least+"destination \"eu\" {\n"+text+"\n}\n", ""), Options{Destination: "eu"})
		if want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%s: said %q, want %q", text, got, want)
		}
	}
}

func TestAnEmptyListOfHostsEmptiesARoleThatTagsWouldFill(t *testing.T) {
	r := load(t, in(least+"host \"b\" { tags = [\"eu\"] }\nrole \"jobs\" { tags = [\"eu\"] }\ndestination \"x\" {\n  role \"jobs\" { hosts = [] }\n}\n", "x"))
	if jobs, _ := r.Role("jobs"); len(jobs.Hosts) != 0 {
		t.Errorf("hosts are %v", jobs.Hosts)
	}
}

func TestAHostThatIsOnlyTakenAwayIsNoHostOfTheDestinations(t *testing.T) {
	r := load(t, in(least+`
host "a" { tags = ["eu"] }
host "b" { tags = ["eu"] }
role "jobs" { tags = ["eu"] }
destination "x" {
  host "a" { remove = true }
}
`, "x"))
	if jobs, _ := r.Role("jobs"); !slices.Equal(jobs.Hosts, []string{"b"}) {
		t.Errorf("hosts are %v", jobs.Hosts)
	}
}

func TestARoleWithoutHostsIsAnErrorOnlyWhenNoDestinationGivesItAny(t *testing.T) {
	text := least + "role \"jobs\" {}\ndestination \"a\" {\n  role \"jobs\" { hosts = [\"b\"] }\n}\ndestination \"b\" {\n%s\n}\n"
	for _, destination := range []string{"", "a", "b"} {
		r, diags := Load("deploy.hcl", in(strings.ReplaceAll(text, "%s", ""), destination))
		if diags.Err() != nil {
			t.Errorf("with destination %q: %s", destination, diags.Error())
		}
		jobs, _ := r.Role("jobs")
		if got := len(jobs.Hosts); got != map[string]int{"a": 1}[destination] {
			t.Errorf("with destination %q it has %d hosts", destination, got)
		}
		if !strings.Contains(diags.Error(), `has no hosts in destination "b", and other destinations give it some`) {
			t.Errorf("the destination that runs none is not named: %s", diags.Error())
		}
	}
	if got := said(in(strings.ReplaceAll(text, "%s", "role \"jobs\" { hosts = [] }"), ""), Options{}); got != "" {
		t.Errorf("what is said on purpose is warned of: %s", got)
	}
	nowhere := least + "role \"jobs\" {}\ndestination \"a\" {}\n"
	if got := said(in(nowhere, ""), Options{}); !strings.Contains(got, `error: Role without hosts: role "jobs"`) {
		t.Errorf("said %q", got)
	}
}

func TestAnAccessoryWithoutHostsIsAnErrorOnlyWhenNoDestinationGivesItAny(t *testing.T) {
	base := least + "accessory \"redis\" { image = \"redis:7\" }\n"
	for text, want := range map[string]string{
		"destination \"a\" {\n accessory \"redis\" { hosts = [\"x\"] }\n}\n":   "",
		"destination \"a\" {\n accessory \"redis\" { roles = [\"web\"] }\n}\n": "",
		"destination \"a\" {\n accessory \"redis\" { hosts = [] }\n}\n":        "error: One place",
		"destination \"a\" {}\n": "error: One place",
	} {
		got := said(in(base+text, ""), Options{})
		if want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%s: said %q, want %q", text, got, want)
		}
	}
}

func TestOneAccessoryOfTwoDestinationsIsAnErrorUnlessShared(t *testing.T) {
	with := func(body string) string { return redis + "destination \"staging\" {\n" + body + "\n}\n" }
	shared := strings.Replace(redis, `image = "redis:7"`, "image = \"redis:7\"\n  shared = true", 1)
	for name, test := range map[string]struct{ text, want string }{
		"inherited as it is":          {with(""), `accessory "redis" in destination "staging" is the container shop-redis on host "10.0.0.9", and so it is in the file without a destination`},
		"on other hosts":              {with(`accessory "redis" { hosts = ["10.0.1.9"] }`), ""},
		"under another name":          {with(`accessory "redis" { service = "shop-redis-staging" }`), ""},
		"taken away":                  {with(`accessory "redis" { remove = true }`), ""},
		"emptied":                     {with(`accessory "redis" { hosts = [] }`), ""},
		"another service":             {with(`service = "shop-staging"`), ""},
		"shared":                      {shared + "destination \"staging\" {}\n", ""},
		"shared on one side":          {with(`accessory "redis" { shared = true }`), "One container for two"},
		"the same host by address":    {with("host \"r\" { address = \"10.0.0.9\" }\naccessory \"redis\" { hosts = [\"r\"] }"), "One container for two"},
		"through roles":               {with("accessory \"redis\" {\n hosts = null\n roles = [\"web\"]\n}\nrole \"web\" { hosts = [\"10.0.0.9\"] }"), "One container for two"},
		"another accessory's name":    {with("accessory \"redis\" { remove = true }\naccessory \"cache\" {\n image = \"redis:7\"\n hosts = [\"10.0.0.9\"]\n service = \"shop-redis\"\n}"), `accessory "cache" in destination "staging"`},
		"two destinations":            {"require_destination = true\n" + redis + "destination \"a\" {}\ndestination \"b\" {}\n", `in destination "b" is the container shop-redis on host "10.0.0.9", and so it is in destination "a"`},
		"a base that is not deployed": {"require_destination = true\n" + redis + "destination \"a\" {}\n", ""},
	} {
		got := said(in(test.text, ""), Options{Destination: map[bool]string{true: "a"}[strings.HasPrefix(test.text, "require")]})
		if test.want == "" && got != "" || !strings.Contains(got, test.want) {
			t.Errorf("%s: said %q, want %q", name, got, test.want)
		}
	}
}

func TestADestinationsFileIsPointedAtByItsOwnName(t *testing.T) {
	files := map[string]string{"deploy.hcl": least, "deploy.staging.hcl": "role \"web\" {\n  hosst = []\n}\n"}
	got := said(memory(files), Options{})
	if !strings.Contains(got, `deploy.staging.hcl:2: error: Unknown attribute: A role block has no attribute "hosst". Did you mean "hosts"?`) {
		t.Errorf("said %s", got)
	}
}

func TestNullReturnsToTheDefaultAtEveryDepth(t *testing.T) {
	r := load(t, in(least+`
ssh { user = "deploy" }
host "10.0.0.1" { user = "ops" }
proxy {
  app_port = 3000
  healthcheck { path = "/health" }
}
role "jobs" {
  hosts   = ["b"]
  cmd     = ["x"]
  options = { memory = "1g", cpus = 1 }
}
destination "x" {
  host "10.0.0.1" { user = null }
  proxy {
    app_port = null
    healthcheck { path = null }
  }
  role "jobs" {
    cmd     = null
    options = { memory = null }
  }
}
`, "x"))
	web, jobs := r.Roles[0], r.Roles[1]
	host, _ := r.Host("10.0.0.1")
	if web.Proxy.AppPort != defaultAppPort || web.Proxy.Options.HealthPath != defaultHealthPath || jobs.Cmd != nil || len(jobs.Options) != 1 {
		t.Errorf("web %+v, jobs %+v", web.Proxy, jobs)
	}
	if host.SSH.User != "deploy" {
		t.Errorf("a host's null goes back to the ssh block's: %q", host.SSH.User)
	}
}
