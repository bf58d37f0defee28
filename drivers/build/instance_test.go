package build

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// keepingBuilders is a docker command that keeps builders as buildx does: one that is there cannot be made, and every making takes its
// time. It notes what it was asked to change.
const keepingBuilders = `#!/bin/sh
for name; do :; done
case "$2" in
inspect)
	if [ -d "$BUILDERS/$3" ]; then echo "Endpoint: default"; else echo "ERROR: no builder \"$3\" found" >&2; exit 1; fi ;;
create)
	echo create >>"$BUILDERS/log"
	sleep 0.3
	mkdir "$BUILDERS/$4" 2>/dev/null || { echo "ERROR: existing instance for \"$4\" but no append mode" >&2; exit 1; } ;;
rm)
	echo rm >>"$BUILDERS/log"
	rmdir "$BUILDERS/$3" ;;
esac
`

// keepBuilders puts that docker command on the PATH, and gives the directory of the builders and of their log.
func keepBuilders(t *testing.T) string {
	t.Helper()
	m := newMachine(t)
	bin, builders := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(bin, "docker"), []byte(keepingBuilders), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	t.Setenv("BUILDERS", builders)
	t.Setenv("HOME", m.home)
	return builders
}

func aBuilder() instance {
	return instance{name: "kamald-local-docker-container", driver: "docker-container", nodes: []node{{}}}
}

func TestFirstBuildsAtOnceMakeOneBuilderAndNoneRemovesIt(t *testing.T) {
	builders := keepBuilders(t)
	errs := make([]error, 4)
	var all sync.WaitGroup
	for n := range errs {
		all.Go(func() { errs[n] = aBuilder().ensure(t.Context(), io.Discard) })
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Error(err)
	}
	if log := readText(t, filepath.Join(builders, "log")); log != "create\n" {
		t.Errorf("buildx was asked for %q", strings.Fields(log))
	}
}

// What another has made, past any lock, is not removed because it stands in the way.
func TestABuilderThatThisOneHasNotMadeIsLeft(t *testing.T) {
	builders := keepBuilders(t)
	begun := make(chan error, 1)
	go func() { begun <- aBuilder().ensure(t.Context(), io.Discard) }()
	for readLog(builders) == "" {
		time.Sleep(time.Millisecond)
	}
	if err := os.Mkdir(filepath.Join(builders, aBuilder().name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := <-begun; err == nil || !strings.Contains(err.Error(), "existing instance") {
		t.Error(err)
	}
	if log := readLog(builders); log != "create\n" {
		t.Errorf("buildx was asked for %q", strings.Fields(log))
	}
}

func readLog(builders string) string {
	data, _ := os.ReadFile(filepath.Join(builders, "log")) // not there yet is nothing yet
	return string(data)
}

func TestWaitingForABuildersLockEndsWithTheContext(t *testing.T) {
	keepBuilders(t)
	lock, err := lockBuilder(t.Context(), aBuilder().name, func() { t.Error("it waits for nobody") })
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("somebody has pressed Ctrl-C")
	told := &strings.Builder{}
	done := make(chan error, 1)
	go func() {
		done <- aBuilder().ensure(ctx, writing(func(line string) { fmt.Fprint(told, line); cancel(why) }))
	}()
	select {
	case err := <-done:
		if !errors.Is(err, ErrEnded) || !errors.Is(err, why) || !strings.Contains(told.String(), "another build makes the builder") {
			t.Errorf("%v, told %q", err, told)
		}
	case <-time.After(time.Minute):
		t.Fatal("it waits on")
	}
}

// writing is a writer that is a function.
type writing func(string)

func (w writing) Write(b []byte) (int, error) {
	w(string(b))
	return len(b), nil
}
