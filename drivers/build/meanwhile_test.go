package build

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kamald/kamald/release"
)

// committed makes a git repository of a job's tree, and opens it by a source; the version is the commit's name.
func (m machine) committed(j *Job, source string) {
	m.t.Helper()
	m.t.Setenv("GIT_CONFIG_GLOBAL", os.DevNull)
	m.t.Setenv("GIT_CONFIG_SYSTEM", os.DevNull)
	var said []byte
	for _, args := range [][]string{{"init", "-q"}, {"add", "-A"}, {"commit", "-q", "-m", "first"}, {"rev-parse", "HEAD"}} {
		var err error
		cmd := exec.Command("git", append([]string{"-C", j.Tree.Dir, "-c", "user.name=test", "-c", "user.email=test@example.com"}, args...)...)
		if said, err = cmd.CombinedOutput(); err != nil {
			m.t.Fatalf("git %v: %v\n%s", args, err, said)
		}
	}
	j.Release.Version, j.Release.Build.Source = strings.TrimSpace(string(said)), source
	tree, err := Open(m.t.Context(), j.Tree.Dir, j.Release.Build, j.Log)
	if err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() { _ = tree.Close() })
	j.Tree = tree
}

// asked are the calls that make, push or remove an image, by their outputs.
func (m machine) asked() string {
	m.t.Helper()
	var asked []string
	for _, c := range m.calls() {
		line := strings.Join(c.Argv, " ")
		switch {
		case strings.HasPrefix(line, "docker image"):
			asked = append(asked, line)
		case strings.Contains(line, " build --"):
			_, rest, _ := strings.Cut(line, "--output ")
			output, _, _ := strings.Cut(rest, " ")
			if strings.Contains(line, "--no-cache") {
				output += " anew"
			}
			asked = append(asked, output)
		}
	}
	return strings.Join(asked, "; ")
}

const severalArch = private + "build { arch = [\"amd64\", \"arm64\"] }"

// What changes while it is built is in no image that could be released: an engine loses its name, and a builder has not pushed it.
func TestFilesThatChangeWhileTheyAreBuiltAreNotPushed(t *testing.T) {
	for name, c := range map[string]struct {
		lines   string
		changes int // the run of the builder that they change in; 0: none
		asked   string
		says    string
	}{
		"held, unchanged":         {private, 0, "type=docker anew", ""},
		"held, changed":           {private, 1, "type=docker anew; docker image rm registry.example.com/acme/shop:VERSION", "has changes besides"},
		"pushed, unchanged":       {severalArch, 0, "type=cacheonly anew; type=registry", ""},
		"pushed, changed":         {severalArch, 1, "type=cacheonly anew", "has changes besides"},
		"pushed, changed at last": {severalArch, 2, "type=cacheonly anew; type=registry", "registry.example.com/acme/shop:VERSION, registry.example.com/acme/shop:latest is pushed, and is of these files"},
	} {
		t.Run(name, func(t *testing.T) {
			change := filepath.Join(t.TempDir(), "change")
			builds := []standInReply{{Begins: "docker buildx build", Metadata: `{"containerimage.digest":"sha256:abc"}`, Once: true},
				{Begins: "docker buildx build", Metadata: `{"containerimage.digest":"sha256:abc"}`}}
			if c.changes > 0 {
				builds[c.changes-1].Writes = change
			}
			m := newMachine(t, append(tools(newest, true), append(builds, standInReply{Begins: "docker buildx inspect", Out: "Endpoint: default\n"}, standInReply{Begins: "docker image rm"})...)...)
			j := m.job(c.lines)
			j.Push, j.NoCache = true, true
			m.committed(&j, release.SourceDirectory)
			if err := os.Symlink(filepath.Join(j.Tree.Dir, "Dockerfile.web"), change); err != nil {
				t.Fatal(err)
			}
			result, err := j.Run(t.Context())
			named := func(text string) string { return strings.ReplaceAll(text, "VERSION", j.Release.Version) }
			if asked := m.asked(); asked != named(c.asked) {
				t.Errorf("asked for %s, want %s", asked, named(c.asked))
			}
			if c.says == "" && err != nil || c.says != "" && (!errors.Is(err, ErrMisnamed) || !strings.Contains(err.Error(), named(c.says))) {
				t.Errorf("%+v, %v", result, err)
			}
		})
	}
}

func TestAVersionOfAnotherCommitIsNotBuilt(t *testing.T) {
	m := newMachine(t, tools(newest, true)...)
	j := m.job(private)
	m.committed(&j, release.SourceDirectory)
	j.Release.Version = strings.Repeat("0123456789", 4)
	if _, err := j.Run(t.Context()); !errors.Is(err, ErrMisnamed) {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(m.dir, "calls")); !os.IsNotExist(err) {
		t.Errorf("docker was called: %v", m.calls())
	}
}
