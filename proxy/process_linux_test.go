package proxy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// pingEvery is how often the program's supervisor pings.
const pingEvery = "KAMALD_PROXY_TEST_PING"

// asProgram makes the test's own executable the program: with it set, it is kamald-proxy.
const asProgram = "KAMALD_PROXY_TEST_PROGRAM"

func init() {
	if os.Getenv(asProgram) != "" {
		if every, err := time.ParseDuration(os.Getenv(pingEvery)); err == nil {
			pingInterval = every
		}
		runtime.LockOSThread() // as cmd/kamald-proxy does
		os.Exit(Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr, os.Environ()))
	}
}

// installed is the program on disk and running as processes of its own: supervisor and worker.
type installed struct {
	t     *testing.T
	dir   string
	path  string
	env   []string
	flags []string // of run, beside those in env
	cmd   *exec.Cmd
	log   *processLog
	done  chan struct{}
	port  int

	httpsPort int
}

// install puts the program on disk and starts it.
func install(t *testing.T) *installed {
	t.Helper()
	dir, err := os.MkdirTemp("", "kp") // not t.TempDir: a socket's path may be 107 bytes long and no more
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	p := &installed{t: t, dir: dir, path: filepath.Join(dir, "bin", "kamal-proxy")}
	p.env = append(os.Environ(), asProgram+"=1", "HOME="+dir, "XDG_RUNTIME_DIR="+filepath.Join(dir, "run"), "KAMAL_PROXY_BIND=127.0.0.1",
		"HTTP_PORT=0", "HTTPS_PORT=0", "GORACE=atexit_sleep_ms=0") // else each command waits for a second when it ends
	if err := os.Mkdir(filepath.Dir(p.path), 0o700); err != nil {
		t.Fatal(err)
	}
	p.newProgram(p.path, "v0")
	p.start()
	return p
}

// newProgram puts a program of a version at path.
func (p *installed) newProgram(path, version string) {
	p.t.Helper()
	self, err := os.Executable()
	if err != nil {
		p.t.Fatal(err)
	}
	data, err := os.ReadFile(self)
	if err != nil {
		p.t.Fatal(err)
	}
	p.write(path, string(data), 0o755)
	p.write(versionFile(path), version+"\n", 0o644)
}

func (p *installed) write(path, text string, mode os.FileMode) {
	p.t.Helper()
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		p.t.Fatal(err)
	}
}

// start runs the program until the end of the test, or until it is stopped.
func (p *installed) start() {
	p.t.Helper()
	p.log = &processLog{started: make(chan [2]int, 1000)}
	p.cmd = exec.Command(p.path, append([]string{"run"}, p.flags...)...)
	p.cmd.Env, p.cmd.Stdout, p.cmd.Stderr = p.env, p.log, p.log
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	cmd, log, done := p.cmd, p.log, make(chan struct{})
	p.done = done
	go func() {
		_ = cmd.Wait()
		close(done)
	}()
	p.t.Cleanup(func() {
		_ = cmd.Process.Kill() // takes the worker along
		<-done
		if p.t.Failed() {
			p.t.Logf("the log of process %d:\n%s", cmd.Process.Pid, log.text())
		}
	})
	ports := receive(p.t, "the server", p.log.started)
	p.port, p.httpsPort = ports[0], ports[1]
	eventually(p.t, "a worker serves", func() bool { return strings.Contains(p.log.text(), "Worker serves") })
}

// stop ends it as docker does and returns the exit code. It does not fall into the moment in which the supervisor becomes another
// program, for which no program can hold a signal back; with the race detector that moment is long.
func (p *installed) stop() int {
	p.t.Helper()
	for range 1000 {
		said := p.log.text()
		if strings.Count(said, "The supervisor becomes the new program") <= strings.Count(said, "The supervisor is the new program") {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	receive(p.t, "the end of the proxy", p.done)
	return p.cmd.ProcessState.ExitCode()
}

// try runs a command of the program.
func (p *installed) try(args ...string) (stdout string, err error) {
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(p.t.Context(), p.path, args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = p.env, &out, &errs
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("%v: %w: %s", args, err, errs.String())
	}
	return out.String(), nil
}

func (p *installed) do(args ...string) string {
	p.t.Helper()
	out, err := p.try(args...)
	if err != nil {
		p.t.Fatal(err)
	}
	return out
}

func (p *installed) upgradeTo(version string, drain string) {
	p.t.Helper()
	p.newProgram(p.path+".new", version)
	if out := p.do("upgrade", "--binary", p.path+".new", "--drain-timeout", drain); !strings.Contains(out, " to "+version+"\n") {
		p.t.Errorf("upgrade printed %q", out)
	}
}

func (p *installed) address() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(p.port)) }

// get asks on a new connection.
func (p *installed) get(host, path string) (string, error) {
	r, err := http.NewRequest(http.MethodGet, "http://"+p.address()+path, nil)
	if err != nil {
		return "", err
	}
	r.Host, r.Close = host, true
	resp, err := (&http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}).Do(r)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return fmt.Sprint(resp.StatusCode, " ", string(body)), err
}

func (p *installed) expect(host, want string) {
	p.t.Helper()
	if got, err := p.get(host, "/"); err != nil || !strings.Contains(got, want) {
		p.t.Errorf("GET %s: %q, %v, want %q", host, got, err, want)
	}
}

// about reads the file that says what runs.
func (p *installed) about() about {
	p.t.Helper()
	var a about
	readJSON(p.t, filepath.Join(p.dir, ".config", "kamal-proxy", aboutFile), &a)
	return a
}

// workers gives the supervisor's children that live.
func (p *installed) workers() []int {
	p.t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", p.cmd.Process.Pid, p.cmd.Process.Pid))
	if err != nil && !errors.Is(err, os.ErrNotExist) && !errors.Is(err, syscall.ESRCH) {
		p.t.Fatal(err)
	}
	var pids []int
	for word := range strings.FieldsSeq(string(data)) {
		pid, err := strconv.Atoi(word)
		if err != nil {
			p.t.Fatal(err)
		}
		pids = append(pids, pid)
	}
	return pids
}

// processLog is what supervisor and workers write.
type processLog struct {
	mu      sync.Mutex
	all     bytes.Buffer
	seen    int
	started chan [2]int // the ports for HTTP and HTTPS of each server that starts
}

func (l *processLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all.Write(p)
	for {
		rest := l.all.Bytes()[l.seen:]
		end := bytes.IndexByte(rest, '\n')
		if end < 0 {
			return len(p), nil
		}
		l.seen += end + 1
		var line struct {
			Msg         string
			HTTP, HTTPS int
		}
		if json.Unmarshal(rest[:end], &line) == nil && line.Msg == "Server started" {
			l.started <- [2]int{line.HTTP, line.HTTPS}
		}
	}
}

func (l *processLog) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.String()
}
