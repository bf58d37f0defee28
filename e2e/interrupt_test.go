package e2e

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"
)

// Ctrl-C in the middle of a boot takes back what was begun, releases the lock, and says so by its exit code.
func TestInterrupted(t *testing.T) {
	onlyLong(t)
	f := newFixture(t)
	f.deploy(settings{timeout: "20s"})
	f.image("v1", nil)
	f.image("v2", map[string]string{"APP_START_DELAY": "4s"})
	f.must(0, "apply", "--version", "v1")
	load := startLoad(t, 50, time.Minute, f.host(1), f.host(2))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := f.command(ctx, "apply", "--version", "v2")
	var said strings.Builder
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	f.until(func() bool { return len(f.running(f.host(1))) == 2 })
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // its exit code is what counts
	load.end(t)
	if code := cmd.ProcessState.ExitCode(); code != 130 {
		t.Fatalf("exit code %d, want 130\n%s", code, said.String())
	}
	f.stillV1()
	f.converges("v2")
}
