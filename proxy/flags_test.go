package proxy

import (
	"slices"
	"testing"
)

func TestAListIsALineOfCSV(t *testing.T) {
	for text, want := range map[string][]string{
		"a,b":          {"a", "b"},
		" a , b ,":     {"a", "b"},
		"":             nil,
		`"a,b",c`:      {"a,b", "c"},
		`"say ""hi"""`: {`say "hi"`},
	} {
		var l listFlag
		if err := l.Set(text); err != nil || !slices.Equal(l, want) {
			t.Errorf("%q: %q, %v; want %q", text, l, err, want)
		}
	}
	for _, text := range []string{`"a`, `a"b`} {
		var l listFlag
		if err := l.Set(text); err == nil {
			t.Errorf("%q was taken as %q", text, l)
		}
	}
}
