package proxy

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// killed is the built program, which is killed and started again on the same state, socket and port.
type killed struct {
	t       *testing.T
	binary  string
	dir     string
	port    string
	running *exec.Cmd
}

func newKilled(t *testing.T) *killed {
	t.Helper()
	dir := shortDir(t)
	binary := filepath.Join(dir, "kamald-proxy")
	build := exec.Command("go", "build", "-trimpath", "-o", binary, "github.com/kamald/kamald/cmd/kamald-proxy")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building: %v\n%s", err, out)
	}
	k := &killed{t: t, binary: binary, dir: dir, port: portOf(soonFree(t))}
	t.Cleanup(k.kill)
	return k
}

func portOf(address string) string {
	return address[len("127.0.0.1:"):]
}

func (k *killed) socket() string { return filepath.Join(k.dir, "kp.sock") }

// start runs the program, in a process group of its own, until it answers list.
func (k *killed) start() {
	k.t.Helper()
	ctx, cancel := context.WithTimeout(k.t.Context(), patience)
	defer cancel()
	for {
		cmd := exec.Command(k.binary, "run", "--http-port="+k.port, "--https-port=0", "--bind=127.0.0.1")
		cmd.Env = []string{"HOME=" + k.dir, "KAMAL_PROXY_SOCKET=" + k.socket()}
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		if err := cmd.Start(); err != nil {
			k.t.Fatal(err)
		}
		k.running = cmd
		ended := make(chan struct{})
		go func() { _ = cmd.Wait(); close(ended) }()
		for {
			if err := newClient(k.socket()).do(ctx, http.MethodGet, "/v1/services", nil, nil); err == nil {
				return
			}
			select {
			case <-ctx.Done():
				k.t.Fatal("the proxy does not answer")
			case <-ended: // the port of what was killed may be taken for a moment
			case <-time.After(2 * time.Millisecond):
				continue
			}
			break
		}
	}
}

func (k *killed) kill() {
	if k.running != nil {
		_ = syscall.Kill(-k.running.Process.Pid, syscall.SIGKILL)
	}
}

// asked is what list says of the service after a change, as far as the test changes it.
type asked struct{ Host, Target, State, Rollout string }

func (k *killed) listed() (asked, bool) {
	k.t.Helper()
	out, err := exec.Command(k.binary, "list", "--json", "--socket="+k.socket()).Output()
	if err != nil {
		k.t.Fatalf("list: %v", err)
	}
	var infos []ServiceInfo
	if err := json.Unmarshal(out, &infos); err != nil {
		k.t.Fatalf("list: %v in %s", err, out)
	}
	if len(infos) != 1 {
		k.t.Errorf("list has %d services", len(infos))
		return asked{}, false
	}
	i := infos[0]
	a := asked{i.Hosts[1], i.Targets[0].Target, i.State, ""}
	if i.Rollout != nil && i.Rollout.Split != nil {
		a.Rollout = fmt.Sprint(i.Rollout.Targets[0].Target, " ", i.Rollout.Split.Percent)
	}
	return a, true
}

// stream is commands one after another. Each makes another state than all before it.
type stream struct {
	socket  string
	targets []string
	n       int
	now     asked // acknowledged
	next    asked // asked for
}

func (c *stream) step(ctx context.Context) error {
	c.n++
	cl := newClient(c.socket)
	post := func(path string, body any) error { return cl.do(ctx, http.MethodPost, "/v1/"+path, body, nil) }
	target := c.targets[c.n%len(c.targets)]
	c.next = c.now
	var err error
	switch {
	case c.n%5 == 2:
		c.next.State = "stopped"
		err = post("stop", gateRequest{Service: "app"})
	case c.n%5 == 3:
		c.next.State = "running"
		err = post("resume", gateRequest{Service: "app"})
	case c.n%5 == 4:
		percent := c.n % 101
		c.next.Rollout = fmt.Sprint(c.targets[0], " ", percent)
		if err = post("rollout/deploy", rolloutRequest(c.targets[0])); err == nil {
			err = post("rollout/set", RolloutSetRequest{Service: "app", Split: Split{Percent: percent}})
		}
	default:
		c.next.Host, c.next.Target = "gen-"+strconv.Itoa(c.n)+".test", target
		req := deployRequest("app", target, "app.test", c.next.Host)
		err = post("deploy", req)
	}
	if err == nil {
		c.now = c.next
	}
	return err
}

func TestAfterKill9AtAnyMomentTheStateIsOneThatWasAskedFor(t *testing.T) {
	if testing.Short() {
		t.Skip("NOT RUN: kills of the built binary, with -short")
	}
	rounds := 25
	if os.Getenv("KAMALD_LONG") == "1" {
		rounds = 500
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	k := newKilled(t)
	c := &stream{socket: k.socket(), targets: []string{backend(t, says("a")), backend(t, says("b"))}}
	k.start()
	if err := c.step(t.Context()); err != nil { // a deploy
		t.Fatal(err)
	}
	c.now.State, c.next.State = "running", "running"
	watch := watchFor404(t, "http://127.0.0.1:"+k.port)
	changed := 0
	for round := range rounds {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Duration(random.Int64N(int64(120*time.Millisecond))), func() { k.kill(); cancel() })
		for c.step(ctx) == nil {
			changed++
		}
		<-ctx.Done()
		cancel()
		k.start()
		got, ok := k.listed()
		if !ok || got != c.now && got != c.next {
			t.Fatalf("round %d: after the kill list says %+v; acknowledged was %+v, asked for %+v (seed %d)", round, got, c.now, c.next, seed)
		}
		c.now = got
	}
	if answers := watch(); answers == 0 || changed == 0 {
		t.Errorf("%d answers seen in %d changes", answers, changed)
	}
	if left, _ := filepath.Glob(filepath.Join(k.dir, ".config", "kamal-proxy", "*.corrupt")); len(left) > 0 {
		t.Errorf("damaged files: %v", left)
	}
	t.Logf("%d kills in %d changes", rounds, changed)
}

// watchFor404 asks all the time, and fails the test when the app is ever unknown. A refused connection is none.
func watchFor404(t *testing.T, url string) (end func() (answers int64)) {
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	var answers atomic.Int64
	wg.Go(func() {
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
		for ctx.Err() == nil {
			r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
			if err != nil {
				t.Error(err)
				return
			}
			r.Host = "app.test"
			resp, err := client.Do(r)
			if err != nil {
				time.Sleep(time.Millisecond)
				continue
			}
			body, _ := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			answers.Add(1)
			if resp.StatusCode == http.StatusNotFound {
				t.Errorf("the app was answered with 404: %s", body)
				return
			}
		}
	})
	t.Cleanup(cancel)
	return func() int64 { cancel(); wg.Wait(); return answers.Load() }
}
