package bolt_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/kamald/kamald/state"
	"github.com/kamald/kamald/state/bolt"
)

// The same on a small file system that is really full, where this user may mount one.
func TestAFileSystemWithoutRoomFailsWritesAndNotReads(t *testing.T) {
	disk := t.TempDir()
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=512k"); err != nil {
		t.Skipf("no file system can be mounted here: %v", err)
	}
	defer func() { must(t, syscall.Unmount(disk, syscall.MNT_DETACH)) }()
	path, ballast := filepath.Join(disk, "state.db"), filepath.Join(disk, "ballast")
	s, err := bolt.OpenWith(path, bolt.Options{Hold: true})
	must(t, err)
	defer s.Close()
	must(t, s.Append(shop, state.Event{Message: "before"}))
	if err := os.WriteFile(ballast, make([]byte, 1<<20), 0o600); err == nil {
		t.Fatal("the disk is not full")
	}
	large := state.Event{Message: strings.Repeat("x", 100_000)}
	for range 3 {
		explains(t, s.Append(shop, large), "no room for the store "+path, "make room")
		events, err := s.Events(shop, 0)
		must(t, err)
		same(t, events, []state.Event{{Message: "before"}})
	}
	if _, err := s.Backup(filepath.Join(disk, "backup.db")); err == nil {
		t.Error("a backup has room")
	}
	same(t, leftovers(t, filepath.Join(disk, "backup.db")), []string{})
	must(t, os.Remove(ballast))
	must(t, s.Append(shop, large))
	must(t, s.Check())
}
