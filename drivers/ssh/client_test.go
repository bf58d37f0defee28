package ssh

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kamald/kamald/state"
)

// echo answers on a socket with what it is sent.
func echo(t *testing.T, network, address string) net.Listener {
	t.Helper()
	listener, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				io.Copy(conn, conn)
				conn.Close()
			}()
		}
	}()
	return listener
}

func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "k")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func TestSocketsTCPFilesAndCommandsShareOneConnection(t *testing.T) {
	u := newSetup(t)
	s := newServer(t, u.key)
	c := dialed(t, u.options, u.trusted(t, s))
	socket := filepath.Join(shortDir(t), "s")
	echo(t, "unix", socket)
	address := echo(t, "tcp", "127.0.0.1:0").Addr().String()
	for network, where := range map[string]string{"unix": socket, "tcp": address} {
		conn, err := c.Dial(t.Context(), network, where)
		if err != nil {
			t.Fatal(err)
		}
		conn.Write([]byte("hello"))
		got := make([]byte, 5)
		if _, err := io.ReadFull(conn, got); err != nil || string(got) != "hello" {
			t.Errorf("%s: %q, %v", network, got, err)
		}
		conn.Close()
	}
	files, err := c.SFTP(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if again, err := c.SFTP(t.Context()); err != nil || again != files {
		t.Errorf("a second SFTP client was opened: %v", err)
	}
	conn, err := c.Session(t.Context(), []string{"say", "it's $HOME", "a  b"})
	if err != nil {
		t.Fatal(err)
	}
	said, err := io.ReadAll(conn)
	if string(said) != `say "it's \$HOME" 'a  b'` || err == nil || !strings.Contains(err.Error(), "a complaint") {
		t.Errorf("command said %q, %v", said, err)
	}
	want := Stats{Connections: 1, UnixChannels: 1, TCPChannels: 1, SFTPChannels: 1, Sessions: 1}
	if got := c.Stats(); got != want || s.accepted.Load() != 1 {
		t.Errorf("stats %+v, want %+v; %d connections seen by the server", got, want, s.accepted.Load())
	}
}

func TestARefusedSocketSaysWhichCauseItIs(t *testing.T) {
	u := newSetup(t)
	s := newServer(t, u.key)
	c := dialed(t, u.options, u.trusted(t, s))
	dir := shortDir(t)
	_, err := c.DialUnix(t.Context(), dir+"/none")
	if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "there is no socket "+dir+"/none") {
		t.Errorf("a missing socket: %v", err)
	}
	os.WriteFile(dir+"/file", nil, 0o600)
	if _, err = c.DialUnix(t.Context(), dir+"/file"); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("a file: %v", err)
	}
	echo(t, "unix", dir+"/s")
	s.set(func() { s.noSockets = true })
	if _, err = c.DialUnix(t.Context(), dir+"/s"); !errors.Is(err, state.ErrDenied) || !strings.Contains(err.Error(), "AllowStreamLocalForwarding") {
		t.Errorf("forbidden: %v", err)
	}
}

func TestTCPThatIsForbiddenIsToldFromAPortThatIsClosed(t *testing.T) {
	u := newSetup(t)
	s := newServer(t, u.key)
	c := dialed(t, u.options, u.trusted(t, s))
	_, err := c.DialTCP(t.Context(), "127.0.0.1:1")
	if err == nil || errors.Is(err, state.ErrDenied) || errors.Is(err, state.ErrUnreachable) || !strings.Contains(err.Error(), "Connection refused") {
		t.Errorf("a closed port: %v", err)
	}
	s.set(func() { s.noTCP = true })
	if _, err = c.DialTCP(t.Context(), "127.0.0.1:1"); !errors.Is(err, state.ErrDenied) {
		t.Errorf("forbidden: %v", err)
	}
}

func TestAPeerThatStopsAnsweringIsGivenUp(t *testing.T) {
	u := newSetup(t)
	s := newServer(t, u.key)
	socket := filepath.Join(shortDir(t), "s")
	echo(t, "unix", socket)
	h := u.trusted(t, s)
	h.SSH.Keepalive = 10 * time.Millisecond
	c := dialed(t, u.options, h)
	for s.requests.Load() < 3 { // it answers keepalives, and the connection lives
		time.Sleep(time.Millisecond)
	}
	conn, err := c.DialUnix(t.Context(), socket)
	if err != nil {
		t.Fatal(err)
	}
	s.frozen.Store(true)
	if _, err := conn.Read(make([]byte, 1)); err == nil {
		t.Error("a stream of a peer that is gone gave something")
	}
	<-c.Done()
	_, err = c.DialUnix(t.Context(), socket)
	stage(t, err, StageLost, "no answer to a keepalive")
}

func TestClosingEndsWhatRunsOnTheConnection(t *testing.T) {
	u := newSetup(t)
	s := newServer(t, u.key)
	c := dialed(t, u.options, u.trusted(t, s))
	conn, err := c.DialTCP(t.Context(), echo(t, "tcp", "127.0.0.1:0").Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	<-c.Done()
	if _, err := conn.Read(make([]byte, 1)); err == nil {
		t.Error("a stream goes on after Close")
	}
	if _, err := c.SFTP(t.Context()); !errors.Is(err, state.ErrUnreachable) {
		t.Errorf("got %v", err)
	}
}

func TestOpeningAChannelEndsWithItsContext(t *testing.T) {
	u := newSetup(t)
	s := newServer(t, u.key)
	c := dialed(t, u.options, u.trusted(t, s))
	s.frozen.Store(true)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	_, socket := c.DialUnix(ctx, "/none")
	_, tcp := c.DialTCP(ctx, "127.0.0.1:1")
	_, files := c.SFTP(ctx)
	_, session := c.Session(ctx, []string{"true"})
	for _, err := range []error{socket, tcp, files, session} {
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
	}
}
