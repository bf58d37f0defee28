package proxy

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// builtProxy is the built program at work, as it is on a server.
type builtProxy struct {
	t       *testing.T
	binary  string
	env     []string
	address string
	metrics string
}

// startBuilt builds the program and starts it with flags.
func startBuilt(t *testing.T, flags ...string) *builtProxy {
	t.Helper()
	dir, err := os.MkdirTemp("", "kp")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	p := &builtProxy{t: t, binary: filepath.Join(dir, "kamal-proxy"), env: []string{
		"HOME=" + dir, "XDG_RUNTIME_DIR=" + filepath.Join(dir, "run"), "KAMAL_PROXY_BIND=127.0.0.1",
	}}
	build := exec.Command("go", "build", "-trimpath", "-o", p.binary, "../cmd/kamald-proxy")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building: %v\n%s", err, out)
	}
	cmd := exec.Command(p.binary, append([]string{"run", "--http-port=0", "--https-port=0", "--metrics-port=-1"}, flags...)...)
	cmd.Env, cmd.Stderr = p.env, os.Stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	started := make(chan map[string]any, 1)
	read := make(chan struct{})
	go func() {
		defer close(read)
		for lines := bufio.NewScanner(stdout); lines.Scan(); {
			var line map[string]any
			if json.Unmarshal(lines.Bytes(), &line) == nil && line["msg"] == "Server started" {
				started <- line
			}
		}
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		timer := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
		defer timer.Stop()
		<-read
		_ = cmd.Wait()
	})
	line := receive(t, "the server", started)
	p.address = fmt.Sprintf("127.0.0.1:%v", line["http"])
	p.metrics = fmt.Sprintf("http://127.0.0.1:%v/metrics", line["metrics"])
	return p
}

func (p *builtProxy) deploy(flags ...string) {
	p.t.Helper()
	cmd := exec.Command(p.binary, append([]string{"deploy", "app", "--host=app.test"}, flags...)...)
	cmd.Env = p.env
	if out, err := cmd.CombinedOutput(); err != nil {
		p.t.Fatalf("deploying: %v\n%s", err, out)
	}
}

// metric returns a figure that the proxy tells of itself.
func (p *builtProxy) metric(name string) float64 {
	p.t.Helper()
	resp, err := http.Get(p.metrics)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		if text, ok := strings.CutPrefix(lines.Text(), name+" "); ok {
			var value float64
			if _, err := fmt.Sscan(text, &value); err != nil {
				p.t.Fatal(err)
			}
			return value
		}
	}
	p.t.Fatalf("no metric %s", name)
	return 0
}

func (p *builtProxy) resident() float64 { return p.metric("process_resident_memory_bytes") }

// serves asks as somebody else would, on a new connection each time.
func (p *builtProxy) serves() {
	p.t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	for range 20 {
		r, err := http.NewRequest(http.MethodGet, "http://"+p.address+"/", nil)
		if err != nil {
			p.t.Fatal(err)
		}
		r.Host = "app.test"
		resp, err := client.Do(r)
		if err != nil {
			p.t.Fatalf("somebody else: %v", err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			p.t.Fatalf("somebody else got %d", resp.StatusCode)
		}
	}
}

// flood opens connections and writes the same on each.
func (p *builtProxy) flood(n int, text string) []net.Conn {
	p.t.Helper()
	conns := make([]net.Conn, n)
	var wg sync.WaitGroup
	slots := make(chan struct{}, 64)
	for i := range conns {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			conn, err := net.Dial("tcp", p.address)
			if err != nil {
				return // said below
			}
			_ = conn.SetDeadline(time.Now().Add(2 * patience))
			_, _ = io.WriteString(conn, text) // may be refused in the middle
			conns[i] = conn
		})
	}
	wg.Wait()
	p.t.Cleanup(func() { closeAll(conns) })
	for _, conn := range conns {
		if conn == nil {
			p.t.Fatal("a connection was refused")
		}
	}
	return conns
}

func closeAll(conns []net.Conn) {
	for _, conn := range conns {
		if conn != nil {
			_ = conn.Close()
		}
	}
}

