package bolt_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	bbolt "go.etcd.io/bbolt"

	"github.com/kamald/kamald/state"
	"github.com/kamald/kamald/state/bolt"
	"github.com/kamald/kamald/state/storetest"
)

var (
	shop = state.App{Service: "shop"}
	noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
)

// TestMain lets this binary be the other process of a test.
func TestMain(m *testing.M) {
	switch path := os.Getenv("BOLT_TEST_STORE"); os.Getenv("BOLT_TEST_DO") {
	case "":
		os.Exit(m.Run())
	case "hold":
		s, err := bolt.OpenWith(path, bolt.Options{Hold: true})
		fmt.Println("held", err)
		_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
		_ = s.Close()
	case "full":
		os.Exit(onAFullDisk(path))
	case "append":
		s, _ := bolt.Open(path)
		for i := range 10 {
			if err := s.Append(shop, state.Event{Message: fmt.Sprint(os.Getpid(), " ", i)}); err != nil {
				fmt.Println(err)
				os.Exit(1)
			}
		}
	}
}

func TestAStoreInAFileIsAStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) state.Store {
		s, _ := open(t)
		return s
	})
}

func TestAStoreInAFileDoesWhatTheModelDoes(t *testing.T) {
	s, err := bolt.OpenWith(filepath.Join(t.TempDir(), "state.db"), bolt.Options{Hold: true})
	must(t, err)
	defer s.Close()
	storetest.Random(t, s)
	must(t, s.Check())
}

func TestReadingAMissingFileIsEmptyAndMakesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sub", "state.db")
	s, err := bolt.Open(path)
	must(t, err)
	_, ok, err := s.Snapshot(shop)
	must(t, err)
	apps, err := s.Apps()
	must(t, err)
	must(t, s.Check())
	if ok || len(apps) != 0 {
		t.Fatalf("a missing file gave %v, %v", ok, apps)
	}
	if _, err := os.Stat(filepath.Dir(path)); !os.IsNotExist(err) {
		t.Fatalf("a read made the directory: %v", err)
	}
}

