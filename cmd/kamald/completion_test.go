package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/kamald/kamald/state"
	"github.com/kamald/kamald/state/bolt"
)

// completions are what a shell is offered for a command line whose last word is being typed.
func completions(t *testing.T, args ...string) []string {
	t.Helper()
	var out, errs bytes.Buffer
	p := newProgram(&out, &errs)
	if code := p.run(append([]string{"__complete"}, args...)); code != 0 {
		t.Fatalf("%q ends with %d: %s", args, code, &errs)
	}
	var words []string
	for line := range strings.Lines(out.String()) {
		word, _, _ := strings.Cut(strings.TrimSpace(line), "\t")
		if word != "" && !strings.HasPrefix(word, ":") {
			words = append(words, word)
		}
	}
	return words
}

// released makes a store with releases of v1, v2, which failed, and v1.
func released(t *testing.T, path string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	store, err := bolt.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	app := state.App{Service: "shop"}
	for i, outcome := range []state.Outcome{state.OutcomeSucceeded, state.OutcomeFailed, state.OutcomeSucceeded} {
		r := state.Record{Schema: 1, App: app, Number: i + 1, Version: []string{"v1", "v2", "v1"}[i], Outcome: outcome}
		if err := store.SaveRelease(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestAShellIsOfferedWhatTheFileAndTheStoreHave(t *testing.T) {
	dir := t.TempDir()
	file, path := filepath.Join(dir, "deploy.hcl"), filepath.Join(dir, "state.db")
	text := `service = "shop"
image   = "acme/shop"
host "web-1" { address = "10.0.0.1" }
role "web" { hosts = ["web-1", "web-2"] }
role "workers" { hosts = ["jobs-1"] }
accessory "redis" {
  image = "redis:7"
  hosts = ["jobs-1"]
}
alias "console" { command = "server cordon" }
destination "staging" {}
destination "production" {}
`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	released(t, path)
	for line, want := range map[string][]string{
		"status --hosts ":        {"web-1", "web-2", "jobs-1"},
		"status --hosts w":       {"web-1", "web-2"},
		"status --hosts web-1,j": {"web-1,jobs-1"},
		"plan --roles ":          {"web", "workers"},
		"plan -d ":               {"staging", "production"},
		"plan --version ":        {"v1", "v2"},
		"rollback ":              {"3", "1"},
		"release v":              {"v1", "v2"},
		"server cordon ":         {"web-1", "web-2", "jobs-1"},
		"server cordon web-1 ":   nil,
		"console j":              {"jobs-1"},
		"cons":                   {"console"},
		"docs version_":          {"version_policy"},
		"diff 1 ":                {"3", "1", "v1", "v2"},
		"status --role":          {"--roles"},
	} {
		args := append([]string{"-c", file, "--store", path}, strings.Split(line, " ")...)
		if got := completions(t, args...); !slices.Equal(got, want) {
			t.Errorf("%q is offered %q, want %q", line, got, want)
		}
	}
	if got := completions(t, "rollback", "-c", file, "--store", filepath.Join(dir, "none.db"), ""); got != nil {
		t.Errorf("without a store: %q", got)
	}
	if _, err := os.Stat(filepath.Join(dir, "none.db")); err == nil {
		t.Error("completing has made a store")
	}
}
