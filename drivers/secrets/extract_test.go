package secrets

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/kamald/kamald/release"
)

func TestASecretIsExtractedByItsKeyOrItsEnd(t *testing.T) {
	for _, c := range []struct{ name, document, want, says string }{
		{name: "the key", document: `{"v/i/A":"long","A":"short"}`, want: "short"},
		{name: "the end of a key", document: `{"v/i/AA":"no","v/i/A":"first","v/j/A":"second"}`, want: "first"},
		{name: "an empty value", document: `{"A":""}`, want: ""},
		{name: "a number", document: `{"A": 5432}`, want: "5432"},
		{name: "an object", document: `{"A": {"b": [1, 2]}}`, want: `{"b":[1,2]}`},
		{name: "null is no value", document: `{"A":null,"x/A":"b"}`, want: "b"},
		{name: "escapes", document: `{"A":"a\nb\u00e9\"\\"}`, want: "a\nbé\"\\"},
		{name: "nothing of that name", document: `{"x/B":"` + canary + `"}`, says: "its keys are x/B"},
		{name: "only null", document: `{"A":null}`, says: "there is no secret A"},
		{name: "nothing", document: `{}`, says: "it is empty"},
		{name: "a list", document: `["` + canary + `"]`, says: "no JSON object"},
		{name: "garbage", document: canary, says: "no JSON object"},
		{name: "more than one", document: `{"A":"b"}{"A":"` + canary + `"}`, says: "no JSON object"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := Extract("A", c.document)
			switch {
			case c.says == "" && (err != nil || got.Reveal() != c.want):
				t.Errorf("got %q, %v, want %q", got.Reveal(), err, c.want)
			case c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), canary)):
				t.Errorf("said %v, want %q", err, c.says)
			}
		})
	}
}

func TestSecretsWhereANameBelongsAreNotNamed(t *testing.T) {
	const fetched = `{"v/i/A":"` + canary + `"}`
	if _, err := Extract(fetched, "A"); err == nil || strings.Contains(err.Error(), canary) || !strings.Contains(err.Error(), "the name first") {
		t.Errorf("swapped: %v", err)
	}
	at := installed(t, []string{"op"}, nil)
	if _, err := fetch(t.Context(), at, Query{Adapter: "1password", Account: "acme", Keys: []string{"v/i/A", fetched}}); err == nil || strings.Contains(err.Error(), canary) || !strings.Contains(err.Error(), "secrets extract") {
		t.Errorf("fetched by what was fetched: %v", err)
	}
}

func TestWhatIsFetchedIsExtractedAgain(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfNDistinct(rapid.StringMatching(`[a-zA-Z0-9 é"\\<>&\n]{1,8}`), 1, 5, rapid.ID).Draw(t, "values")
		var all []found
		for _, value := range values {
			all = append(all, found{key: "in/" + value, value: value})
		}
		for _, value := range values {
			if got, err := Extract(value, object(all)); err != nil || got.Reveal() != value {
				t.Fatalf("%q of %s: %q, %v", value, object(all), got.Reveal(), err)
			}
		}
	})
}

func TestALineReadsTheSameBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.OneOf(rapid.String(), rapid.StringMatching(`[a$'"\\#\n ({}nr=]*`)).Draw(t, "value")
		line, err := Line("K", release.NewSecret(value))
		if strings.Contains(value, "\r") {
			if err == nil {
				t.Fatalf("%q was written as %q", value, line.Reveal())
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		entries, err := parse("f", line.Reveal()+"\nL=x\n", false)
		if err != nil || len(entries) != 2 {
			t.Fatalf("%q: %v", line.Reveal(), err)
		}
		if got := (&dotenv{}).expand(entries[0]); got.secret != value {
			t.Fatalf("%q was read as %q", line.Reveal(), got.secret)
		}
	})
}

func TestANameThatNoFileCanHaveIsRefused(t *testing.T) {
	if _, err := Line("SSH key", release.NewSecret("x")); err == nil {
		t.Error("it was written")
	}
}

func FuzzExtract(f *testing.F) {
	for _, seed := range []string{`{"A":"b"}`, `{"v/A":null,"x/A":1}`, `{"A":{"a":[1]}}`, `{"A":"b"`, `[]`, `{"A":"b"}{`} {
		f.Add("A", seed)
	}
	f.Fuzz(func(t *testing.T, name, document string) {
		got, err := Extract(name, document)
		if err != nil {
			return
		}
		var all map[string]any
		if json.Unmarshal([]byte(document), &all) != nil {
			t.Fatalf("%q was extracted as %q from what is no object", name, got.Reveal())
		}
		if text, ok := all[name].(string); ok && text != got.Reveal() {
			t.Fatalf("got %q, want %q", got.Reveal(), text)
		}
	})
}

// FuzzExpand expands what needs no shell.
func FuzzExpand(f *testing.F) {
	for _, seed := range []string{"A=b\nK=$A", "K=\"${E}\\n$K\"", "K: 'x'\nexport K", "A=$E$E\nB=$A$A\nK=$B$B", "K=$(kamal secrets extract A '{\"A\":\"b\"}')"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 4096 {
			return
		}
		entries, err := parse("f", text, false)
		if err != nil || len(entries) > 8 || slices.ContainsFunc(entries, func(e entry) bool { return len(e.parts) > 6 }) { // each may be several times what stands above it
			return
		}
		d := &dotenv{at: surroundings{env: func(name string) (string, bool) { return "e", name == "E" }}, entries: entries}
		for _, e := range entries {
			for _, p := range e.parts {
				if p.kind == command && (secretsCall(p.text) == nil || strings.Contains(p.text, "fetch")) {
					return
				}
			}
		}
		for _, name := range d.names() {
			secret, ok, err := d.secret(name)
			if err == nil && !ok && len(d.unset) == 0 {
				t.Fatalf("%s came to nothing, and nothing says why", name)
			}
			if err != nil && ok || !ok && secret.Reveal() != "" {
				t.Fatalf("%s: %v, %v", name, ok, err)
			}
		}
	})
}