// settles waits until the connections of a flood are gone.
func (p *builtProxy) settles() {
	p.t.Helper()
	eventually(p.t, "the connections are gone", func() bool { return p.metric("kamald_proxy_connections") < 5 })
}

// floodBufferMemory is what the bodies of all requests may take in memory.
const floodBufferMemory = 16 << 20

// flooded is a proxy under floods, and what it may take beyond its rest.
type flooded struct {
	*builtProxy
	idle        int // connections
	base, limit float64
}

func TestFloodsLeaveTheMemoryBoundedAndOthersServed(t *testing.T) {
	idle := 2000
	if os.Getenv("KAMALD_LONG") != "" {
		idle = 10_000
	}
	p := &flooded{builtProxy: startBuilt(t, fmt.Sprintf("--max-buffer-memory=%d", floodBufferMemory)), idle: idle}
	slow := make(chan struct{})
	t.Cleanup(func() { close(slow) })
	p.deploy("--buffer-requests", "--target="+backend(t, func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			select {
			case <-slow:
			case <-r.Context().Done():
			}
		}
	}))
	p.serves()
	p.base = p.resident()
	// One bound for all floods, since the collector gives back slowly what the one before took: that of the idle
	// connections, at 32 KiB each, and what the collector leaves lying.
	p.limit = float64(idle)*(32<<10) + 96<<20
	for _, one := range []struct {
		name string
		run  func(*testing.T)
	}{
		{"idle connections", p.idleConnections},
		{"slowloris", p.slowloris},
		{"oversized headers", p.oversizedHeaders},
		{"half-closed clients", p.halfClosedClients},
		{"uploads that stand still", p.standingUploads},
	} {
		t.Run(one.name, one.run)
	}
}

// check sees that others are served and that the memory is bounded.
func (p *flooded) check(t *testing.T, limit float64) {
	t.Helper()
	p.serves()
	got := p.resident() - p.base
	t.Logf("%.1f MiB more in memory than at rest", got/(1<<20))
	if got > limit {
		t.Errorf("%.1f MiB more in memory, want at most %.1f", got/(1<<20), limit/(1<<20))
	}
}

func (p *flooded) idleConnections(t *testing.T) {
	conns := p.flood(p.idle, "GET / HTTP/1.1\r\nHost: app.test\r\n\r\n")
	p.check(t, p.limit)
	closeAll(conns)
	p.settles()
}

func (p *flooded) slowloris(t *testing.T) {
	conns := p.flood(500, "GET / HTTP/1.1\r\nHost: app.test\r\nX-A: ")
	for range 5 {
		for _, conn := range conns {
			_, _ = io.WriteString(conn, "b")
		}
		p.serves()
	}
	p.check(t, p.limit)
	closeAll(conns)
	p.settles()
}

func (p *flooded) oversizedHeaders(t *testing.T) {
	conns := p.flood(200, "GET / HTTP/1.1\r\nHost: app.test\r\nX-A: "+strings.Repeat("b", 1<<20))
	p.check(t, p.limit)
	closeAll(conns)
	p.settles()
}

func (p *flooded) halfClosedClients(t *testing.T) {
	conns := p.flood(500, "GET /slow HTTP/1.1\r\nHost: app.test\r\n\r\n")
	for _, conn := range conns {
		_ = conn.(*net.TCPConn).CloseWrite()
	}
	p.settles() // although the clients have not closed
	p.check(t, p.limit)
	closeAll(conns)
}

func (p *flooded) standingUploads(t *testing.T) {
	const size = 512 << 10
	conns := p.flood(100, fmt.Sprintf("POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: %d\r\n\r\n%s", 2*size, strings.Repeat("x", size)))
	eventually(t, "the bodies have come", func() bool {
		return p.metric("kamald_proxy_buffer_memory_bytes")+p.metric("kamald_proxy_buffer_disk_bytes") > 90*size
	})
	if used := p.metric("kamald_proxy_buffer_memory_bytes"); used > floodBufferMemory {
		t.Errorf("%.0f bytes of bodies in memory, the limit is %d", used, floodBufferMemory)
	}
	p.check(t, p.limit+2*floodBufferMemory)
	closeAll(conns)
	p.settles()
}
