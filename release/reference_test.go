package release

import (
	"maps"
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
	for what, when := range map[string]string{"build": "", `accessory "redis"`: "", `hook "migrate"`: "",
		`alias "console"`: "", "reconcile": "",
		"asset_path": "", "error_pages_path": ""} {
		if got[what] != when {
			t.Errorf("%s is refused by %q, want %q", what, got[what], when)
		}
	}
}

// notBuilt has names stand in the table of what is not built for the time of a test: there may be none of their own.
func notBuilt(t *testing.T, names ...string) {
	t.Helper()
	before := maps.Clone(unbuilt)
	for _, name := range names {
		unbuilt[name] = whenPlan
	}
	t.Cleanup(func() { unbuilt = before })
}

func TestACommandRefusesOnlyWhatItNeeds(t *testing.T) {
	notBuilt(t, "accessory.shared", "output")
	r := load(t, in(least+"build {}\naccessory \"x\" {\n  image = \"redis:7\"\n  hosts = [\"10.0.0.1\"]\n  shared = true\n}\noutput { file = \"log\" }\n", ""))
	if got := r.UnbuiltFor("plan"); len(got) != 2 || got[0].What != `accessory "x".shared` || got[1].What != "output" {
		t.Errorf("plan refuses %v", got)
	}
	if got := r.UnbuiltFor("run"); len(got) != 0 {
		t.Errorf("run alone refuses %v", got)
	}
}

func TestAValueThatSaysNothingIsNoUseOfWhatIsNotBuilt(t *testing.T) {
	notBuilt(t, "accessory.shared", "proxy_server.args")
	text := "accessory \"x\" {\n  image = \"redis:7\"\n  hosts = [\"10.0.0.1\"]\n  shared = false\n}\nproxy_server {\n  driver = \"kamal-proxy\"\n  args = {}\n}\n"
	if r := load(t, in(least+text, "")); len(r.Unbuilt) != 0 {
		t.Errorf("unbuilt: %v", r.Unbuilt)
	}
	text = strings.Replace(text, "shared = false", "shared = true", 1)
	if r := load(t, in(least+text, "")); len(r.Unbuilt) != 1 {
		t.Errorf("unbuilt: %v", r.Unbuilt)
	}
}

func commit() (Git, error) {
	return Git{SHA: "0123456789abcdef", ShortSHA: "0123456", Branch: "main"}, nil
}
