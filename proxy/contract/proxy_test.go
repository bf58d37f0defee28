package contract

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// patience bounds what would hang; no row waits for it when it holds.
const patience = 20 * time.Second

// proxy is a running proxy of its own for one row, with a directory that it sees under the same path.
type proxy struct {
	t      *testing.T
	host   host
	dir    string
	flags  []string
	client *http.Client
	kamal  bool
	asked  bool // whether the row looked for a difference
}

// host is where the proxy runs: as a process here, or in a container.
type host interface {
	start(flags, env []string) error
	stop(kill bool) (code int, err error)
	command(ctx context.Context, args []string) *exec.Cmd
	kill(cmd *exec.Cmd, args []string) error // kills the command itself, without a chance to say goodbye
	address(port port) string                // where a port of the proxy is reached from here
	inside(port port) int                    // the port's number where the proxy runs
	appIP() string                           // where apps listen so that the proxy reaches them
	log() string
}

// port names what a proxy listens at.
type port int

const (
	httpPort port = iota
	httpsPort
	metricsPort
)

// result is what a command came to.
type result struct {
	code           int
	stdout, stderr string
}

// newProxy starts a proxy that ends with the test.
func newProxy(t *testing.T, s subject) *proxy {
	t.Helper()
	// Not t.TempDir: a socket's path may be 107 bytes long and no more.
	dir, err := os.MkdirTemp("", "kc")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	// The image's own user writes here, too.
	for _, made := range []string{dir, filepath.Join(dir, "home"), filepath.Join(dir, "run")} {
		if err := errors.Join(os.MkdirAll(made, 0o777), os.Chmod(made, 0o777)); err != nil {
			t.Fatal(err)
		}
	}
	p := &proxy{t: t, dir: dir, kamal: s.kamal}
	if s.image != "" {
		p.host = newContainer(t, s, dir)
	} else {
		p.host = newProcess(t, s, dir)
	}
	p.client = p.newClient(nil)
	p.start(nil)
	t.Cleanup(func() {
		p.client.CloseIdleConnections()
		_, _ = p.host.stop(true)
		if t.Failed() {
			t.Logf("the proxy's log:\n%s", lastOf(p.host.log(), 4000))
		}
	})
	return p
}

// differs tells that kamal-proxy is tried, which does something else here; the row says what.
func (p *proxy) differs() bool {
	p.asked = true
	return p.kamal
}

// start starts the proxy with these flags besides the ports, and waits until it takes requests and commands.
func (p *proxy) start(flags []string, env ...string) {
	p.t.Helper()
	p.flags = flags
	if err := p.host.start(flags, env); err != nil {
		p.t.Fatalf("starting the proxy: %v", err)
	}
	p.eventually("the proxy answers", func() bool {
		conn, err := net.Dial("tcp", p.host.address(httpPort))
		if err != nil {
			return false
		}
		_ = conn.Close()
		return p.try("list").code == 0
	})
}

// restart ends the proxy in good order, or by SIGKILL, and starts it again on the same state.
func (p *proxy) restart(kill bool, flags ...string) {
	p.t.Helper()
	p.halt(kill)
	p.start(flags)
}

func (p *proxy) halt(kill bool) (code int) {
	p.t.Helper()
	code, err := p.host.stop(kill)
	if err != nil {
		p.t.Fatalf("ending the proxy: %v", err)
	}
	p.client.CloseIdleConnections()
	return code
}

// statePath is the proxy's state file as seen from here.
func (p *proxy) statePath() string {
	return filepath.Join(p.dir, "home", ".config", "kamal-proxy", "kamal-proxy.state")
}

// file makes a file that the proxy sees under the returned path.
func (p *proxy) file(name, content string) string {
	p.t.Helper()
	path := filepath.Join(p.dir, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), 0o644)); err != nil {
		p.t.Fatal(err)
	}
	return path
}

// try runs a command of the proxy. The line is cut at spaces; more is passed on as it is.
func (p *proxy) try(line string, more ...string) result {
	p.t.Helper()
	return p.begin(line, more...).wait()
}

