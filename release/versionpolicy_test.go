package release

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestARangeFitsWholeVersions(t *testing.T) {
	for _, test := range []struct{ semver, fits, not string }{
		{"~> 2.1", "2.1.0 v2.1.0 2.1.9 2.99.0", "2.0.9 3.0.0 2.1 2 v2 latest 2.1.0-rc.1 2.2.0-rc.1 20260101 3.0.0-rc.1"},
		{"~> 2.1.0", "2.1.0 2.1.99", "2.2.0 2.1.0-rc.1"},
		{">= 2.1.0, < 2.3", "2.1.0 2.2.9", "2.3.0 2.0.0"},
		{">= 2.1.0, != 2.1.4", "2.1.3 2.1.5", "2.1.4 2.2.0-rc.1"},
		{"2.1.4", "2.1.4 v2.1.4", "2.1.5 2.1.4-rc.1"},
		{">= 2.1.0-rc.1", "2.1.0-rc.1 2.1.0-rc.2 2.1.0 2.2.0", "2.1.0-beta 2.2.0-rc.1"},
		{">= 2.1.0-rc.1, < 3.0", "2.1.0-rc.1 2.1.0 2.9.0", "2.2.0-rc.1 3.0.0 3.0.0-rc.1"},
		{"~> 2.1.0-rc.1", "2.1.0-rc.1 2.1.0-rc.2", "2.2.0-rc.1"},
		{">= 0.0.1", "1.2.3", "01.2.3 1.02.3 1.2.3.4 1.2.3+build version-1.2.3 V1.2.3 99999999999999999999.0.0"},
	} {
		order, err := VersionPolicy{Semver: test.semver}.Order()
		if err != nil {
			t.Fatal(err)
		}
		for _, tag := range strings.Fields(test.fits) {
			if !order.Fits(tag) {
				t.Errorf("%s does not fit %s", tag, test.semver)
			}
		}
		for _, tag := range strings.Fields(test.not) {
			if order.Fits(tag) {
				t.Errorf("%s fits %s", tag, test.semver)
			}
		}
	}
}

func TestAPatternTakesNoTagThatMoves(t *testing.T) {
	order, err := VersionPolicy{Pattern: "."}.Order()
	if err != nil {
		t.Fatal(err)
	}
	for tag, want := range map[string]bool{"latest": false, "latest-staging": false, "latestish": true, "main": true, "sha256-" + strings.Repeat("0", 64): false, "sha256-" + strings.Repeat("0", 64) + ".sig": false} {
		if order.Fits(tag) != want {
			t.Errorf("%s: %v", tag, !want)
		}
	}
}

// Tags in their order, the oldest first.
func TestTagsHaveOneOrder(t *testing.T) {
	for policy, tags := range map[VersionPolicy]string{
		{Semver: ">= 0.0.1-a"}:        "1.0.0-alpha 1.0.0-alpha.1 1.0.0-rc.2 1.0.0-rc.10 1.0.0 1.0.1 1.2.0 1.10.0 10.0.0",
		{Pattern: "^main-[0-9]{14}"}:  "main-20251231235959-ffff main-20260101000000-0001 main-20260101000000-0002",
		{Pattern: "^build-[0-9]+"}:    "build-1 build-09 build-10 build-10-b build-100",
		{Pattern: "r[0-9]+"}:          "z-r1 a-r2 m-r10", // by the part that matches
		{Pattern: "^[0-9]+[.][0-9]+"}: "1.9 1.10 1.10a 2.0",
		{Pattern: "^[0-9]{1,40}"}:     "99999999999999999998 99999999999999999999 100000000000000000000",
	} {
		order, err := policy.Order()
		if err != nil {
			t.Fatal(err)
		}
		list := strings.Fields(tags)
		for i, a := range list {
			for j, b := range list {
				if got := order.Compare(a, b); got > 0 != (i > j) || got < 0 != (i < j) {
					t.Errorf("%s: %s against %s is %d", policy, a, b, got)
				}
			}
		}
	}
}

func TestNaturalOrderIsAnOrder(t *testing.T) {
	text := rapid.StringMatching(`[a-c0-2.-]{0,8}`)
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := text.Draw(t, "a"), text.Draw(t, "b"), text.Draw(t, "c")
		if compareNatural(a, b) != -compareNatural(b, a) || compareNatural(a, a) != 0 {
			t.Fatalf("%q against %q", a, b)
		}
		if compareNatural(a, b) <= 0 && compareNatural(b, c) <= 0 && compareNatural(a, c) > 0 {
			t.Fatalf("%q, %q, %q", a, b, c)
		}
	})
}

func TestAPolicyStandsInPlaceOfTheCommit(t *testing.T) {
	const policy = "service = \"shop\"\nimage = \"acme/shop\"\nrole \"web\" { hosts = [\"h\"] }\nversion_policy { semver = \"~> 2.1\" }\n"
	asked := 0
	opts := in(policy, "")
	opts.Git = func() (Git, error) { asked++; return commit() }
	r := load(t, opts)
	if r.Version != "" || r.VersionPolicy == nil || r.VersionPolicy.Semver != "~> 2.1" || len(r.Unbuilt) > 0 || asked > 0 {
		t.Errorf("%q %+v %v, git asked %d times", r.Version, r.VersionPolicy, r.Unbuilt, asked)
	}
	opts.Version = "v9"
	if given := load(t, opts); given.Version != "v9" || given.VersionPolicy == nil {
		t.Errorf("%q %+v", given.Version, given.VersionPolicy)
	}
	// How the version was chosen changes nothing on a server.
	plain := r
	plain.VersionPolicy = nil
	if Digest(r) != Digest(plain) {
		t.Error("the policy is in the digest")
	}
	_, text, diags := Resolve("deploy.hcl", opts)
	if diags.HasErrors() || strings.Contains(string(text), "version_policy") {
		t.Errorf("%s%v", text, diags)
	}
	// A destination may go back to the commit.
	back := in(policy+"destination \"staging\" {\n version_policy { remove = true }\n}\n", "staging")
	if r := load(t, back); r.VersionPolicy != nil || r.Version != "0123456789abcdef" {
		t.Errorf("%q %+v", r.Version, r.VersionPolicy)
	}
}
