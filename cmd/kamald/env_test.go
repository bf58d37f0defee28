package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/kamald/kamald/release"
)

func TestHostsAreChosenByNamesAndGlobs(t *testing.T) {
	desired := release.Release{Hosts: []release.Host{{Name: "web-1"}, {Name: "web-2"}, {Name: "jobs-1"}}}
	for patterns, want := range map[string][]string{
		"":          nil,
		"jobs-1":    {"jobs-1"},
		"web-*":     {"web-1", "web-2"},
		"*-1,web-*": {"web-1", "jobs-1", "web-2"},
	} {
		var list []string
		if patterns != "" {
			list = strings.Split(patterns, ",")
		}
		got, err := chooseHosts(desired, list)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: %v, %v, want %v", patterns, got, err, want)
		}
	}
	for _, wrong := range []string{"db-1", "[", "web"} {
		if got, err := chooseHosts(desired, []string{wrong}); err == nil {
			t.Errorf("%q chose %v", wrong, got)
		}
	}
}
