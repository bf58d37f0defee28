package release

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestABuildIsReadIntoARelease(t *testing.T) {
	yes := true
	const registry = "registry { server = \"registry.example.com\" }\n"
	for text, want := range map[string]Build{
		"":                            {},
		"build {}":                    {},
		"build { context = \"app\" }": {Source: SourceDirectory, Context: "app"},
		"build {\ncontext = \"app\"\nsource = \"clone\"\n}":                      {Source: SourceClone, Context: "app"},
		"build {\nlocal = false\nremote = \"ssh://u@h\"\ndriver = \"docker\"\n}": {Remote: "ssh://u@h", RemoteOnly: true, Driver: "docker"},
		registry + "build {\narch = [\"arm64\", \"amd64\"]\nargs = { A = 1 }\nsecrets = [\"T\"]\nsbom = true\nprovenance = false\n}": {Arch: []string{"arm64", "amd64"},
			Args: map[string]string{"A": "1"}, Secrets: []string{"T"}, SBOM: &yes, Provenance: "false"},
		"build {\ncache { type = \"registry\" }\n}":                                              {Cache: &BuildCache{Type: CacheRegistry, Image: "acme/shop-build-cache"}},
		"build {\ncache { type = \"gha\" }\n}":                                                   {Cache: &BuildCache{Type: CacheGHA}},
		"build {\npack {\nbuilder = \"heroku/builder:24\"\nbuildpacks = [\"heroku/ruby\"]\n}\n}": {Pack: &BuildPack{Builder: "heroku/builder:24", Buildpacks: []string{"heroku/ruby"}}},
		"build { driver = \"cloud acme/default\" }":                                              {Driver: "cloud acme/default"},
	} {
		want.Dockerfile = "Dockerfile"
		if diff := cmp.Diff(want, load(t, in(least+text+"\n", "")).Build); diff != "" {
			t.Errorf("%s:\n%s", text, diff)
		}
	}
}

// Without a registry an image travels from the engine that keeps it, and one that none keeps is refused; what is asked for by name and
// not wanted is no reason.
func TestWithoutARegistryAnImageIsOneThatAnEngineKeeps(t *testing.T) {
	for text, refused := range map[string]bool{
		"build { arch = [\"amd64\"] }":                      false,
		"build {\nsbom = false\nprovenance = false\n}":      false,
		"build {\ncache { type = \"gha\" }\n}":              false,
		"build {\nsbom = true\npack { builder = \"b\" }\n}": false,
		"build { arch = [\"amd64\", \"arm64\"] }":           true,
		"build { sbom = true }":                             true,
		"build { provenance = \"mode=min\" }":               true,
		"registry { server = \"r.example.com\" }\nbuild {\nsbom = true\nprovenance = true\narch = [\"amd64\", \"arm64\"]\n}": false,
	} {
		_, diags := Load("deploy.hcl", in(least+text+"\n", ""))
		if diags.HasErrors() != refused || refused && !strings.Contains(lines(diags), "no engine keeps such an image, and without a registry it cannot travel") {
			t.Errorf("%s: %v", text, diags)
		}
	}
}

// How an image is built is no part of what runs.
func TestABuildIsInNoDigestAndNoRecord(t *testing.T) {
	bare := load(t, in(least, ""))
	built := load(t, in(least+"build {\narch = [\"s390x\"]\nargs = { MARK = \"here\" }\n}\n", ""))
	if Digest(bare) != Digest(built) {
		t.Error("the digest is another with a build block")
	}
	data, err := json.Marshal(built)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(data), "s390x") || strings.Contains(string(data), "MARK") {
		t.Errorf("the build is in the record: %s", data)
	}
	if diff := cmp.Diff(Settings(bare), Settings(built)); diff != "" {
		t.Error(diff)
	}
}

func TestAResolvedFileHasTheBuild(t *testing.T) {
	_, text, diags := Resolve("deploy.hcl", in(least+"build {\nargs = { A = upper(\"x\") }\n}\n", ""))
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	got := strings.Join(strings.Fields(string(text)), " ")
	for _, want := range []string{`A = "X"`, `dockerfile = "Dockerfile" # default`, `local = true # default`} {
		if !strings.Contains(got, want) {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
}

func TestOtherNamesOfAProcessorAreDockers(t *testing.T) {
	for name, want := range map[string]string{"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm/v7", "s390x": "s390x"} {
		if got, known := Architecture(name); got != want || !known {
			t.Errorf("%s: got %q %v, want %q", name, got, known, want)
		}
	}
	if _, known := Architecture("z80"); known {
		t.Error("z80 is known")
	}
}
