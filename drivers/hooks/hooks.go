// Package hooks runs commands on the machine that kamald runs on, around a release: by their words, with no shell in between, each in a
// process group of its own.
package hooks

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/kamald/kamald/release"
)

const (
	// grace is how long a command that is asked to end may take, before it is killed.
	grace = 5 * time.Second
	// lingering is how long output is waited for that something the command left behind may still write.
	lingering = time.Second
)

// Runner runs commands.
type Runner struct {
	// Environ is the environment that commands have besides; nil: this process's.
	Environ func() []string
}

// Run runs a command to its end in a directory, with no input. Its environment is this process's with env laid over it (a variable
// without a value is taken away), and the secrets. say gets each line of what it writes, to either output, one at a time. When ctx ends
// the whole process group is asked to end, and killed after a while; the error is the context's cause then. A command that ends with
// another code than 0 is an *ExitError.
func (r Runner) Run(ctx context.Context, dir string, argv []string, env map[string]string, secrets map[string]release.Secret, say func(line string)) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	path, err := find(dir, argv[0])
	if err != nil {
		return err
	}
	out := &lines{say: say}
	cmd := exec.Command(path, argv[1:]...)
	cmd.Args[0] = argv[0]
	cmd.Dir, cmd.Env, cmd.WaitDelay = dir, r.environ(env, secrets), lingering
	cmd.Stdout, cmd.Stderr = out, out // one writer: exec gives it one pipe
	ownGroup(cmd)
	if err := cmd.Start(); err != nil {
		return notStarted(path, err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	select {
	case err = <-done:
	case <-ctx.Done():
		end(cmd, done)
		err = context.Cause(ctx)
	}
	out.rest()
	return ended(err)
}

// end asks the group to end, and kills what is left of it.
func end(cmd *exec.Cmd, done <-chan error) {
	askGroup(cmd)
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-done:
		killGroup(cmd) // what has outlived its parent
	case <-timer.C:
		killGroup(cmd)
		<-done
	}
}

// environ is what a command's environment is.
func (r Runner) environ(env map[string]string, secrets map[string]release.Secret) []string {
	given := os.Environ
	if r.Environ != nil {
		given = r.Environ
	}
	list := slices.DeleteFunc(slices.Clone(given()), func(variable string) bool {
		name, _, _ := strings.Cut(variable, "=")
		_, ours := env[name]
		_, secret := secrets[name]
		return ours || secret
	})
	for name, secret := range secrets {
		list = append(list, name+"="+secret.Reveal())
	}
	for name, value := range env {
		if value != "" {
			list = append(list, name+"="+value)
		}
	}
	slices.Sort(list)
	return list
}

// find gives the program's path. A name with a slash in it is relative to the directory, any other one is looked up on the PATH.
func find(dir, name string) (string, error) {
	if !strings.ContainsRune(name, '/') {
		path, err := exec.LookPath(name)
		if err != nil {
			return "", fmt.Errorf("%s is not installed here, or not on the PATH", name)
		}
		return path, nil
	}
	path := name
	if !filepath.IsAbs(path) {
		path = filepath.Join(dir, path)
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return "", fmt.Errorf("there is no %s", path)
	case err != nil:
		return "", err
	case info.IsDir():
		return "", fmt.Errorf("%s is a directory, and no program", path)
	case !executable(info):
		return "", fmt.Errorf("%s is not executable: `chmod +x %s`", path, path)
	}
	return path, nil
}

// notStarted says what is wrong with a program that is there and does not start.
func notStarted(path string, err error) error {
	switch {
	case noProgram(err):
		return fmt.Errorf("%s is no program, and a script needs a first line that says what runs it, such as #!/bin/sh", path)
	case errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("%s names a program in its first line that is not here: %s", path, firstLine(path))
	}
	return fmt.Errorf("%s does not start: %w", path, err)
}

// firstLine is how a script begins.
func firstLine(path string) string {
	file, err := os.Open(path)
	if err != nil {
		return "it cannot be read"
	}
	defer func() { _ = file.Close() }() // it was only read
	begins := make([]byte, 120)
	n, _ := file.Read(begins)
	line, _, _ := strings.Cut(string(begins[:n]), "\n")
	return fmt.Sprintf("%q", line)
}

// ExitError is how a command ended that did not succeed.
type ExitError struct {
	Code   int    // -1 when a signal ended it
	Signal string // that ended it; "" for none
}

func (e *ExitError) Error() string {
	if e.Signal != "" {
		return "it was ended by a signal: " + e.Signal
	}
	return fmt.Sprintf("exit code %d", e.Code)
}

func ended(err error) error {
	exit, is := errors.AsType[*exec.ExitError](err)
	switch {
	case errors.Is(err, exec.ErrWaitDelay):
		return nil // the command itself has ended well, and what it left behind holds its output
	case is:
		return &ExitError{Code: exit.ExitCode(), Signal: signalOf(exit)}
	}
	return err
}
