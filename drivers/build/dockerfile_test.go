package build

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/kamald/kamald/release"
)

// file is what the builder was told to build by.
func (m machine) file() string {
	m.t.Helper()
	argv := m.last("docker buildx build").Argv
	return argv[slices.Index(argv, "--file")+1]
}

// A clone and an archive are built by what was committed, however the file names it.
func TestADockerfileIsTheTreesAlsoByItsWholePath(t *testing.T) {
	for _, source := range []string{release.SourceClone, release.SourceArchive, release.SourceDirectory} {
		m := newMachine(t, append(tools(newest, true), standInReply{Begins: "docker buildx build"})...)
		j := m.job("")
		project := j.Tree.Dir
		j.Release.Build.Dockerfile = filepath.Join(project, "Dockerfile.web")
		link := filepath.Join(t.TempDir(), "link")
		if err := os.Symlink(project, link); err != nil {
			t.Fatal(err)
		}
		m.committed(&j, source)
		if source != release.SourceDirectory {
			writeText(t, j.Release.Build.Dockerfile, "FROM scratch\n# changed since\n")
		}
		for _, name := range []string{j.Release.Build.Dockerfile, filepath.Join(link, "Dockerfile.web"), "Dockerfile.web", "./app/../Dockerfile.web"} {
			j.Release.Build.Dockerfile = name
			if _, err := j.Run(t.Context()); err != nil {
				t.Errorf("%s, %s: %v", source, name, err)
				continue
			}
			if got := readText(t, m.file()); got != "FROM scratch\n" {
				t.Errorf("%s, %s: built by %s: %s", source, name, m.file(), got)
			}
			if source != release.SourceDirectory && strings.HasPrefix(m.file(), project) {
				t.Errorf("%s, %s: built by %s", source, name, m.file())
			}
		}
	}
}

func TestACommitIsBuiltByNoDockerfileOfElsewhere(t *testing.T) {
	for _, source := range []string{release.SourceClone, release.SourceArchive} {
		m := newMachine(t, append(tools(newest, true), standInReply{Begins: "docker buildx build"})...)
		j := m.job("")
		outside := filepath.Join(t.TempDir(), "Dockerfile")
		writeText(t, outside, "FROM scratch\n")
		for link, to := range map[string]string{"leads-out": outside, "leads-back": filepath.Join(j.Tree.Dir, "Dockerfile")} {
			if err := os.Symlink(to, filepath.Join(j.Tree.Dir, link)); err != nil {
				t.Fatal(err)
			}
		}
		m.committed(&j, source)
		for name, says := range map[string]string{outside: "lies outside the git repository", "../Dockerfile": "lies outside the git repository",
			"leads-out": "leads out of the repository", "leads-back": "leads out of the repository"} {
			j.Release.Build.Dockerfile = name
			if _, err := j.Run(t.Context()); err == nil || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), `source = "directory"`) {
				t.Errorf("%s, %s: %v", source, name, err)
			}
		}
	}
}

// A Dockerfile that counts beside the context counts by its whole path, too.
func TestAChangedDockerfileCountsByItsWholePath(t *testing.T) {
	m := newMachine(t)
	j := m.job("")
	if err := os.Mkdir(filepath.Join(j.Tree.Dir, "app"), 0o700); err != nil {
		t.Fatal(err)
	}
	writeText(t, filepath.Join(j.Tree.Dir, "app/main"), "main\n")
	m.committed(&j, release.SourceDirectory)
	root := j.Tree.Root
	writeText(t, filepath.Join(root, "Dockerfile"), "FROM scratch\nLABEL a=b\n")
	relative, err := Uncommitted(t.Context(), root, release.Build{Source: release.SourceDirectory, Context: "app", Dockerfile: "Dockerfile"})
	if err != nil || relative == "" {
		t.Fatal(relative, err)
	}
	whole, err := Uncommitted(t.Context(), root, release.Build{Source: release.SourceDirectory, Context: "app", Dockerfile: filepath.Join(root, "Dockerfile")})
	if whole != relative || err != nil {
		t.Errorf("by its path %s, by its whole path %q, %v", relative, whole, err)
	}
}

// What the file names beside the tree lies beside the file, and not in a clone, where the next build would remove it.
func TestACacheAndAKeyLieBesideTheFile(t *testing.T) {
	m := newMachine(t, append(tools(newest, true), standInReply{Begins: "docker buildx inspect", Out: "Endpoint: default\n"}, standInReply{Begins: "docker buildx build"})...)
	j := m.job("build {\ncache { type = \"local\" }\n}")
	project := j.Tree.Dir
	m.committed(&j, release.SourceClone)
	placed := strings.NewReplacer("PROJECT", project, "PARENT", filepath.Dir(project), "HOME", m.home)
	for _, c := range []struct{ ssh, options, asked, cache string }{
		{"default", "dest=.layers", "default", "--cache-to type=local,dest=PROJECT/.layers --cache-from type=local,src=PROJECT/.layers"},
		{"github=keys/x", "dest=/var/layers,mode=max", "github=PROJECT/keys/x", "--cache-to type=local,dest=/var/layers,mode=max --cache-from type=local,src=/var/layers"},
		{"github=keys/x,../y,/z", "src=../old,dest=new", "github=PROJECT/keys/x,PARENT/y,/z", "--cache-to type=local,dest=PROJECT/new --cache-from type=local,src=PARENT/old"},
		{"github=~/.ssh/id", "src=old", "github=HOME/.ssh/id", "--cache-to type=local,dest=HOME/cache/kamald/layers/shop --cache-from type=local,src=PROJECT/old"},
		{"github", "", "github", "--cache-to type=local,dest=HOME/cache/kamald/layers/shop --cache-from type=local,src=HOME/cache/kamald/layers/shop"},
	} {
		j.Release.Build.SSH, j.Release.Build.Cache.Options = c.ssh, c.options
		if _, err := j.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		line := strings.Join(m.last("docker buildx build").Argv, " ") + " "
		for _, want := range []string{placed.Replace(c.cache) + " ", "--ssh " + placed.Replace(c.asked) + " "} {
			if !strings.Contains(line, want) {
				t.Errorf("%s, %s: no %s in\n%s", c.ssh, c.options, want, line)
			}
		}
	}
}

// What the classic builder says of a Dockerfile that is written for BuildKit does not say what to do.
func TestADockerfileThatNeedsBuildKitIsToldOfBuildx(t *testing.T) {
	for said, advised := range map[string]bool{
		"the --mount option requires BuildKit. Refer to https://docs.docker.com/go/buildkit/ to learn how": true,
		"the --chmod option requires BuildKit.":                           true,
		"dockerfile parse error line 3: Unknown flag: mount":              true,
		"dockerfile parse error line 4: unknown instruction: ECHO":        true,
		"COPY failed: file not found in build context":                    false,
		"DEPRECATED: Install the buildx component to build with BuildKit": false,
	} {
		for _, buildx := range []bool{true, false} {
			m := newMachine(t, append(tools(newest, buildx), standInReply{Begins: "docker ", Err: said + "\n", Code: 1})...)
			_, err := m.job("").Run(t.Context())
			var failed *FailedError
			if !errors.As(err, &failed) || strings.Contains(err.Error(), "install docker-buildx-plugin") != (advised && !buildx) {
				t.Errorf("%q, buildx %v: %v", said, buildx, err)
			}
		}
	}
}
