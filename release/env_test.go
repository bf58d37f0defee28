package release

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// envOf is the environment of a role on the host h.
func envOf(t *testing.T, text, role string) Env {
	t.Helper()
	r := load(t, in("service = \"shop\"\nimage = \"acme/shop\"\n"+text, ""))
	host, _ := r.Host("h")
	found, _ := r.Role(role)
	return r.EnvOn(found, host)
}

const tagged = `
tag "a" {
  env {
    clear  = { X = "a", ONLY_A = "1" }
    secret = ["Y:OF_A"]
  }
}
tag "b" {
  env {
    clear  = { X = "b", Y = "clear in b" }
    secret = ["Z"]
  }
}
role "web" { hosts = ["h"] }
`

func TestTagsWinInTheOrderOfTheHostsList(t *testing.T) {
	for tags, want := range map[string]Env{
		`["a", "b"]`: {Clear: map[string]string{"X": "b", "ONLY_A": "1", "Y": "clear in b"}, Secrets: map[string]string{"Z": "Z"}},
		`["b", "a"]`: {Clear: map[string]string{"X": "a", "ONLY_A": "1"}, Secrets: map[string]string{"Z": "Z", "Y": "OF_A"}},
		`["b"]`:      {Clear: map[string]string{"X": "b", "Y": "clear in b"}, Secrets: map[string]string{"Z": "Z"}},
		`[]`:         {Clear: map[string]string{}, Secrets: map[string]string{}},
	} {
		if diff := cmp.Diff(want, envOf(t, tagged+"host \"h\" { tags = "+tags+" }\n", "web")); diff != "" {
			t.Errorf("tags %s:\n%s", tags, diff)
		}
	}
}

func TestARoleIsLaidOverTheRootAndTakesAwayWhoeverSetIt(t *testing.T) {
	text := `
env {
  clear  = { A = "root", B = "root", EMPTY = "" }
  secret = ["S", "T:OTHER", "GONE"]
}
host "h" { tags = ["a"] }
` + strings.Replace(tagged, `role "web" { hosts = ["h"] }`, `
role "web" {
  hosts = ["h"]
  env {
    clear  = { S = "clear now" }
    secret = ["A:KEY"]
    remove = ["GONE", "ONLY_A", "B"]
  }
}`, 1)
	want := Env{Clear: map[string]string{"EMPTY": "", "S": "clear now", "X": "a"}, Secrets: map[string]string{"A": "KEY", "T": "OTHER", "Y": "OF_A"}}
	if diff := cmp.Diff(want, envOf(t, text, "web")); diff != "" {
		t.Error(diff)
	}
}

func TestAValueOfSeveralLinesStaysAsItIs(t *testing.T) {
	got := envOf(t, "env {\n clear = {\n  TEXT = <<-EOT\n    one\n      two\n  EOT\n  LINE = \"a\\nb\"\n }\n}\nrole \"web\" { hosts = [\"h\"] }\n", "web")
	if diff := cmp.Diff(map[string]string{"TEXT": "one\n  two\n", "LINE": "a\nb"}, got.Clear); diff != "" {
		t.Error(diff)
	}
}
