//go:build linux

package main

import (
	"bufio"
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

// unheard bounds what a test waits for; what comes is not waited for longer than it takes.
const unheard = 20 * time.Second

// bastionMachine is a directory with kamald.hcl, an app whose one host cannot be reached, and a kamald that is built.
type bastionMachine struct {
	t        *testing.T
	dir, bin string
}

func newBastionMachine(t *testing.T) *bastionMachine {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "kamald") // the path of a socket is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	b := &bastionMachine{t: t, dir: dir, bin: builtProgram(t)}
	b.write("deploy.hcl", `
service = "shop"
image   = "acme/shop"
version = "v1"
ssh {
  keys = ["${env("CREDENTIALS_DIRECTORY")}/id_ed25519"]
}
host "web-1" {
  address = "127.0.0.1"
  port    = 1
}
role "web" {
  hosts = ["web-1"]
}
proxy {
  app_port = 3000
}
reconcile {
  mode = "report"
}
`)
	b.configure("")
	b.write("shop.secrets", "HOOK=https://127.0.0.1:1/hook\n")
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		t.Fatal(err)
	}
	b.write("id_ed25519", string(pem.EncodeToMemory(key)))
	return b
}

// configure writes kamald.hcl.
func (b *bastionMachine) configure(more string) {
	b.t.Helper()
	b.write("kamald.hcl", fmt.Sprintf(`
store { bolt = %q }
listen { socket = %q }
app "shop" {
  source "file" { path = "deploy.hcl" }
  secrets { files = ["${env("CREDENTIALS_DIRECTORY")}/shop.secrets"] }
  notify "webhook" { url = secret("HOOK") }
}
%s`, b.path("store/state.db"), b.path("kamald.sock"), more))
}

func (b *bastionMachine) path(name string) string { return filepath.Join(b.dir, name) }

func (b *bastionMachine) write(name, text string) {
	b.t.Helper()
	if err := os.WriteFile(b.path(name), []byte(text), 0o600); err != nil {
		b.t.Fatal(err)
	}
}

// daemonProcess is a `kamald run` that a test has begun as a service manager would.
type daemonProcess struct {
	t     *testing.T
	cmd   *exec.Cmd
	lines chan string // of its log
	said  *bytes.Buffer
	mu    *sync.Mutex
	ended chan struct{}
}

// begin starts one; it ends with the test. LISTEN_PID and WATCHDOG_PID are its own process where a socket or a watchdog is given.
func (b *bastionMachine) begin(given *os.File, env ...string) *daemonProcess {
	b.t.Helper()
	cmd := exec.Command("sh", "-c", `WATCHDOG_PID=$$ LISTEN_PID=$$ exec "$0" run -f "$1"`, b.bin, b.path("kamald.hcl"))
	cmd.Env = append(os.Environ(), "CREDENTIALS_DIRECTORY="+b.dir, "HOME="+b.dir, "SSH_AUTH_SOCK=", "GORACE=")
	cmd.Env = append(cmd.Env, env...)
	if given != nil {
		cmd.ExtraFiles = []*os.File{given}
		cmd.Env = append(cmd.Env, "LISTEN_FDS=1")
	}
	r, w, err := os.Pipe()
	if err != nil {
		b.t.Fatal(err)
	}
	cmd.Stderr = w
	if err := cmd.Start(); err != nil {
		b.t.Fatal(err)
	}
	_ = w.Close()
	d := &daemonProcess{t: b.t, cmd: cmd, lines: make(chan string, 1000), said: &bytes.Buffer{}, mu: &sync.Mutex{}, ended: make(chan struct{})}
	go func() {
		defer close(d.lines)
		for lines := bufio.NewScanner(r); lines.Scan(); {
			d.mu.Lock()
			d.said.WriteString(lines.Text() + "\n")
			d.mu.Unlock()
			d.lines <- lines.Text()
		}
		_ = r.Close()
	}()
	go func() {
		_ = cmd.Wait() // its exit code is what counts
		close(d.ended)
	}()
	b.t.Cleanup(func() { _ = cmd.Process.Kill(); <-d.ended })
	return d
}

// logs returns the next line of the log with the text in it.
func (d *daemonProcess) logs(text string) string {
	d.t.Helper()
	limit := time.After(unheard)
	for {
		select {
		case line, ok := <-d.lines:
			if !ok {
				d.t.Fatalf("it ended and never said %q:\n%s", text, d.log())
			}
			if strings.Contains(line, text) {
				return line
			}
		case <-limit:
			d.t.Fatalf("it never said %q:\n%s", text, d.log())
		}
	}
}

func (d *daemonProcess) log() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.said.String()
}

func (d *daemonProcess) signal(s os.Signal) {
	d.t.Helper()
	if err := d.cmd.Process.Signal(s); err != nil {
		d.t.Fatal(err)
	}
}

// ends waits for its end and gives its exit code.
func (d *daemonProcess) ends() int {
	d.t.Helper()
	select {
	case <-d.ended:
	case <-time.After(unheard):
		d.t.Fatalf("it does not end:\n%s", d.log())
	}
	return d.cmd.ProcessState.ExitCode()
}

// manager is the socket that a service manager would listen on.
func (b *bastionMachine) manager() (*net.UnixConn, string) {
	b.t.Helper()
	path := b.path("notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = conn.Close() })
	return conn, "NOTIFY_SOCKET=" + path
}

// hears gives the next message that is no sign of life, or with life the next sign of it.
func hears(t *testing.T, conn *net.UnixConn, life bool) string {
	t.Helper()
	if err := conn.SetReadDeadline(time.Now().Add(unheard)); err != nil {
		t.Fatal(err)
	}
	for buffer := make([]byte, 4096); ; {
		n, err := conn.Read(buffer)
		if err != nil {
			t.Fatalf("the manager hears nothing: %v", err)
		}
		if said := string(buffer[:n]); (said == "WATCHDOG=1") == life {
			return said
		}
	}
}

// asks gives the status that the daemon's socket answers with.
func asks(socket string) (int, error) {
	client := &http.Client{Timeout: unheard, Transport: &http.Transport{DisableKeepAlives: true, Dial: func(string, string) (net.Conn, error) {
		return net.Dial("unix", socket)
	}}}
	response, err := client.Get("http://kamald/v1/apps/shop")
	if err != nil {
		return 0, err
	}
	_, _ = io.Copy(io.Discard, response.Body)
	return response.StatusCode, response.Body.Close()
}
