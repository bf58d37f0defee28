package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

// listenSSH is an SSH server on loopback that lets anybody in and serves nothing. It gives its port and its key.
func listenSSH(t *testing.T) (port string, key ssh.PublicKey) {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return listenSSHAs(t, signer, &ssh.ServerConfig{NoClientAuth: true})
}

func listenSSHAs(t *testing.T, signer ssh.Signer, config *ssh.ServerConfig) (port string, key ssh.PublicKey) {
	t.Helper()
	config.AddHostKey(signer)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go serveSSH(conn, config)
		}
	}()
	_, port, _ = net.SplitHostPort(listener.Addr().String())
	return port, signer.PublicKey()
}

func serveSSH(conn net.Conn, config *ssh.ServerConfig) {
	defer func() { _ = conn.Close() }()
	server, channels, requests, err := ssh.NewServerConn(conn, config)
	if err != nil {
		return
	}
	go ssh.DiscardRequests(requests)
	for channel := range channels {
		_ = channel.Reject(ssh.Prohibited, "this server serves nothing")
	}
	_ = server.Close()
}

// planOn plans a release on the server at a port, in a directory of the test's own.
func planOn(t *testing.T, port, knownHosts string) (code int, out, stderr string) {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("XDG_STATE_HOME", dir)
	t.Setenv("SSH_AUTH_SOCK", "")
	t.Setenv("HOME", dir)
	known := filepath.Join(dir, "known_hosts")
	if err := os.WriteFile(known, []byte(knownHosts), 0o600); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "deploy.hcl")
	text := fmt.Sprintf(`
service = "shop"
image   = "acme/shop"
version = "v1"
ssh {
  port        = %s
  known_hosts = [%q]
  config      = []
}
role "web" { hosts = ["127.0.0.1"] }
`, port, known)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var stdout, errs bytes.Buffer
	code = newProgram(&stdout, &errs).run([]string{"plan", "-c", file})
	return code, stdout.String(), errs.String()
}

func TestAnUnknownHostKeyIsRefusedWithItsFingerprintAndWhatWouldAcceptIt(t *testing.T) {
	port, key := listenSSH(t)
	code, out, stderr := planOn(t, port, "")
	if code != exitError {
		t.Errorf("exit code %d, want %d; %s", code, exitError, stderr)
	}
	for _, want := range []string{"127.0.0.1", "host key", ssh.FingerprintSHA256(key), "ssh-keyscan"} {
		if !strings.Contains(out, want) {
			t.Errorf("the plan does not say %q:\n%s", want, out)
		}
	}
}

func TestAChangedHostKeyIsRefused(t *testing.T) {
	port, key := listenSSH(t)
	_, other := listenSSH(t)
	line := fmt.Sprintf("[127.0.0.1]:%s %s", port, ssh.MarshalAuthorizedKey(other))
	code, out, _ := planOn(t, port, line)
	if code != exitError || !strings.Contains(out, ssh.FingerprintSHA256(key)) || !strings.Contains(out, "CHANGED") {
		t.Errorf("exit code %d, and the plan says\n%s", code, out)
	}
}

func TestAKnownHostKeyLeadsToTheEngine(t *testing.T) {
	port, key := listenSSH(t)
	line := fmt.Sprintf("[127.0.0.1]:%s %s", port, ssh.MarshalAuthorizedKey(key))
	code, out, _ := planOn(t, port, line)
	if code != exitError || strings.Contains(out, "host key") || !strings.Contains(out, "cannot be observed") {
		t.Errorf("exit code %d, and the plan says\n%s", code, out)
	}
}
