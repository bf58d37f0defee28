package plan

import (
	"slices"
	"testing"
)

func TestBracesStandForEither(t *testing.T) {
	names := []string{"web", "workers", "web-1", "web-2", "db-eu", "{odd}"}
	for pattern, want := range map[string][]string{
		"w{eb,orkers}":        {"web", "workers"},
		"web{,-1}":            {"web", "web-1"},
		"{web-[12],db-*}":     {"web-1", "web-2", "db-eu"},
		"{w{eb,orkers},db-*}": {"web", "workers", "db-eu"},
		"web{-1":              nil,
		"{odd":                nil,
		`\{odd\}`:             {"{odd}"},
		"{web}":               {"web"},
		"w?b":                 {"web"},
	} {
		var got []string
		for _, name := range names {
			is, err := globs(pattern, name)
			if err != nil {
				t.Errorf("%s: %v", pattern, err)
			}
			if is {
				got = append(got, name)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s is %q, want %q", pattern, got, want)
		}
	}
}