// ok wants a command to succeed, and says what it printed.
func (p *proxy) ok(line string, more ...string) string {
	p.t.Helper()
	r := p.try(line, more...)
	if r.code != 0 {
		p.t.Fatalf("%s %v: exit %d: %s", line, more, r.code, r.stderr)
	}
	return r.stdout
}

// fails wants a command to fail as all do, with exit code 1 and "Error: " on stderr, and its message to have these parts.
func (p *proxy) fails(line string, parts ...string) result {
	p.t.Helper()
	r := p.try(line)
	p.failed(line, r, parts...)
	return r
}

func (p *proxy) failed(line string, r result, parts ...string) {
	p.t.Helper()
	if r.code != 1 || !strings.HasPrefix(r.stderr, "Error: ") {
		p.t.Errorf("%s: exit %d, %q; want exit 1 and an error", line, r.code, r.stderr)
	}
	for _, part := range parts {
		if !strings.Contains(r.stderr, part) {
			p.t.Errorf("%s: %q does not say %q", line, r.stderr, part)
		}
	}
}

// deploy switches a service to a target; the flags are cut at spaces.
func (p *proxy) deploy(service, target, flags string) {
	p.t.Helper()
	p.ok("deploy " + service + " --target " + target + " " + flags)
}

// running is a command that has been begun.
type running struct {
	p      *proxy
	cmd    *exec.Cmd
	args   []string
	out    *bytes.Buffer
	errs   *bytes.Buffer
	ended  chan struct{}
	reason error
}

func (p *proxy) begin(line string, more ...string) *running {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 3*patience)
	args := append(strings.Fields(line), more...)
	r := &running{p: p, cmd: p.host.command(ctx, args), args: args, out: &bytes.Buffer{}, errs: &bytes.Buffer{}, ended: make(chan struct{})}
	r.cmd.Stdout, r.cmd.Stderr = r.out, r.errs
	if err := r.cmd.Start(); err != nil {
		p.t.Fatalf("%v: %v", args, err)
	}
	go func() {
		defer cancel()
		r.reason = r.cmd.Wait()
		close(r.ended)
	}()
	return r
}

// wait returns what the command came to.
func (r *running) wait() result {
	r.p.t.Helper()
	<-r.ended
	return result{r.cmd.ProcessState.ExitCode(), r.out.String(), r.errs.String()}
}

func (r *running) done() bool {
	select {
	case <-r.ended:
		return true
	default:
		return false
	}
}

func (r *running) kill() {
	r.p.t.Helper()
	if err := r.p.host.kill(r.cmd, r.args); err != nil {
		r.p.t.Fatalf("killing %v: %v", r.args, err)
	}
	<-r.ended
}

// eventually polls a condition that has no event to wait for.
func (p *proxy) eventually(what string, holds func() bool) {
	p.t.Helper()
	deadline := time.Now().Add(patience)
	for !holds() {
		if time.Now().After(deadline) {
			p.t.Fatalf("waited in vain until %s\n%s", what, lastOf(p.host.log(), 2000))
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// receive waits for a value.
func receive[T any](p *proxy, what string, from <-chan T) T {
	p.t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(patience):
		p.t.Fatalf("waited in vain for %s", what)
		panic("unreachable")
	}
}

func lastOf(text string, n int) string {
	if len(text) > n {
		return "…" + text[len(text)-n:]
	}
	return text
}

// ports are numbers that nothing listens at, below those that systems hand out by themselves, so that no other process is given
// one between two starts of a proxy.
var ports struct {
	sync.Mutex
	next int
}

func freePort() (int, error) {
	ports.Lock()
	defer ports.Unlock()
	if ports.next == 0 {
		ports.next = 10000 + os.Getpid()%2000*10
	}
	for range 20000 {
		ports.next++
		if ports.next > 32000 {
			ports.next = 10000
		}
		ln, err := net.Listen("tcp", fmt.Sprintf(":%d", ports.next))
		if err == nil {
			return ports.next, ln.Close()
		}
	}
	return 0, fmt.Errorf("no port between 10000 and 32000 is free")
}

// pause lets time pass for what gives no sign. A row must hold however long it takes.
func (p *proxy) pause() { time.Sleep(100 * time.Millisecond) }
