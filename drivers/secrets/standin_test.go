package secrets

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
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

// TestMain is the stand-in, too: under a vendor's name this program answers as its script says, in the script's order.
func TestMain(m *testing.M) {
	if script := os.Getenv(scriptVariable); script != "" && filepath.Base(os.Args[0]) != "secrets.test" {
		os.Exit(standIn(script))
	}
	os.Exit(m.Run())
}

func standIn(script string) int {
	line := spoken(filepath.Base(os.Args[0]), os.Args[1:])
	var calls []call
	data, err := os.ReadFile(script)
	if err == nil {
		err = json.Unmarshal(data, &calls)
	}
	if err != nil {
		return unexpected(script, err.Error())
	}
	made := len(lines(script + ".made"))
	if err := appendLine(script+".made", line); err != nil {
		return unexpected(script, err.Error())
	}
	if made >= len(calls) || calls[made].Line != line {
		return unexpected(script, fmt.Sprintf("call %d: got  %s", made+1, line))
	}
	c := calls[made]
	for name, want := range c.Env {
		if got := os.Getenv(name); got != want {
			return unexpected(script, fmt.Sprintf("%s: $%s is %q", line, name, got))
		}
	}
	if got, _ := io.ReadAll(os.Stdin); string(got) != c.Stdin {
		return unexpected(script, fmt.Sprintf("%s: standard input is %q", line, got))
	}
	_, _ = io.WriteString(os.Stdout, c.Out)
	_, _ = io.WriteString(os.Stderr, c.Err)
	if c.Forget {
		time.Sleep(time.Hour)
	}
	return c.Code
}

func unexpected(script, what string) int {
	_ = appendLine(script+".unexpected", what)
	return 97
}

func spoken(program string, args []string) string {
	words := []string{program}
	for _, arg := range args {
		if arg == "" || strings.ContainsAny(arg, " \n") {
			arg = "⟨" + arg + "⟩"
		}
		words = append(words, arg)
	}
	return strings.Join(words, " ")
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
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, program := range programs {
		if err := os.Symlink(self, filepath.Join(dir, program)); err != nil && !os.IsExist(err) {
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

func appendLine(path, line string) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.WriteString(file, line+"\x00")
	if closed := file.Close(); err == nil {
		err = closed
	}
	return err
}
