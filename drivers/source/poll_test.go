package source

import (
	"context"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/kamald/kamald/state"
)

// file is a source that was read once, on a file system that a test writes to.
func file(t *testing.T) (*File, func(version string)) {
	path := filepath.Join(t.TempDir(), "deploy.hcl")
	put := func(version string) {
		text := "service = \"shop\"\nimage = \"acme/shop\"\nrole \"web\" { hosts = [\"a\"] }\nversion = \"" + version + "\"\n"
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Error(err)
		}
	}
	put("v1")
	f := &File{App: App{Name: state.App{Service: "shop"}}, Path: path}
	if _, err := f.Read(t.Context()); err != nil {
		t.Fatal(err)
	}
	return f, put
}

func TestAFileSystemThatSaysNothingIsLookedAt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, put := file(t)
		var told, begun atomic.Int32
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go f.watch(ctx, func() { begun.Add(1) }, nil, func() { told.Add(1) })
		time.Sleep(10 * pollInterval)
		synctest.Wait()
		if told.Load() != 0 || begun.Load() < 10 {
			t.Fatalf("told %d times of nothing, watched anew %d times", told.Load(), begun.Load())
		}
		put("v2")
		time.Sleep(pollInterval)
		synctest.Wait()
		if told.Load() != 1 {
			t.Fatalf("told %d times, want once", told.Load())
		}
		if _, err := f.Read(ctx); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * pollInterval)
		synctest.Wait()
		if told.Load() != 1 {
			t.Errorf("told %d times of one change", told.Load())
		}
	})
}

func TestManyEventsOfOneChangeAreToldOnceItIsComplete(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, put := file(t)
		var told atomic.Int32
		events := make(chan fsnotify.Event)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go f.watch(ctx, func() {}, events, func() { told.Add(1) })
		synctest.Wait()
		put("v2")
		for range 50 {
			events <- fsnotify.Event{Name: f.Path, Op: fsnotify.Write}
		}
		synctest.Wait()
		if told.Load() != 0 {
			t.Fatal("told before it is complete")
		}
		time.Sleep(settle)
		synctest.Wait()
		if told.Load() != 1 {
			t.Fatalf("told %d times, want once", told.Load())
		}
		close(events) // the watcher has died: the poll goes on
		time.Sleep(pollInterval)
		synctest.Wait()
		if told.Load() != 2 {
			t.Errorf("told %d times", told.Load())
		}
	})
}
