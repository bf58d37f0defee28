package contract

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"
)

// process is a proxy that runs as a process of this machine.
type process struct {
	binary string
	env    []string
	ports  map[port]int
	cmd    *exec.Cmd
	ended  chan struct{}
	out    output
}

// output gathers what is written from several sides.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

func newProcess(t *testing.T, s subject, dir string) *process {
	t.Helper()
	h := &process{binary: s.binary, ports: map[port]int{}}
	for _, name := range []port{httpPort, httpsPort, metricsPort} {
		number, err := freePort()
		if err != nil {
			t.Fatal(err)
		}
		h.ports[name] = number
	}
	h.env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + filepath.Join(dir, "home"),
		"XDG_RUNTIME_DIR=" + filepath.Join(dir, "run"), "TMPDIR=" + dir, "KAMAL_PROXY_BIND=127.0.0.1"}
	return h
}

func (h *process) start(flags, env []string) error {
	args := []string{"run"}
	if len(env) == 0 {
		args = append(args, "--http-port", strconv.Itoa(h.ports[httpPort]), "--https-port", strconv.Itoa(h.ports[httpsPort]))
	}
	cmd := exec.Command(h.binary, append(args, flags...)...)
	cmd.Env = append(h.env, env...)
	cmd.Stdout, cmd.Stderr = &h.out, &h.out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	h.cmd, h.ended = cmd, make(chan struct{})
	go func(ended chan struct{}) {
		_ = cmd.Wait()
		close(ended)
	}(h.ended)
	return nil
}

func (h *process) stop(kill bool) (int, error) {
	if h.cmd == nil {
		return 0, nil
	}
	var err error
	if kill {
		err = syscall.Kill(-h.cmd.Process.Pid, syscall.SIGKILL) // what it has started with it
	} else {
		err = h.cmd.Process.Signal(syscall.SIGTERM)
	}
	if errors.Is(err, syscall.ESRCH) || errors.Is(err, os.ErrProcessDone) {
		err = nil
	}
	select {
	case <-h.ended:
	case <-time.After(patience):
		return 0, errors.Join(err, fmt.Errorf("it goes on %s after it was told to end", patience))
	}
	code := h.cmd.ProcessState.ExitCode()
	h.cmd = nil
	return code, err
}

func (h *process) command(ctx context.Context, args []string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, h.binary, args...)
	cmd.Env = h.env
	return cmd
}

func (h *process) kill(cmd *exec.Cmd, _ []string) error { return cmd.Process.Kill() }

func (h *process) address(name port) string { return fmt.Sprintf("127.0.0.1:%d", h.ports[name]) }
func (h *process) inside(name port) int     { return h.ports[name] }
func (h *process) appIP() string            { return "127.0.0.1" }
func (h *process) log() string              { return h.out.String() }
