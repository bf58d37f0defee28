package secrets

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"
)

const (
	// commandTimeout leaves a person time to answer what a password manager asks in a window of its own.
	commandTimeout = 60 * time.Second
	// loginTimeout leaves one time to log in, in a browser perhaps.
	loginTimeout = 5 * time.Minute
	// shownStderr is how much of a failed command's complaint is shown, in bytes.
	shownStderr = 2048
)

// surroundings are what commands run in.
type surroundings struct {
	dir      string
	env      func(string) (string, bool)
	terminal *os.File  // where a person answers; nil: nobody is there
	prompts  io.Writer // where the person is asked
	timeout  time.Duration
}

// here is a directory, this process's environment, and its terminal if it has one.
func here(dir string) surroundings {
	at := surroundings{dir: dir, env: os.LookupEnv, prompts: os.Stderr, timeout: commandTimeout}
	if term.IsTerminal(int(os.Stdin.Fd())) {
		at.terminal = os.Stdin
	}
	return at
}

// run runs a command in the directory, with some NAME=value beside this process's environment. What it complains of goes to its
// Stderr too, where that is set.
func (at surroundings) run(cmd *exec.Cmd, env []string) (stdout []byte, stderr string, err error) {
	var said, complaint bytes.Buffer
	cmd.Dir = at.dir
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout = &said
	if cmd.Stderr == nil {
		cmd.Stderr = &complaint
	} else {
		cmd.Stderr = io.MultiWriter(&complaint, cmd.Stderr)
	}
	cmd.WaitDelay = time.Second // what it left behind may hold the pipes open
	err = cmd.Run()
	if errors.Is(err, exec.ErrWaitDelay) {
		err = nil
	}
	return said.Bytes(), complaint.String(), err
}

// asking keeps two programs from asking on the terminal at once.
var asking sync.Mutex

// tool runs a vendor's program. Session tokens reach it as environment variables and never in its arguments, which every user
// of the machine can see.
type tool struct {
	*adapter
	at      surroundings
	path    string
	session []string // NAME=value
}

func newTool(a *adapter, at surroundings) (*tool, error) {
	t := &tool{adapter: a, at: at}
	if a.program == "" {
		return t, nil
	}
	path, err := exec.LookPath(a.program)
	if err != nil {
		return nil, fmt.Errorf("%s: its command line, %s, is not installed here or not on the PATH: install it (%s)", a.title, a.program, a.install)
	}
	t.path = path
	return t, nil
}

// run gives what the program writes. It gets no input: one that asks finds nobody there.
func (t *tool) run(ctx context.Context, args ...string) ([]byte, error) {
	return t.call(ctx, t.at.timeout, nil, args)
}

// ask is run with a person at the terminal. Nobody there is an error that says how to log in otherwise, and with what words the
// program said no before (refusal may be nil): it need not have been about the login.
func (t *tool) ask(ctx context.Context, refusal error, otherwise string, args ...string) ([]byte, error) {
	switch {
	case t.at.terminal == nil && refusal != nil:
		return nil, fmt.Errorf("%s: not logged in, and no terminal is here to ask at: %s; %w", t.title, otherwise, refusal)
	case t.at.terminal == nil:
		return nil, fmt.Errorf("%s: not logged in, and no terminal is here to ask at: %s", t.title, otherwise)
	}
	out, err := t.call(ctx, max(t.at.timeout, loginTimeout), t.at.terminal, args)
	if err != nil {
		return nil, fmt.Errorf("%s: the login failed: %w", t.title, err)
	}
	return out, nil
}

func (t *tool) call(ctx context.Context, timeout time.Duration, input *os.File, args []string) ([]byte, error) {
	bounded, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	cmd := exec.CommandContext(bounded, t.path, args...)
	if input != nil {
		asking.Lock()
		defer asking.Unlock()
		cmd.Stdin, cmd.Stderr = input, t.at.prompts
	}
	stdout, stderr, err := t.at.run(cmd, t.session)
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case bounded.Err() != nil:
		return nil, fmt.Errorf("%s did not end within %s%s", t.program, timeout, t.complaint(stderr))
	case err != nil:
		return nil, fmt.Errorf("%s failed: %w%s", t.program, err, t.complaint(stderr))
	}
	return stdout, nil
}

// complaint is what the program said of its failure, without the session's token.
func (t *tool) complaint(stderr string) string {
	for _, variable := range t.session {
		_, token, _ := strings.Cut(variable, "=")
		stderr = strings.ReplaceAll(stderr, token, "(secret)")
	}
	return complaint(stderr)
}

// control is what a terminal would obey and not show.
var control = regexp.MustCompile(`\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*|[\x00-\x08\x0b-\x1f\x7f]`)

func complaint(stderr string) string {
	stderr = strings.TrimSpace(control.ReplaceAllString(strings.ToValidUTF8(stderr, ""), ""))
	if stderr == "" {
		return ""
	}
	if len(stderr) > shownStderr {
		stderr = "…" + strings.ToValidUTF8(stderr[len(stderr)-shownStderr:], "")
	}
	return ": " + stderr
}

// refused tells a program's own no from one that did not run to its end.
func refused(err error) bool {
	var exit *exec.ExitError
	return errors.As(err, &exit)
}

// decode reads the program's answer. Why it cannot be read is not said: the reason would quote from it.
func (t *tool) decode(answer []byte, into any) error {
	if json.Unmarshal(answer, into) != nil {
		return fmt.Errorf("%s: what %s answered cannot be read: it is not the JSON that was expected; perhaps this version of it is another", t.title, t.program)
	}
	return nil
}

// cannot says what was not read.
func (t *tool) cannot(what string, err error) error {
	return fmt.Errorf("%s: cannot read %s: %w", t.title, what, err)
}

// lacks says which key has no value.
func (t *tool) lacks(key, where string) error {
	return fmt.Errorf("%s: there is no %s%s", t.title, key, where)
}

func (t *tool) lacksAccount(such string) error {
	return fmt.Errorf("%s: an account is needed, such as %s: --account, or account in its fetch block", t.title, such)
}

// needs says what a query lacks that every one of this source has.
func (t *tool) needs(q Query) error {
	switch {
	case t.account != "" && q.Account == "":
		return t.lacksAccount(t.account)
	case t.keys && len(q.Keys) == 0:
		return fmt.Errorf("%s: no key is given: name what to fetch", t.title)
	}
	return nil
}

func (t *tool) variable(name string) string {
	value, _ := t.at.env(name)
	return value
}
