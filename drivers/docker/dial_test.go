package docker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/kamald/kamald/state"
)

// denied is a dial on a host that forwards no sockets.
func denied(context.Context, string, string) (net.Conn, error) {
	return nil, fmt.Errorf("web-1: sshd forwards no unix sockets: %w", state.ErrDenied)
}

// runHere runs a command of this machine, as a session on a host does.
func runHere(t *testing.T, started *atomic.Int64) func(context.Context, []string) (net.Conn, error) {
	return func(_ context.Context, argv []string) (net.Conn, error) {
		started.Add(1)
		command := exec.Command(argv[0], argv[1:]...)
		here, there := net.Pipe()
		command.Stdin, command.Stdout = there, there
		if err := command.Start(); err != nil {
			return nil, err
		}
		go func() {
			_ = command.Wait()
			there.Close()
		}()
		t.Cleanup(func() { here.Close(); _ = command.Process.Kill() })
		return here, nil
	}
}

func TestWhereSocketsAreForbiddenTheHostsDockerCommandIsTheWay(t *testing.T) {
	realEngine(t)
	if _, err := exec.LookPath("docker"); err != nil {
		t.Skip("NOT RUN: there is no docker command")
	}
	var started atomic.Int64
	e := New(denied, Options{Host: "web-1", Session: runHere(t, &started)})
	for range 3 {
		if _, err := e.Containers(t.Context(), state.Filter{Name: "kamald-test-none"}); err != nil {
			t.Fatal(err)
		}
	}
	if got := started.Load(); got != 1 {
		t.Errorf("%d commands were run for three calls in turn", got)
	}
}

func TestWithoutAnyWayToTheEngineTheErrorHasBothCauses(t *testing.T) {
	_, err := New(denied, Options{Host: "web-1"}).Containers(t.Context(), state.Filter{})
	if !errors.Is(err, state.ErrUnreachable) || !errors.Is(err, state.ErrDenied) || !strings.Contains(err.Error(), "sshd forwards no unix sockets") {
		t.Errorf("without sessions: %v", err)
	}
	session := func(context.Context, []string) (net.Conn, error) { return nil, errors.New("docker: not found") }
	_, err = New(denied, Options{Host: "web-1", Session: session}).Containers(t.Context(), state.Filter{})
	if !errors.Is(err, state.ErrUnreachable) || !strings.Contains(err.Error(), "forwards no unix sockets") || !strings.Contains(err.Error(), "docker: not found") {
		t.Errorf("without the command: %v", err)
	}
	complains := func(context.Context, []string) (net.Conn, error) {
		here, there := net.Pipe()
		there.Close()
		return complaint{here}, nil
	}
	_, err = New(denied, Options{Host: "web-1", Session: complains}).Containers(t.Context(), state.Filter{})
	if !errors.Is(err, state.ErrUnreachable) || !strings.Contains(err.Error(), "permission denied") {
		t.Errorf("with a command that complains: %v", err)
	}
}

// complaint is a command that ends with words on its stderr.
type complaint struct{ net.Conn }

func (complaint) Read([]byte) (int, error) {
	return 0, fmt.Errorf("docker: permission denied: %w", io.EOF)
}
func (complaint) Write(b []byte) (int, error) { return len(b), nil }

func TestASocketThatIsNotThereIsSaidSo(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "none.sock")
	_, err := New(DialLocal, Options{Host: "local", Socket: socket}).Info(t.Context())
	if !errors.Is(err, state.ErrUnreachable) || !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "there is no socket "+socket) {
		t.Errorf("got %v", err)
	}
}
