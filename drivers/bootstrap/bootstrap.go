// Package bootstrap puts a container engine on a server that has none: by Docker's own script, or by the distribution's package.
// It needs a shell on the server, and root or a sudo that asks for no password.
package bootstrap

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kamald/kamald/state"
)

// Runner runs commands on the host.
type Runner interface {
	// Run runs a command to its end and gives its exit code. The error is for a command that could not be run or whose end was not
	// seen: when ctx ends the command is asked to stop.
	Run(ctx context.Context, argv []string, stdin io.Reader, stdout, stderr io.Writer) (int, error)
	// RunOn is Run for a command that is not to be cut short: when ctx ends it is left to itself and gets no signal.
	RunOn(ctx context.Context, argv []string, stdin io.Reader, stdout, stderr io.Writer) (int, error)
}

// Installer makes one host ready. It keeps what it has seen there for as long as it lives, which is one login.
type Installer struct {
	on Runner

	mu   sync.Mutex
	seen *sight
}

// New makes an installer on what runs commands on the host.
func New(on Runner) *Installer { return &Installer{on: on} }

// How long things may take. A package manager that waits for another, or a slow mirror, is no failure.
const (
	lookLimit     = 30 * time.Second
	stepLimit     = time.Minute
	downloadLimit = 5 * time.Minute
	installLimit  = 20 * time.Minute
	startLimit    = 2 * time.Minute
)

//go:embed look.sh
var lookScript string

//go:embed run.sh
var runScript string

// sight is what look.sh has told.
type sight struct {
	user    string
	groups  []string
	has     []string
	become  string
	refused string
	busy    string
}

// Look tells what is there; it changes nothing.
func (i *Installer) Look(ctx context.Context) (state.Ground, error) {
	s, err := i.look(ctx)
	if err != nil {
		return state.Ground{}, err
	}
	return state.Ground{User: s.user, Groups: s.groups, Become: s.become, Refused: s.refused,
		Client: s.there("docker"), Engine: s.there("dockerd"), Socket: s.there("socket"), Busy: s.busy}, nil
}

// Install puts Docker there, by its official script or by the distribution's package. say gets each line of what is said on
// the way. An installation that has begun goes on to its end when ctx is cancelled, and when the connection is lost.
func (i *Installer) Install(ctx context.Context, fromDistro bool, say func(line string)) error {
	s, err := i.look(ctx)
	if err != nil {
		return err
	}
	if fromDistro {
		return i.installPackage(ctx, s, say)
	}
	return i.installByScript(ctx, s, say)
}

// Admit adds the SSH user to the group docker, for logins from then on.
func (i *Installer) Admit(ctx context.Context) error {
	s, err := i.look(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := bound(ctx, stepLimit, "adding the user to the group")
	defer cancel()
	if _, err := i.root(ctx, s, "sh", "-c", "getent group docker || grep -q ^docker: /etc/group || groupadd --system docker || addgroup -S docker"); err != nil {
		return err
	}
	if s.there("usermod") {
		_, err = i.root(ctx, s, "usermod", "-aG", state.DockerGroup, s.user)
	} else {
		_, err = i.root(ctx, s, "addgroup", s.user, state.DockerGroup)
	}
	return err
}

// Private

// look runs look.sh, once.
func (i *Installer) look(ctx context.Context) (*sight, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.seen != nil {
		return i.seen, nil
	}
	ctx, cancel := bound(ctx, lookLimit, "looking at what is there")
	defer cancel()
	said, _, err := i.output(ctx, []string{"sh", "-s"}, lookScript)
	if err != nil {
		return nil, fmt.Errorf("looking at what is there: %w", err)
	}
	if i.seen = parseSight(said); i.seen.user == "" {
		i.seen = nil
		return nil, fmt.Errorf("looking at what is there: the host answers %q: is there a shell (sh) with id and command?", clean(said))
	}
	return i.seen, nil
}

func parseSight(said string) *sight {
	s := &sight{}
	for line := range strings.Lines(said) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		switch name {
		case "user":
			s.user = value
		case "groups":
			s.groups = strings.Fields(value)
		case "has":
			s.has = append(s.has, value)
		case "become":
			s.become = value
		case "refused":
			s.refused = clean(value)
		case "busy":
			s.busy = clean(value)
		}
	}
	return s
}

func (s *sight) there(name string) bool { return slices.Contains(s.has, name) }

// as is a command as root runs it.
func (s *sight) as(argv ...string) []string {
	if s.become == state.RootSudo {
		return append([]string{"sudo", "-n"}, argv...)
	}
	return argv
}

