package release

import (
	"strings"
	"testing"
)

func TestTheWholeVocabularyIsAccepted(t *testing.T) {
	diags := Validate("testdata/deploy.reference.hcl", Options{})
	if diags.Len() > 0 {
		t.Fatalf("deploy.reference.hcl:\n%s", diags.Error())
	}
	diags = ValidateBastion("testdata/kamald.reference.hcl", Options{})
	if diags.Len() > 0 {
		t.Fatalf("kamald.reference.hcl:\n%s", diags.Error())
	}
}

func TestTheReferenceLoadsAndNamesWhatIsNotBuilt(t *testing.T) {
	r, diags := Load("testdata/deploy.reference.hcl", Options{Git: commit, KamaldVersion: "0.2.0"})
	if diags.Len() > 0 {
		t.Fatalf("%s", diags.Error())
	}
	if r.Version != "0123456789abcdef" {
		t.Errorf("version is %q, want the commit's", r.Version)
	}
	got := map[string]string{}
	for _, u := range r.Unbuilt {
		got[u.What] = u.When
		if !strings.HasPrefix(u.Where, "testdata/deploy.reference.hcl:") {
			t.Errorf("%s has the place %q", u.What, u.Where)
		}
	}
	for what, when := range map[string]string{"build": "build", `accessory "redis"`: "plan", `hook "migrate"`: "plan",
		"rollout.canary": "plan", `alias "console"`: "alias", "reconcile": "run", "output": "plan", "proxy.ssl": "plan",
		"asset_path": "plan", `secrets.fetch "1password"`: "plan"} {
		if got[what] != when {
			t.Errorf("%s is refused by %q, want %q", what, got[what], when)
		}
	}
}

func commit() (Git, error) {
	return Git{SHA: "0123456789abcdef", ShortSHA: "0123456", Branch: "main"}, nil
}
