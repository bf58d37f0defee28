package secrets

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const (
	// canary is in every value and token of these tests, and must be nowhere but in answers.
	canary = "canary-7f3a"
	// scriptVariable names the file with the calls that the stand-in is to get.
	scriptVariable = "SECRETS_STANDIN"
)

// call is one call of a vendor's program: what it is to be called with, and what it does.
type call struct {
	Line   string            // the program and its arguments, one space between; arguments with spaces in ⟨⟩
	Env    map[string]string // that it must have
	Stdin  string            // that it must be able to read
	Out    string
	Err    string
	Code   int
	Forget bool // it never ends
}

// standInProgram is the vendors' program of these tests, built once: without the race detector, which takes a second to start.
var standInProgram string

func TestMain(m *testing.M) { os.Exit(withStandIn(m.Run)) }

func withStandIn(run func() int) int {
	dir, err := os.MkdirTemp("", "standin")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	standInProgram = filepath.Join(dir, "standin")
	compile := exec.Command("go", "build", "-trimpath", "-o", standInProgram, "./testdata/standin")
	compile.Env = append(os.Environ(), "CGO_ENABLED=0")
	if said, err := compile.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "the stand-in cannot be built: %v\n%s", err, said)
		return 1
	}
	return run()
}

// vendors puts the stand-in on the PATH for some programs, alone, with the calls that they are to get. What is called otherwise, or
// not at all, fails the test; so does the canary in an argument.
func vendors(t *testing.T, calls ...call) surroundings {
	t.Helper()
	var programs []string
	for _, c := range calls {
		program, _, _ := strings.Cut(c.Line, " ")
		programs = append(programs, program)
	}
	return installed(t, programs, calls)
}

func installed(t *testing.T, programs []string, calls []call) surroundings {
	t.Helper()
	dir := t.TempDir()
	for _, program := range programs {
		if err := os.Symlink(standInProgram, filepath.Join(dir, program)); err != nil && !os.IsExist(err) {
			t.Fatal(err)
		}
	}
	for _, c := range calls {
		if strings.Contains(c.Line, canary) {
			t.Fatalf("the test wants a secret in an argument: %s", c.Line)
		}
	}
	data, err := json.Marshal(calls)
	if err != nil {
		t.Fatal(err)
	}
	script := filepath.Join(dir, "script")
	write(t, dir, "script", string(data))
	t.Setenv("PATH", dir)
	t.Setenv(scriptVariable, script)
	t.Cleanup(func() {
		for _, line := range lines(script + ".unexpected") {
			t.Errorf("unexpected: %s", line)
		}
		var want []string
		for _, c := range calls {
			want = append(want, c.Line)
		}
		if made := lines(script + ".made"); !slices.Equal(made, want) {
			t.Errorf("called\n  %s\nwant\n  %s", strings.Join(made, "\n  "), strings.Join(want, "\n  "))
		}
	})
	at := here(t.TempDir())
	at.env, at.terminal, at.prompts = none, nil, io.Discard
	return at
}

// someone is at the terminal, and has typed this.
func someone(t *testing.T, at surroundings, typed string) surroundings {
	t.Helper()
	write(t, at.dir, "typed", typed)
	file, err := os.Open(filepath.Join(at.dir, "typed"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = file.Close() })
	at.terminal = file
	return at
}

func with(at surroundings, variables map[string]string) surroundings {
	at.env = func(name string) (string, bool) { value, ok := variables[name]; return value, ok }
	return at
}

func lines(path string) []string {
	data, err := os.ReadFile(path)
	if err != nil || len(data) == 0 {
		return nil
	}
	return strings.Split(strings.TrimSuffix(string(data), "\x00"), "\x00")
}
