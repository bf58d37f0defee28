package bolt_test

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	bbolt "go.etcd.io/bbolt"

	"github.com/kamald/kamald/state"
	"github.com/kamald/kamald/state/bolt"
)

func TestABackupIsRestoredAsItWasAndTheOldStoreIsKept(t *testing.T) {
	s, path := open(t)
	backup := filepath.Join(t.TempDir(), "backup.db")
	must(t, s.Append(shop, state.Event{Message: "kept"}))
	size, err := s.Backup(backup)
	must(t, err)
	if info, err := os.Stat(backup); err != nil || info.Size() != size || info.Mode().Perm() != 0o600 {
		t.Fatalf("%d bytes: %v %v", size, info, err)
	}
	must(t, s.Append(shop, state.Event{Message: "later"}))
	if _, err := bolt.Restore(path, backup, false); !errors.Is(err, bolt.ErrExists) || !strings.Contains(err.Error(), "--force") {
		t.Errorf("over a store: %v", err)
	}
	same(t, messages(t, path), []string{"later", "kept"})
	beside, err := bolt.Restore(path, backup, true)
	must(t, err)
	same(t, messages(t, path), []string{"kept"})
	same(t, messages(t, beside), []string{"later", "kept"})
	if !strings.HasPrefix(beside, path+".before-") {
		t.Errorf("kept as %s", beside)
	}
	must(t, s.Append(shop, state.Event{Message: "goes on"})) // a store that is open by transactions takes up the new file
	same(t, messages(t, path), []string{"goes on", "kept"})
	same(t, leftovers(t, path, backup), []string{})

	fresh := filepath.Join(t.TempDir(), "sub", "state.db")
	if beside, err := bolt.Restore(fresh, backup, false); err != nil || beside != "" {
		t.Errorf("%q %v", beside, err)
	}
	same(t, messages(t, fresh), []string{"kept"})
}

func TestADamagedStoreCanBeReplacedByItsBackup(t *testing.T) {
	s, path := open(t)
	backup := filepath.Join(t.TempDir(), "backup.db")
	must(t, s.Append(shop, state.Event{Message: "kept"}))
	_, err := s.Backup(backup)
	must(t, err)
	must(t, os.WriteFile(path, []byte(strings.Repeat("not a store\n", 5000)), 0o600))
	_, err = bolt.Restore(path, backup, true)
	must(t, err)
	same(t, messages(t, path), []string{"kept"})
}

func TestWhatIsNoBackupIsNotRestored(t *testing.T) {
	s, path := open(t)
	must(t, s.Append(shop, state.Event{Message: "kept"}))
	dir := t.TempDir()
	foreign := filepath.Join(dir, "foreign.db")
	db, err := bbolt.Open(foreign, 0o600, nil)
	must(t, err)
	must(t, db.Update(func(tx *bbolt.Tx) error { _, err := tx.CreateBucket([]byte("other")); return err }))
	must(t, db.Close())
	newer := filepath.Join(dir, "newer.db")
	_, err = s.Backup(newer)
	must(t, err)
	db, err = bbolt.Open(newer, 0o600, nil)
	must(t, err)
	must(t, db.Update(func(tx *bbolt.Tx) error { return tx.Bucket([]byte("meta")).Put([]byte("schema"), []byte("99")) }))
	must(t, db.Close())
	cut := filepath.Join(dir, "cut.db")
	_, err = s.Backup(cut)
	must(t, err)
	must(t, os.Truncate(cut, int64(3*os.Getpagesize())))
	must(t, os.WriteFile(filepath.Join(dir, "empty.db"), nil, 0o600))
	for name, want := range map[string]string{"foreign.db": "damaged", "newer.db": "newer kamald", "cut.db": "damaged", "empty.db": "there is no store",
		"absent.db": "absent.db"} {
		if _, err := bolt.Restore(path, filepath.Join(dir, name), true); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: said %v, want %q", name, err, want)
		}
	}
	if _, err := bolt.Restore(path, path, true); err == nil || !strings.Contains(err.Error(), "the backup itself") {
		t.Errorf("itself: %v", err)
	}
	if _, err := s.Backup(path); err == nil || !strings.Contains(err.Error(), "name another file") {
		t.Errorf("into itself: %v", err)
	}
	same(t, messages(t, path), []string{"kept"})
	same(t, leftovers(t, path), []string{})
}

