package hooks

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/kamald/kamald/release"
)

// script writes an executable and gives its directory.
func script(t *testing.T, name, text string, mode os.FileMode) string {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	return dir
}

type said struct {
	mu    sync.Mutex
	lines []string
}

func (s *said) say(line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines = append(s.lines, line)
}

func (s *said) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.lines, "\n")
}

func TestACommandRunsInItsDirectoryWithItsEnvironment(t *testing.T) {
	dir := script(t, ".kamald/hooks/pre-deploy", "#!/bin/sh\npwd\necho \"$KAMAL_VERSION/$KAMAL_ROLES/$TOKEN/$OTHER\"\necho two >&2\nprintf 'no end'\ncat\n", 0o755)
	var heard said
	r := Runner{Environ: func() []string { return append(os.Environ(), "KAMAL_ROLES=of another", "OTHER=here") }}
	err := r.Run(t.Context(), dir, []string{".kamald/hooks/pre-deploy"}, map[string]string{"KAMAL_VERSION": "v2", "KAMAL_ROLES": ""},
		map[string]release.Secret{"TOKEN": release.NewSecret("s3cret")}, heard.say)
	real, _ := filepath.EvalSymlinks(dir)
	want := []string{real, "v2//s3cret/here", "two", "no end"}
	if err != nil || !slices.Equal(heard.lines, want) {
		t.Errorf("%v, said %q, want %q", err, heard.lines, want)
	}
}

func TestWordsAreGivenAsTheyAre(t *testing.T) {
	var heard said
	if err := (Runner{}).Run(t.Context(), t.TempDir(), []string{"printf", "%s\n", "$HOME; `id`", "two words"}, nil, nil, heard.say); err != nil || heard.text() != "$HOME; `id`\ntwo words" {
		t.Errorf("%v, said %q", err, heard.text())
	}
}

func TestWhatCannotRunIsSaidPlainly(t *testing.T) {
	for name, test := range map[string]struct {
		text string
		mode os.FileMode
		argv []string
		want string
	}{
		"not executable": {"#!/bin/sh\n", 0o644, []string{"hooks/x"}, "is not executable: `chmod +x"},
		"no first line":  {"echo hello\n", 0o755, []string{"hooks/x"}, "a script needs a first line that says what runs it"},
		"no interpreter": {"#!/no/such/shell\n", 0o755, []string{"hooks/x"}, `names a program in its first line that is not here: "#!/no/such/shell"`},
		"not there":      {"", 0o755, []string{"hooks/y"}, "there is no "},
		"a directory":    {"", 0o755, []string{"./hooks"}, "is a directory"},
		"not installed":  {"", 0o755, []string{"no-such-program-anywhere"}, "is not installed here, or not on the PATH"},
		"a code":         {"#!/bin/sh\nexit 7\n", 0o755, []string{"hooks/x"}, "exit code 7"},
		"a signal":       {"#!/bin/sh\nkill -9 $$\n", 0o755, []string{"hooks/x"}, "it was ended by a signal: killed"},
	} {
		dir := script(t, "hooks/x", test.text, test.mode)
		if err := (Runner{}).Run(t.Context(), dir, test.argv, nil, nil, func(string) {}); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
}

// The whole group ends with the time: also what a script has begun, and what does not heed a signal.
func TestAGroupIsEndedWithItsTime(t *testing.T) {
	dir := script(t, "x", "#!/bin/sh\nsleep 600 &\necho $!\nwait\n", 0o755)
	late := errors.New("too late")
	ctx, cancel := context.WithCancelCause(t.Context())
	var heard said
	err := (Runner{}).Run(ctx, dir, []string{"./x"}, nil, nil, func(line string) { heard.say(line); cancel(late) })
	if !errors.Is(err, late) {
		t.Errorf("the error is %v", err)
	}
	child, err := strconv.Atoi(heard.text())
	if err != nil {
		t.Fatal(err)
	}
	for range 100 {
		if errors.Is(syscall.Kill(child, 0), syscall.ESRCH) || zombie(child) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("%d still runs", child)
}

// zombie tells whether a process has ended and nobody has asked how: who adopts it may be slow.
func zombie(pid int) bool {
	stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	return err == nil && strings.Contains(string(stat), ") Z ")
}

// What a hook leaves in the background does not hold the release up.
func TestWhatStaysInTheBackgroundIsNotWaitedFor(t *testing.T) {
	dir := script(t, "x", "#!/bin/sh\nsleep 5 &\necho begun\n", 0o755)
	var heard said
	began := time.Now()
	if err := (Runner{}).Run(t.Context(), dir, []string{"./x"}, nil, nil, heard.say); err != nil || heard.text() != "begun" || time.Since(began) > 4*time.Second {
		t.Errorf("%v, said %q after %s", err, heard.text(), time.Since(began))
	}
}

func TestALineWithoutAnEndIsCut(t *testing.T) {
	var heard said
	l := &lines{say: heard.say}
	for range 5 {
		_, _ = l.Write([]byte(strings.Repeat("x", 1000)))
	}
	_, _ = l.Write([]byte("\r\nend\xff\n"))
	l.rest()
	_, _ = l.Write([]byte("later\n"))
	if len(heard.lines) != 3 || len(heard.lines[0]) != lineLimit || heard.lines[2] != "end\uFFFD" {
		t.Errorf("%d lines, the last %q", len(heard.lines), heard.lines[len(heard.lines)-1])
	}
}
