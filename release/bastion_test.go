package release

import (
	"strings"
	"testing"
)

func TestTheBastionsFileIsHeldToItsOwnVocabulary(t *testing.T) {
	opts := memory(map[string]string{"kamald.hcl": `
store { blot = "/x" }
token "ci" { hash = "sha256:abc" }
app "shop" {
  mode = "heel"
  source "gti" { url = "u" }
  notify "webhook" {
    url    = secret("URL")
    secret = "hunter2"
    on     = ["drifted", "relased"]
  }
  notify "webhook" { url = "https://other.example.com" }
}
role "web" {}
`})
	got := ValidateBastion("kamald.hcl", opts).Error()
	for _, want := range []string{
		`has no attribute "blot". Did you mean "bolt"?`, "Bad token hash", `Did you mean "heal"?`, `Did you mean "git"?`,
		"Secret written out", `Did you mean "released"?`, `The file has no block "role".`,
	} {
		if !strings.Contains(strings.ReplaceAll(got, "\n", " "), want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if strings.Contains(got, "hunter2") || strings.Contains(got, "Duplicate") {
		t.Errorf("said\n%s", got)
	}
}
