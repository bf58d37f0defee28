package secrets

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"
)

const (
	// commandTimeout leaves a person time to answer a password manager's question.
	commandTimeout = 60 * time.Second
	// shownStderr is how much of a failed command's complaint is shown, in bytes.
	shownStderr = 2048
)

// run gives a command's standard output without the line breaks at its end. The values that the files have given so far reach it
// as environment variables and never in its arguments, which every user of the machine can see.
func (d *Dotenv) run(script string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), commandTimeout)
	defer cancel()
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, "sh", "-c", script)
	cmd.Dir = d.dir
	cmd.Env = os.Environ()
	for _, name := range slices.Sorted(maps.Keys(d.values)) {
		if v := d.values[name]; v.known && !strings.Contains(name, ".") {
			cmd.Env = append(cmd.Env, name+"="+v.secret)
		}
	}
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.WaitDelay = time.Second // what it left behind may hold the pipes open
	err := cmd.Run()
	switch {
	case ctx.Err() != nil:
		return "", fmt.Errorf("its command did not end within %s: %w%s", commandTimeout, ctx.Err(), complaint(stderr.String()))
	case errors.Is(err, exec.ErrWaitDelay), err == nil:
		return strings.TrimRight(stdout.String(), "\r\n"), nil
	}
	return "", fmt.Errorf("its command failed: %w%s", err, complaint(stderr.String()))
}

func complaint(stderr string) string {
	stderr = strings.TrimSpace(stderr)
	if stderr == "" {
		return ""
	}
	if len(stderr) > shownStderr {
		stderr = "…" + strings.ToValidUTF8(stderr[len(stderr)-shownStderr:], "")
	}
	return ": " + stderr
}
