package plan_test

import (
	"strings"
	"testing"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

func TestAnImageIsHeldAgainstTheHostsPlatform(t *testing.T) {
	amd64, arm64 := state.Engine{OS: "linux", Arch: "amd64"}, state.Engine{OS: "linux", Arch: "arm64"}
	v7, v6 := state.Engine{OS: "linux", Arch: "arm", Variant: "v7"}, state.Engine{OS: "linux", Arch: "arm", Variant: "v6"}
	for _, c := range []struct {
		name     string
		engine   state.Engine
		image    string // platforms, separated by spaces
		platform string // the role's option
		says     string // "": it runs
	}{
		{"its own", amd64, "linux/amd64", "", ""},
		{"one of a list", arm64, "linux/amd64 linux/arm64/v8 linux/arm/v7", "", ""},
		{"a level of amd64 that no engine tells", amd64, "linux/amd64/v3", "", ""},
		{"32 bits on 64", amd64, "linux/386", "", ""},
		{"what the registry does not say", arm64, "", "", ""},
		{"an engine that does not say", state.Engine{}, "linux/amd64", "", ""},
		{"another", arm64, "linux/amd64", "", "is for linux/amd64, and the host is linux/arm64"},
		{"none of a list", amd64, "linux/arm64 linux/s390x", "", "is for linux/arm64, linux/s390x, and the host is linux/amd64"},
		{"32 bits on an ARM of 64", arm64, "linux/arm/v7", "", "the host is linux/arm64"},
		{"an older ARM", v7, "linux/arm/v6", "", ""},
		{"a newer ARM", v6, "linux/arm/v7", "", "the host is linux/arm/v6"},
		{"an ARM without a variant is the seventh", v6, "linux/arm", "", "is for linux/arm, and"},
		{"a list with an older ARM", v6, "linux/arm/v7 linux/arm/v6", "", ""},
		{"another system", amd64, "windows/amd64", "", "is for windows/amd64"},
		{"an emulator", arm64, "linux/amd64", "linux/amd64", ""},
		{"an emulator, with the architecture left out", arm64, "linux/amd64", "linux", ""},
		{"an emulator for something else", arm64, "linux/s390x", "linux/amd64", "asks for linux/amd64"},
		{"a platform that is the host's own, of a list", arm64, "linux/amd64 linux/arm64", "linux/arm64", ""},
		{"a platform of a list for an emulator", arm64, "linux/amd64 linux/arm64", "linux/amd64", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			role := release.Role{Name: "web", Hosts: []string{"h1"}}
			if c.platform != "" {
				role.Options = map[string][]string{"platform": {c.platform}}
			}
			other := release.Role{Name: "other", Hosts: []string{"h2"}}
			desired := release.Release{Service: "shop", Repository: "acme/shop", Version: "v1", Roles: []release.Role{role, other}}
			host := state.Host{Name: "h1", Engine: c.engine}
			problems := plan.WrongPlatform(desired, plan.Filter{}, host, strings.Fields(c.image))
			switch {
			case c.says == "" && len(problems) > 0:
				t.Errorf("it is refused: %+v", problems)
			case c.says != "" && (len(problems) != 1 || problems[0].Host != "h1" || problems[0].Role != "web" || !strings.Contains(problems[0].Summary, c.says) || problems[0].Next == ""):
				t.Errorf("%+v, want one that says %q", problems, c.says)
			}
			if out := plan.WrongPlatform(desired, plan.Filter{Roles: []string{"other"}}, host, strings.Fields(c.image)); len(out) > 0 {
				t.Errorf("out of scope: %+v", out)
			}
		})
	}
}

// Of a list an engine has one image.
func TestRolesOfOneHostTakeOnePlatformOfAList(t *testing.T) {
	role := func(name, platform string, hosts ...string) release.Role {
		r := release.Role{Name: name, Hosts: hosts}
		if platform != "" {
			r.Options = map[string][]string{"platform": {platform}}
		}
		return r
	}
	list := []string{"linux/amd64", "linux/arm64"}
	for _, c := range []struct {
		name      string
		web, jobs release.Role
		platforms []string
		takes     string
		says      string // of role jobs or web on h1
	}{
		{"neither asks", role("web", "", "h1"), role("jobs", "", "h1"), list, "", ""},
		{"both ask for the same", role("web", "linux/amd64", "h1"), role("jobs", "linux/amd64", "h1"), list, "linux/amd64", ""},
		{"one asks for the host's own", role("web", "", "h1"), role("jobs", "linux/arm64", "h1"), list, "linux/arm64", ""},
		{"one asks for another", role("web", "", "h1"), role("jobs", "linux/amd64", "h1"), list, "linux/amd64", "web: is taken for linux/amd64 there, as another role's option platform asks, and this one needs it for linux/arm64"},
		{"they ask for two", role("web", "linux/amd64", "h1"), role("jobs", "linux/arm64", "h1"), list, "linux/amd64", "jobs: is taken for linux/amd64 there"},
		{"they are apart", role("web", "", "h1"), role("jobs", "linux/amd64", "h2"), list, "", ""},
		{"there is one image alone", role("web", "linux/amd64", "h1"), role("jobs", "linux/amd64", "h1"), list[:1], "linux/amd64", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			desired := release.Release{Service: "shop", Repository: "acme/shop", Version: "v1", Roles: []release.Role{c.web, c.jobs}}
			if got := plan.PullPlatform(desired, "h1"); got != c.takes {
				t.Errorf("h1 takes %q", got)
			}
			said := ""
			for _, p := range plan.WrongPlatform(desired, plan.Filter{}, state.Host{Name: "h1", Engine: state.Engine{OS: "linux", Arch: "arm64"}}, c.platforms) {
				said += p.Role + ": " + strings.TrimPrefix(p.Summary, "the image acme/shop:v1 ")
			}
			if !strings.HasPrefix(said, c.says) || c.says == "" && said != "" {
				t.Errorf("it says %q", said)
			}
		})
	}
}
