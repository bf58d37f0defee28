package build_test

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kamald/kamald/release"
)

const testLabel = "kamald.test=build-tree"

// What every source gives, as the built image has it: the project lies at a path with spaces and has submodules; git and Docker
// ignore files of their own each.
func TestTheImageHasWhatEverySourceGives(t *testing.T) {
	cleanEngine(t)
	t.Cleanup(func() { cleanEngine(t) })
	p := rich(t, "a path", "with spaces")
	p.write("Dockerfile", "FROM scratch\nCOPY . /src/\n")
	p.write("app/Dockerfile", "FROM scratch\nCOPY . /src/\n")
	p.write(".dockerignore", "**/.git\nrun.sh\n**/*.docker\n")
	p.write("app/.dockerignore", "*.docker\n")
	p.write("app/left out.docker", "committed, and ignored by Docker")
	p.commit("for Docker")
	without := func(files map[string]string, names ...string) map[string]string {
		left := maps.Clone(files)
		for _, name := range names {
			delete(left, name)
		}
		return left
	}
	whole := func() map[string]string { return without(listing(t, p.dir), "run.sh", "app/left out.docker") }
	app := func() map[string]string { return without(listing(t, filepath.Join(p.dir, "app")), "left out.docker") }
	clean, cleanApp := whole(), app()

	check := func(name, source, context string, want map[string]string) {
		t.Run(name+" "+source, func(t *testing.T) {
			p.t = t
			tree, _ := p.open("", release.Build{Source: source, Context: context})
			if diff := cmp.Diff(want, image(t, tree.Dir)); diff != "" {
				t.Error(diff)
			}
		})
	}
	for _, source := range sources {
		check("clean", source, "", clean)
		check("nested context", source, "app", cleanApp)
	}
	p.write("app/main", "changed\n")
	p.write("app/new file", "new\n")
	p.write("app/ignored by git.log", "but not by Docker")
	p.write("app/ignored by Docker.docker", "")
	p.write("vendor/a lib/inside", "changed in the submodule\n")
	dirty := without(whole(), "app/ignored by Docker.docker")
	for _, source := range sources {
		want := clean
		if source == release.SourceDirectory {
			want = dirty
		}
		check("dirty and ignored", source, "", want)
	}
	for _, name := range []string{"app/ignored by git.log", "app/new file"} {
		if dirty[name] == "" || clean[name] != "" {
			t.Errorf("the cases do not differ by %q", name)
		}
	}
}

// image builds a directory with the engine of this machine, and lists what the image has below /src.
func image(t *testing.T, dir string) map[string]string {
	t.Helper()
	id := docker(t, "build", "-q", "--no-cache", "--label", testLabel, dir)
	container := docker(t, "create", "--label", testLabel, id, "/nothing")
	found := map[string]string{}
	archive := tar.NewReader(strings.NewReader(docker(t, "export", container) + "\n"))
	for {
		header, err := archive.Next()
		if err == io.EOF {
			return found
		} else if err != nil {
			t.Fatal(err)
		}
		name, ok := strings.CutPrefix(strings.TrimSuffix(header.Name, "/"), "src")
		if !ok {
			continue
		}
		if name = strings.TrimPrefix(name, "/"); name == "" {
			name = "."
		}
		content, err := io.ReadAll(archive)
		switch mode := header.FileInfo().Mode(); {
		case err != nil:
			t.Fatal(err)
		case mode&fs.ModeSymlink != 0:
			found[name] = "symlink " + header.Linkname
		case mode.IsDir():
			found[name] = mode.String() + " "
		default:
			found[name] = fmt.Sprintf("%s %s", mode, described(content))
		}
	}
}

// cleanEngine removes what these tests leave, those too that were ended before they could.
func cleanEngine(t *testing.T) {
	for _, id := range strings.Fields(docker(t, "ps", "-aq", "--filter", "label="+testLabel)) {
		docker(t, "rm", "-f", id)
	}
	for _, id := range strings.Fields(docker(t, "image", "ls", "-q", "--filter", "label="+testLabel)) {
		docker(t, "rmi", "-f", id)
	}
}

// docker runs the engine's own builder, which every client has.
func docker(t *testing.T, args ...string) string {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := exec.Command("docker", args...)
	cmd.Env = append(os.Environ(), "DOCKER_BUILDKIT=0")
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("docker %s: %v\n%s", args[0], err, stderr.String())
	}
	return strings.TrimSuffix(stdout.String(), "\n")
}