// root runs a command as root and gives what it said on stdout; one that ends otherwise than with 0 is an error.
func (i *Installer) root(ctx context.Context, s *sight, argv ...string) (string, error) {
	said, _, err := i.output(ctx, s.as(argv...), "")
	return said, err
}

func (i *Installer) output(ctx context.Context, argv []string, stdin string) (said, complained string, err error) {
	var stdout, stderr bytes.Buffer
	code, err := i.on.Run(ctx, argv, strings.NewReader(stdin), &stdout, &stderr)
	switch {
	case ctx.Err() != nil:
		return "", "", context.Cause(ctx)
	case err != nil:
		return "", "", err
	case code != 0:
		return "", "", &ExitError{Command: name(argv), Code: code, Said: lastLines(stdout.String() + stderr.String())}
	}
	return stdout.String(), stderr.String(), nil
}

// carry runs a command as root that is not to be cut short, and shows what it says. dir is the command's own and removed after it: where
// nobody is left to be told of a failure, dir is left too, with what the command has said.
func (i *Installer) carry(ctx context.Context, s *sight, dir string, limit time.Duration, say func(string), argv ...string) error {
	if err := context.Cause(ctx); err != nil {
		return errors.Join(err, i.clear(ctx, s, dir))
	}
	began, cancel := bound(context.WithoutCancel(ctx), limit, name(argv))
	defer cancel()
	shown := &lines{say: say}
	var failed bytes.Buffer
	code, err := i.on.RunOn(began, s.as(append([]string{"sh", "-s", "--", dir}, argv...)...), strings.NewReader(runScript), shown, &failed)
	shown.end()
	switch {
	case began.Err() != nil:
		return fmt.Errorf("%w; it goes on there, and what it says is in %s/log", context.Cause(began), dir)
	case err != nil:
		return fmt.Errorf("%w; %s goes on there, and what it says is in %s/log", err, name(argv), dir)
	case code != 0:
		return errors.Join(&ExitError{Command: name(argv), Code: code, Said: lastLines(failed.String())}, i.clear(ctx, s, dir))
	}
	return nil
}

// workspace makes a directory that only root can look into.
func (i *Installer) workspace(ctx context.Context, s *sight) (string, error) {
	ctx, cancel := bound(ctx, stepLimit, "making a directory")
	defer cancel()
	said, err := i.root(ctx, s, "mktemp", "-d", workspaces+"XXXXXX")
	if err != nil {
		return "", err
	}
	dir := strings.TrimSpace(said)
	if !strings.HasPrefix(dir, workspaces) || strings.ContainsAny(strings.TrimPrefix(dir, workspaces), "/.") {
		return "", fmt.Errorf("mktemp made %q, and not a directory of the form %sXXXXXX", dir, workspaces)
	}
	return dir, nil
}

// workspaces lie where they do not outlive a boot.
const workspaces = "/run/kamald-bootstrap."

// clear takes a workspace away, also after an interruption.
func (i *Installer) clear(ctx context.Context, s *sight, dir string) error {
	ctx, cancel := bound(context.WithoutCancel(ctx), stepLimit, "removing "+dir)
	defer cancel()
	_, err := i.root(ctx, s, "rm", "-rf", dir)
	return err
}

// bound is a context that ends after limit, saying what took so long.
func bound(ctx context.Context, limit time.Duration, what string) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, limit, fmt.Errorf("%s did not end within %s", what, limit))
}

// ExitError: a command ended otherwise than with 0.
type ExitError struct {
	Command string
	Code    int
	Said    []string // its last lines
}

// Error implements error.
func (e *ExitError) Error() string {
	text := fmt.Sprintf("%s ended with %d", e.Command, e.Code)
	switch len(e.Said) {
	case 0:
	case 1:
		text += ": " + e.Said[0]
	default:
		text += "; it said last:\n  | " + strings.Join(e.Said, "\n  | ")
	}
	return text + e.hint()
}

// hint says what the words of package managers mean.
func (e *ExitError) hint() string {
	said := strings.Join(e.Said, "\n")
	for _, words := range []string{"Could not get lock", "is locked by another process", "System management is locked", "Unable to lock database"} {
		if strings.Contains(said, words) {
			return "\n  another program installs packages there, as fresh servers do after their first boot: do the same again when it is through"
		}
	}
	return ""
}

// name is a command without what only runs it.
func name(argv []string) string {
	for n, word := range argv {
		rest := argv[n+1:]
		switch {
		case word == "sudo" || word == "-n" || word == "env" || strings.Contains(word, "="):
			continue
		case word == "sh" && len(rest) == 2 && rest[0] == "-c":
			return rest[1]
		case word == "sh" && len(rest) > 0 && strings.HasPrefix(rest[0], "/"):
			return "sh " + rest[0]
		}
		return word
	}
	return strings.Join(argv, " ")
}