func TestAStoreThatADaemonHoldsIsNotReplacedAndItBacksItUpItself(t *testing.T) {
	s, path := open(t)
	backup := filepath.Join(t.TempDir(), "backup.db")
	must(t, s.Append(shop, state.Event{Message: "kept"}))
	_, err := s.Backup(backup)
	must(t, err)
	holder := other(path, "hold")
	in, err := holder.StdinPipe()
	must(t, err)
	out, err := holder.StdoutPipe()
	must(t, err)
	must(t, holder.Start())
	_, err = bufio.NewReader(out).ReadString('\n')
	must(t, err)
	_, err = bolt.Restore(path, backup, true)
	explains(t, err, path, "locked by another process")
	impatient, err := bolt.OpenWith(path, bolt.Options{Timeout: 1})
	must(t, err)
	_, _, err = impatient.Compact()
	explains(t, err, path, "locked by another process")
	_, err = impatient.Backup(backup + "2")
	explains(t, err, path, "locked by another process")
	must(t, in.Close())
	must(t, holder.Wait())

	held, err := bolt.OpenWith(path, bolt.Options{Hold: true})
	must(t, err)
	defer held.Close()
	must(t, held.Append(shop, state.Event{Message: "of the daemon"}))
	_, err = held.Backup(backup)
	must(t, err)
	same(t, messages(t, backup), []string{"of the daemon", "kept"})
	if _, _, err := held.Compact(); err == nil || !strings.Contains(err.Error(), "when no daemon runs") {
		t.Errorf("a held one: %v", err)
	}
}

func TestNothingWasKeptIsToldApartFromAnEmptyBackup(t *testing.T) {
	s, path := open(t)
	if _, err := s.Backup(filepath.Join(t.TempDir(), "backup.db")); !errors.Is(err, bolt.ErrNoStore) {
		t.Errorf("a backup: %v", err)
	}
	if _, _, err := s.Compact(); !errors.Is(err, bolt.ErrNoStore) {
		t.Errorf("compact: %v", err)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file was made: %v", err)
	}
}

func TestCompactGivesBackWhatIsFree(t *testing.T) {
	s, path := open(t)
	for range 20 {
		must(t, s.Append(shop, state.Event{Message: strings.Repeat("x", 50_000)}))
	}
	must(t, s.Trim(shop, 1, 0))
	before, after, err := s.Compact()
	must(t, err)
	info, err := os.Stat(path)
	must(t, err)
	if after >= before/2 || info.Size() != after || info.Mode().Perm() != 0o600 {
		t.Errorf("from %d to %d bytes; the file has %d, mode %o", before, after, info.Size(), info.Mode().Perm())
	}
	must(t, s.Append(shop, state.Event{Message: "y"}))
	if got := messages(t, path); len(got) != 2 || got[0] != "y" {
		t.Errorf("%d events", len(got))
	}
	must(t, s.Check())
	same(t, leftovers(t, path), []string{})
}

// Whoever waits for the store while another file is put in its place writes to the new one.
func TestNoWriteIsLostToAStoreThatIsReplaced(t *testing.T) {
	s, path := open(t)
	must(t, s.Append(shop, state.Event{Message: "first"}))
	var writers sync.WaitGroup
	for w := range 4 {
		writers.Go(func() {
			mine, err := bolt.Open(path) // its own, so that only the file's lock is between them
			if err != nil {
				t.Error(err)
				return
			}
			for i := range 10 {
				if err := mine.Append(shop, state.Event{Message: fmt.Sprint(w, " ", i)}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 10 {
		if _, _, err := s.Compact(); err != nil {
			t.Error(err)
		}
	}
	writers.Wait()
	if got := messages(t, path); len(got) != 41 {
		t.Errorf("%d events, want 41", len(got))
	}
}

func messages(t *testing.T, path string) (all []string) {
	t.Helper()
	s, err := bolt.Open(path)
	must(t, err)
	events, err := s.Events(shop, 0)
	must(t, err)
	for _, e := range events {
		all = append(all, e.Message)
	}
	return all
}

// leftovers are files half written beside the given ones.
func leftovers(t *testing.T, paths ...string) []string {
	t.Helper()
	all := []string{}
	for _, path := range paths {
		found, err := filepath.Glob(path + ".half-*")
		must(t, err)
		all = append(all, found...)
	}
	return all
}
