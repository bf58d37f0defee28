package lab

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
)

const sshLog = "/var/log/lab-sshd.log"

// SSHLog reads sshd's own log since the host was made, reset or cleared: how many connections were authenticated by
// key, and what each session started: "command", "shell" or "subsystem 'sftp'", followed by "for USER". sshd does not
// log which command; and forwarded channels are no sessions. The host may be paused or stopped.
//
// Up, Start and Restart connect too, to see whether the host answers: clear the log after them. Reset leaves it empty.
func (h *Host) SSHLog(ctx context.Context) (accepted int, sessions []string, err error) {
	text, err := h.readFile(ctx, sshLog)
	if err != nil {
		return 0, nil, err
	}
	accepted, sessions = parseSSHLog(text)
	return accepted, sessions, nil
}

// ClearSSHLog empties the log, so that the next SSHLog counts from here.
func (h *Host) ClearSSHLog(ctx context.Context) error {
	_, err := h.Exec(ctx, "truncate", "-s", "0", sshLog)
	return err
}

func parseSSHLog(text string) (accepted int, sessions []string) {
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "Accepted publickey ") {
			accepted++
		}
		if started, ok := strings.CutPrefix(line, "Starting session: "); ok {
			what, _, _ := strings.Cut(started, " from ")
			sessions = append(sessions, what)
		}
	}
	return accepted, sessions
}

// readFile reads one file of the host through the engine's copy, which needs no process on the host.
func (h *Host) readFile(ctx context.Context, path string) (string, error) {
	packed, err := dockerRaw(ctx, nil, "cp", h.Container+":"+path, "-")
	if err != nil {
		return "", err
	}
	reader := tar.NewReader(bytes.NewReader(packed))
	if _, err := reader.Next(); err != nil {
		return "", fmt.Errorf("lab: read %s of host %s: %w", path, h.Name, err)
	}
	content, err := io.ReadAll(reader)
	if err != nil {
		return "", fmt.Errorf("lab: read %s of host %s: %w", path, h.Name, err)
	}
	return string(content), nil
}
