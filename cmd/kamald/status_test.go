package main

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

func TestStatusShowsEachRoleOnEachHostAndHostsThatCouldNotBeSeen(t *testing.T) {
	desired := release.Release{Service: "shop", Version: "v2", PrimaryRole: "web",
		Hosts: []release.Host{{Name: "a"}, {Name: "b"}, {Name: "c"}},
		Roles: []release.Role{{Name: "web", Primary: true, Hosts: []string{"a", "b", "c"}}, {Name: "workers", Hosts: []string{"a"}}}}
	seen := state.Snapshot{App: desired.App(), Hosts: []state.Host{
		{Name: "a", Latest: "sha256:2", Proxy: state.Proxy{Name: "kamal-proxy", Running: true, Routes: []state.Route{{Name: "shop-web", Targets: []string{"aaaaaaaaaaaa:3000"}}}},
			Containers: []state.Container{
				{ID: "aaaaaaaaaaaaaaaa", Name: "shop-web-v2", ImageID: "sha256:2", Service: "shop", Role: "web", Status: state.StatusRunning, Health: "healthy"},
				{ID: "bbbbbbbbbbbbbbbb", Name: "shop-web-v1", ImageID: "sha256:1", Service: "shop", Role: "web", Status: state.StatusExited},
				{ID: "cccccccccccccccc", Name: "other-web-v1", Service: "other", Role: "web", Status: state.StatusRunning},
			}},
		{Name: "b", Unreachable: "dial: refused"},
		{Name: "c", Lock: &state.Lock{Owner: "ada@desk pid 7", Message: "deploying"}, Containers: []state.Container{ // its role's was removed
			{ID: "dddddddddddddddd", Name: "shop-web-v1", ImageID: "sha256:1", Service: "shop", Role: "web", Status: state.StatusExited},
		}},
	}}
	var out bytes.Buffer
	p := newProgram(&out, &bytes.Buffer{})
	if code := exitCode(p.showStatus(statusOf(desired, seen)), false); code != exitSkipped {
		t.Errorf("exit code %d, want %d", code, exitSkipped)
	}
	var got []string
	for line := range strings.Lines(out.String()) {
		got = append(got, strings.Join(strings.Fields(line), " "))
	}
	want := []string{"HOST ROLE VERSION STATE HEALTH CLASS LATEST PROXY", "a web v2 running healthy current yes yes", "a workers none", "b - unknown unreachable", "c web none",
		"b: unreachable: dial: refused", "c: locked by ada@desk pid 7 (deploying)"}
	if !slices.Equal(got, want) {
		t.Errorf("said\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
