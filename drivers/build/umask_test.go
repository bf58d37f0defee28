//go:build unix

package build_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kamald/kamald/release"
)

// The modes of a commit's files are the same on every machine, whatever its users' umask is.
func TestTheUmaskDoesNotShow(t *testing.T) {
	p := small(t)
	if err := os.Chmod(filepath.Join(p.dir, "app/main"), 0o755); err != nil {
		t.Fatal(err)
	}
	p.commit("an executable")
	want := listing(t, p.dir)
	defer syscall.Umask(syscall.Umask(0o077))
	for _, source := range []string{release.SourceClone, release.SourceArchive} {
		tree, _ := p.open("", release.Build{Source: source})
		if diff := cmp.Diff(want, listing(t, tree.Dir)); diff != "" {
			t.Errorf("%s:\n%s", source, diff)
		}
		info, err := os.Stat(filepath.Join(os.Getenv("XDG_CACHE_HOME"), "kamald"))
		if err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("others can look into the clones: %v %v", info.Mode(), err)
		}
	}
}