func TestWhetherSomethingCanBeKeptIsKnownBeforeThereIsSomething(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "state.db")
	store, err := bolt.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Writable(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Errorf("the file was not made: %v", err)
	}
	if apps, err := store.Apps(); err != nil || len(apps) > 0 {
		t.Errorf("it keeps %v %v", apps, err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := store.Writable(); err == nil {
		t.Error("a directory is written to")
	}
}

func TestTheFileIsForItsOwnerOnly(t *testing.T) {
	s, path := open(t)
	must(t, s.Append(shop, state.Event{}))
	for name, want := range map[string]fs.FileMode{path: 0o600, filepath.Dir(path): 0o700} {
		info, err := os.Stat(name)
		must(t, err)
		if info.Mode().Perm() != want {
			t.Errorf("%s has mode %o, want %o", name, info.Mode().Perm(), want)
		}
	}
}

func TestTheSameValueIsNotWrittenTwice(t *testing.T) {
	s, path := open(t)
	record := state.Record{App: shop, Number: 1}
	plan := state.PlanRecord{Nonce: "n", At: noon, Plan: json.RawMessage(`{}`)}
	must(t, s.SaveRelease(record))
	must(t, s.SavePlan(shop, plan))
	must(t, s.SaveSnapshot(state.Snapshot{App: shop}))
	before, err := os.ReadFile(path)
	must(t, err)
	must(t, s.SaveRelease(record))
	must(t, s.SavePlan(shop, plan))
	must(t, s.SaveSnapshot(state.Snapshot{App: shop}))
	after, err := os.ReadFile(path)
	must(t, err)
	if string(before) != string(after) {
		t.Fatal("the file changed")
	}
}

func TestSeveralProcessesWriteToOneFile(t *testing.T) {
	s, path := open(t)
	var others []*exec.Cmd
	for range 3 {
		cmd := other(path, "append")
		cmd.Stderr = os.Stderr
		must(t, cmd.Start())
		others = append(others, cmd)
	}
	for i := range 10 {
		must(t, s.Append(shop, state.Event{Message: fmt.Sprint("here ", i)}))
	}
	for _, cmd := range others {
		must(t, cmd.Wait())
	}
	events, err := s.Events(shop, 0)
	must(t, err)
	if len(events) != 40 {
		t.Fatalf("%d events, want 40", len(events))
	}
	must(t, s.Check())
}

func TestAFileHeldByAnotherProcessIsNamed(t *testing.T) {
	_, path := open(t)
	holder := other(path, "hold")
	in, err := holder.StdinPipe()
	must(t, err)
	out, err := holder.StdoutPipe()
	must(t, err)
	must(t, holder.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	must(t, err)
	if line != "held <nil>\n" {
		t.Fatalf("the other process: %s", line)
	}
	s, err := bolt.OpenWith(path, bolt.Options{Timeout: 10 * time.Millisecond})
	must(t, err)
	explains(t, s.Append(shop, state.Event{}), path, "locked by another process")
	_, err = s.Events(shop, 1)
	explains(t, err, path, "locked by another process")
	must(t, in.Close())
	must(t, holder.Wait())
	must(t, s.Append(shop, state.Event{}))
}

func TestAHeldStoreServesUntilItIsClosed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	s, err := bolt.OpenWith(path, bolt.Options{Hold: true})
	must(t, err)
	must(t, s.Append(shop, state.Event{Message: "x"}))
	events, err := s.Events(shop, 1)
	must(t, err)
	same(t, events, []state.Event{{Message: "x"}})
	must(t, s.Close())
	if err := s.Append(shop, state.Event{}); err == nil {
		t.Fatal("a closed store took an event")
	}
}

func TestWhatIsNoStoreIsNamedWithWhatToDo(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	must(t, os.WriteFile(path, []byte(strings.Repeat("not a store\n", 5000)), 0o600))
	s, err := bolt.Open(path)
	must(t, err)
	_, err = s.Apps()
	explains(t, err, path, "damaged", "--store")
	explains(t, s.Append(shop, state.Event{}), path, "damaged", "--store")
	explains(t, s.Check(), path, "damaged")
}

func TestADamagedFileIsAnErrorAndNoCrash(t *testing.T) {
	s, path := open(t)
	for i := range 200 {
		must(t, s.Append(shop, state.Event{Message: strings.Repeat("x", 500), Release: i}))
	}
	data, err := os.ReadFile(path)
	must(t, err)
	page := os.Getpagesize()
	for i := 2 * page; i < len(data); i++ { // the two meta pages stay right
		data[i] ^= 0x5a
	}
	must(t, os.WriteFile(path, data, 0o600))
	_, err = s.Events(shop, 0)
	explains(t, err, path, "damaged")
	must(t, os.Truncate(path, int64(3*page)))
	_, err = s.Events(shop, 0)
	explains(t, err, path, "damaged")
}

func TestANewerSchemaIsRefused(t *testing.T) {
	s, path := open(t)
	must(t, s.Append(shop, state.Event{}))
	db, err := bbolt.Open(path, 0o600, nil)
	must(t, err)
	must(t, db.Update(func(tx *bbolt.Tx) error { return tx.Bucket([]byte("meta")).Put([]byte("schema"), []byte("99")) }))
	must(t, db.Close())
	explains(t, s.Append(shop, state.Event{}), path, "newer kamald", "99")
	_, err = s.Apps()
	explains(t, err, path, "newer kamald", "99")
	_, err = bolt.OpenWith(path, bolt.Options{Hold: true})
	explains(t, err, path, "newer kamald")
}

func TestAForbiddenFileIsNamed(t *testing.T) {
	if os.Geteuid() == 0 {
		asNobody(t) // root may read every file
		return
	}
	s, path := open(t)
	must(t, s.Append(shop, state.Event{}))
	must(t, os.Chmod(path, 0))
	explains(t, s.Append(shop, state.Event{}), path, "no permission")
}

// asNobody runs this test alone, in a copy of this program, as a user who may not read every file.
func asNobody(t *testing.T) {
	t.Helper()
	dir, err := os.MkdirTemp("", "kamald-bolt-") // t.TempDir is not open to others
	must(t, err)
	t.Cleanup(func() { must(t, os.RemoveAll(dir)) })
	must(t, os.Chmod(dir, 0o777))
	program, err := os.ReadFile(os.Args[0])
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, "test"), program, 0o755))
	cmd := exec.Command(filepath.Join(dir, "test"), "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "TMPDIR="+dir, "HOME="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("as nobody: %v\n%s", err, out)
	}
}

func open(t *testing.T) (*bolt.Store, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kamald", "state.db")
	s, err := bolt.Open(path)
	must(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s, path
}

func other(path, do string) *exec.Cmd {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "BOLT_TEST_STORE="+path, "BOLT_TEST_DO="+do)
	return cmd
}

func same(t *testing.T, got, want any) {
	t.Helper()
	g, _ := json.Marshal(got)
	w, _ := json.Marshal(want)
	if string(g) != string(w) {
		t.Fatalf("got  %s\nwant %s", g, w)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func explains(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one with %q", parts)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the error lacks %q: %v", part, err)
		}
	}
}
