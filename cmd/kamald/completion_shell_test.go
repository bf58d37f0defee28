//go:build linux

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"
	"github.com/creack/pty"
)

// shells are how each is begun so that it knows kamald's completion and nothing of this machine's.
var shells = map[string]struct {
	needs string // a file
	args  []string
	ready string // what is typed first; the script is in $SCRIPT
}{
	"bash": {"/usr/share/bash-completion/bash_completion", []string{"--norc", "--noprofile", "-i"}, `bind 'set bell-style none'; bind 'set show-all-if-ambiguous on'; . /usr/share/bash-completion/bash_completion; . "$SCRIPT"`},
	"zsh":  {"", []string{"-f", "-i"}, `unsetopt beep; autoload -U compinit; compinit -u -D; . "$SCRIPT"`},
	"fish": {"", nil, ""},
}

// What a person is offered who presses the tabulator in a real shell.
func TestARealShellOffersWhatTheFileAndTheStoreHave(t *testing.T) {
	dir := t.TempDir()
	text := "service = \"shop\"\nimage = \"acme/shop\"\nhost \"jobs-1\" { address = \"10.0.0.3\" }\nrole \"web\" { hosts = [\"web-1\", \"web-2\"] }\nrole \"workers\" { hosts = [\"jobs-1\"] }\n"
	if err := os.WriteFile(filepath.Join(dir, "deploy.hcl"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	released(t, filepath.Join(dir, "kamald", "state.db"))
	bin := filepath.Dir(builtProgram(t))
	for name, how := range shells {
		t.Run(name, func(t *testing.T) {
			path, err := exec.LookPath(name)
			if err != nil {
				t.Skipf("NOT RUN: %s is not installed", name)
			}
			if _, err := os.Stat(how.needs); how.needs != "" && err != nil {
				t.Skipf("NOT RUN: %s is not installed", how.needs)
			}
			script, err := exec.Command(filepath.Join(bin, "kamald"), "completion", name).Output()
			if err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(t.TempDir(), "kamald."+name)
			if err := os.WriteFile(file, script, 0o600); err != nil {
				t.Fatal(err)
			}
			env := append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "HOME="+dir, "XDG_STATE_HOME="+dir, "XDG_CONFIG_HOME="+dir, "SCRIPT="+file, "TERM=xterm", "PS1=ready> ", "LC_ALL=C.UTF-8")
			for line, want := range map[string][]string{
				"kamald status --hosts w": {"web-1", "web-2"}, "kamald plan --roles ": {"web", "workers"},
				"kamald plan --version ": {"v1", "v2"}, "kamald rollback ": {"3", "1"}, "kamald app re": {"remove", "restart"},
			} {
				offered := inShell
				if name == "fish" {
					offered = inFish
				}
				if said := offered(t, path, dir, how.ready, env, how.args, line, want); !said {
					t.Errorf("%q is not offered %q", line, want)
				}
			}
		})
	}
}

// inFish asks fish, which tells of itself what it would offer.
func inFish(t *testing.T, path, dir, _ string, env, _ []string, line string, want []string) bool {
	t.Helper()
	cmd := exec.Command(path, "--no-config", "-c", `source "$SCRIPT"; complete -C "`+line+`"`)
	cmd.Dir, cmd.Env = dir, env
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var got []string
	for each := range strings.Lines(string(out)) {
		word, _, _ := strings.Cut(strings.TrimSpace(each), "\t")
		got = append(got, word)
	}
	t.Logf("%q: %q", line, got)
	return !slices.ContainsFunc(want, func(word string) bool { return !slices.Contains(got, word) })
}

// inShell types a line and the tabulator, twice, in a terminal, and looks for each word among what comes.
func inShell(t *testing.T, path, dir, ready string, env, args []string, line string, want []string) bool {
	t.Helper()
	cmd := exec.Command(path, args...)
	cmd.Dir, cmd.Env = dir, env
	master, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 30, Cols: 100})
	if err != nil {
		t.Fatal(err)
	}
	came := make(chan string)
	go func() {
		defer close(came)
		buffer := make([]byte, 1<<15)
		for {
			n, err := master.Read(buffer)
			if err != nil {
				return // it has ended
			}
			came <- string(buffer[:n])
		}
	}()
	defer func() {
		_ = cmd.Process.Kill()
		for range came { //nolint:revive // until it has ended
		}
		_ = cmd.Wait()
		_ = master.Close()
	}()
	seen := ""
	until := func(done func(text string) bool) bool {
		seen = ""
		for limit := time.After(20 * time.Second); ; {
			select {
			case text, open := <-came:
				if seen += text; done(ansi.Strip(seen)) {
					return true
				}
				if !open {
					return false
				}
			case <-limit:
				return false
			}
		}
	}
	types := func(text string) {
		if _, err := master.WriteString(text); err != nil {
			t.Fatal(err)
		}
	}
	types(ready + "; echo begun-here | tr a-z A-Z\n")
	if !until(func(text string) bool { return strings.Contains(text, "BEGUN-HERE") }) {
		t.Fatalf("%s does not begin: %s", path, seen)
	}
	types(line + "\t\t")
	found := until(func(text string) bool {
		_, text, _ = strings.Cut(text, line)
		words := strings.Fields(text)
		return !slices.ContainsFunc(want, func(word string) bool { return !slices.Contains(words, word) })
	})
	t.Logf("%q: %q", line, ansi.Strip(seen))
	return found
}
