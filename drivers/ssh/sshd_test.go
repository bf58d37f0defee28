package ssh

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// realServer runs this machine's sshd on loopback with keys of its own, for the user of the test.
func realServer(t *testing.T, u setup, settings ...string) release.Host {
	t.Helper()
	binary := "/usr/sbin/sshd"
	if _, err := os.Stat(binary); err != nil {
		t.Skip("NOT RUN: there is no sshd on this machine")
	}
	separate(t)
	dir := shortDir(t)
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := free.Addr().(*net.TCPAddr).Port
	free.Close()
	config := append([]string{
		fmt.Sprintf("Port %d", port), "ListenAddress 127.0.0.1", "PidFile none", "UsePAM no", "StrictModes no", "PasswordAuthentication no",
		"PermitRootLogin prohibit-password", "Subsystem sftp internal-sftp", "LogLevel ERROR",
		"HostKey " + write("host", pem.EncodeToMemory(block)),
		"AuthorizedKeysFile " + write("keys", ssh.MarshalAuthorizedKey(u.key.signer.PublicKey())),
	}, settings...)
	command := exec.Command(binary, "-D", "-e", "-f", write("config", []byte(strings.Join(config, "\n")+"\n")))
	var said tail
	command.Stderr = &said
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = command.Wait(); close(ended) }()
	t.Cleanup(func() { _ = command.Process.Kill(); <-ended })
	awaitPort(t, port, ended, &said)
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	return release.Host{Name: "web-1", Address: "127.0.0.1", HostKey: ssh.FingerprintSHA256(signer.PublicKey()),
		SSH: release.SSH{User: me.Username, Port: port}}
}

// separate makes the directory that sshd drops its rights in, which a service script makes elsewhere. It is empty and the
// machine's own, so it stays when it was there.
func separate(t *testing.T) {
	t.Helper()
	const dir = "/run/sshd"
	if os.Geteuid() != 0 {
		return
	}
	if err := os.Mkdir(dir, 0o755); err == nil {
		t.Cleanup(func() { _ = os.Remove(dir) })
	}
}

// awaitPort asks until sshd listens; one that ended instead has no right to run here, or lacks its directory.
func awaitPort(t *testing.T, port int, ended <-chan struct{}, said *tail) {
	t.Helper()
	for {
		conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			conn.Close()
			return
		}
		select {
		case <-ended:
			t.Skipf("NOT RUN: this machine's sshd does not run for a test: %s", said)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func TestARealSSHDForwardsSocketsAndTCPAndServesFiles(t *testing.T) {
	u := newSetup(t)
	c := dialed(t, u.options, realServer(t, u))
	socket := filepath.Join(shortDir(t), "s")
	for _, listener := range []net.Listener{echo(t, "unix", socket), echo(t, "tcp", "127.0.0.1:0")} {
		conn, err := c.Dial(t.Context(), listener.Addr().Network(), listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		conn.Write([]byte("hello"))
		got := make([]byte, 5)
		if _, err := io.ReadFull(conn, got); err != nil || string(got) != "hello" {
			t.Errorf("%s: %q, %v", listener.Addr(), got, err)
		}
		conn.Close()
	}
	files, err := c.SFTP(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, extension := range []string{"posix-rename@openssh.com", "fsync@openssh.com", "statvfs@openssh.com"} {
		if _, offered := files.HasExtension(extension); !offered {
			t.Errorf("sshd offers no %s", extension)
		}
	}
	if _, err := c.DialUnix(t.Context(), "/none"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing socket: %v", err)
	}
	if _, err := c.DialTCP(t.Context(), "127.0.0.1:1"); err == nil || errors.Is(err, state.ErrDenied) || !strings.Contains(err.Error(), "Connection refused") {
		t.Errorf("a closed port: %v", err)
	}
	conn, err := c.Session(t.Context(), []string{"printf", "%s|", "it's $HOME", "a  b", "*"})
	if err != nil {
		t.Fatal(err)
	}
	if said, err := io.ReadAll(conn); err != nil || string(said) != "it's $HOME|a  b|*|" {
		t.Errorf("a command's words reached it as %q, %v", said, err)
	}
}

func TestARealSSHDThatForbidsForwardingIsToldFromOneWithoutTheSocket(t *testing.T) {
	for _, setting := range []string{"AllowTcpForwarding no", "AllowStreamLocalForwarding no", "DisableForwarding yes"} {
		u := newSetup(t)
		c := dialed(t, u.options, realServer(t, u, setting))
		socket := filepath.Join(shortDir(t), "s")
		echo(t, "unix", socket)
		if _, err := c.DialUnix(t.Context(), socket); !errors.Is(err, state.ErrDenied) {
			t.Errorf("%s: %v", setting, err)
		}
		_, err := c.DialTCP(t.Context(), "127.0.0.1:1")
		if forbidden := setting != "AllowStreamLocalForwarding no"; errors.Is(err, state.ErrDenied) != forbidden {
			t.Errorf("%s: TCP: %v", setting, err)
		}
	}
}

func TestARealSSHDReachesTheAgentHereWhereTheFileSaysSo(t *testing.T) {
	u := newSetup(t)
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	owns := ssh.FingerprintSHA256(signer.PublicKey())
	u.options.Agent = runAgent(t, private)
	listed := func(forward bool, settings ...string) string {
		host := realServer(t, u, settings...)
		host.SSH.ForwardAgent = forward
		conn, err := dialed(t, u.options, host).Session(t.Context(), []string{"sh", "-c", "ssh-add -l || true"})
		if err != nil {
			t.Fatal(err)
		}
		said, err := io.ReadAll(conn)
		if err != nil && !strings.Contains(err.Error(), "authentication agent") { // its complaint
			t.Fatal(err)
		}
		return string(said)
	}
	if said := listed(true); !strings.Contains(said, owns) {
		t.Errorf("the agent is not reached: %q", said)
	}
	for what, said := range map[string]string{"nobody asked": listed(false), "the server forbids it": listed(true, "AllowAgentForwarding no")} {
		if strings.Contains(said, owns) {
			t.Errorf("%s, and the agent is reached: %q", what, said)
		}
	}
	host := realServer(t, u)
	host.SSH.ForwardAgent = true
	t.Setenv("SSH_AUTH_SOCK", "")
	u.options.Agent = ""
	_, err = Dial(t.Context(), u.options, host)
	stage(t, err, StageConfig, "forward_agent", "SSH_AUTH_SOCK")
}
