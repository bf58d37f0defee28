package proxy

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// patience bounds a test that would hang; no test waits for it when it passes.
const patience = 90 * time.Second

// fixture is a running proxy on loopback with its own state file and socket.
type fixture struct {
	*Server
	t      *testing.T
	config Config
	client *http.Client
}

func startProxy(t *testing.T) *fixture {
	t.Helper()
	return startProxyWith(t, proxyConfig(t))
}

// proxyConfig is that of a proxy on loopback with a state and a socket of its own.
func proxyConfig(t *testing.T) Config {
	t.Helper()
	// Not t.TempDir: a socket's path may be 107 bytes long and no more.
	dir, err := os.MkdirTemp("", "kp")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return Config{
		Bind:       "127.0.0.1",
		StatePath:  filepath.Join(dir, "config", "kamal-proxy.state"),
		SocketPath: filepath.Join(dir, "run", "kp.sock"),
		Log:        slog.New(slog.DiscardHandler),
	}
}

func startProxyWith(t *testing.T, c Config) *fixture {
	t.Helper()
	f := &fixture{Server: NewServer(c), t: t, config: c, client: &http.Client{
		Transport:     &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 64},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Timeout:       patience,
	}}
	if err := f.Start(); err != nil {
		t.Fatalf("starting the proxy: %v", err)
	}
	t.Cleanup(func() {
		f.client.CloseIdleConnections()
		_ = f.Shutdown()
	})
	return f
}

// restart shuts the proxy down and starts another one on its state.
func (f *fixture) restart() *fixture {
	f.t.Helper()
	if err := f.Shutdown(); err != nil {
		f.t.Fatalf("shutdown: %v", err)
	}
	return startProxyWith(f.t, f.config)
}

func (f *fixture) address() string { return fmt.Sprintf("127.0.0.1:%d", f.HTTPPort()) }

// request returns a request to the proxy for a host and path.
func (f *fixture) request(method, host, path string, body io.Reader) *http.Request {
	f.t.Helper()
	r, err := http.NewRequest(method, "http://"+f.address()+path, body)
	if err != nil {
		f.t.Fatal(err)
	}
	r.Host = host
	return r
}

func (f *fixture) do(r *http.Request) (int, string, http.Header) {
	f.t.Helper()
	resp, err := f.client.Do(r)
	if err != nil {
		f.t.Fatalf("%s %s%s: %v", r.Method, r.Host, r.URL.Path, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		f.t.Fatalf("reading the answer to %s %s%s: %v", r.Method, r.Host, r.URL.Path, err)
	}
	return resp.StatusCode, string(body), resp.Header
}

func (f *fixture) get(host, path string) (int, string) {
	f.t.Helper()
	status, body, _ := f.do(f.request(http.MethodGet, host, path, nil))
	return status, body
}

func (f *fixture) expect(host, path string, status int, body string) {
	f.t.Helper()
	gotStatus, gotBody := f.get(host, path)
	if gotStatus != status || !strings.Contains(gotBody, body) {
		f.t.Errorf("GET %s%s: %d %q, want %d with %q", host, path, gotStatus, gotBody, status, body)
	}
}

func (f *fixture) deploy(req DeployRequest) {
	f.t.Helper()
	if err := f.router.Deploy(f.t.Context(), req); err != nil {
		f.t.Fatalf("deploying %s: %v", req.Service, err)
	}
}

// remove, and those that follow, are the commands as the control socket gives them.
func (f *fixture) remove(service string) error {
	return f.router.remove(context.Background(), gateRequest{Service: service})
}

func (f *fixture) pause(service string, drain, maxPause time.Duration) error {
	return f.router.pause(context.Background(), gateRequest{Service: service, DrainTimeout: drain, MaxPause: maxPause})
}

func (f *fixture) stop(service string, drain time.Duration, message string) error {
	return f.router.stop(context.Background(), gateRequest{Service: service, DrainTimeout: drain, Message: message})
}

func (f *fixture) resume(service string) error {
	return f.router.resume(context.Background(), gateRequest{Service: service})
}

func (f *fixture) stopRollout(service string, fence uint64) error {
	return f.router.stopRollout(context.Background(), gateRequest{Service: service, Fence: fence})
}

// routes returns the first target that a service has now.
func (f *fixture) routes(service string) string {
	for _, i := range f.router.List() {
		if i.Service == service {
			return i.Targets[0].Target
		}
	}
	return ""
}

// deployRequest has the command's defaults, but probes often.
func deployRequest(service, target string, hosts ...string) DeployRequest {
	return DeployRequest{
		Service: service,
		Targets: []string{target},
		Options: ServiceOptions{Hosts: hosts, StripPrefix: true, TLSRedirect: true, WriterAffinityTimeout: DefaultWriterAffinityTimeout},
		TargetOptions: TargetOptions{
			HealthCheckConfig: HealthCheckConfig{
				Path: DefaultHealthCheckPath, Interval: 20 * time.Millisecond, Timeout: patience,
			},
			ResponseTimeout:     patience,
			MaxMemoryBufferSize: DefaultBufferMemory,
			ForwardHeaders:      true,
		},
		DeployTimeout: patience,
		DrainTimeout:  patience,
	}
}

// backend is an app that is healthy at /up and answers everything else with handle.
func backend(t *testing.T, handle http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == DefaultHealthCheckPath && r.UserAgent() == "kamal-proxy" {
			return
		}
		handle(w, r)
	}))
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return s.Listener.Addr().String()
}

func says(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) }
}

// sick is an app that answers its health check with a status and a body, and counts the checks.
func sick(t *testing.T, status int, body string) (address string, probes *atomic.Int64) {
	t.Helper()
	probes = new(atomic.Int64)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		probes.Add(1)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(s.Close)
	return s.Listener.Addr().String(), probes
}

// nobody returns a loopback address that nobody listens at, and that no other process gets while the test runs.
func nobody(t *testing.T) string {
	t.Helper()
	syscall.ForkLock.RLock()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err == nil {
		syscall.CloseOnExec(fd)
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Close(fd) })
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	bound, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("127.0.0.1:%d", bound.(*syscall.SockaddrInet4).Port)
}

// soonFree returns a loopback address to listen at.
func soonFree(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// receive waits for a value and fails the test when none comes.
func receive[T any](t *testing.T, what string, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(patience):
		t.Fatalf("waited in vain for %s", what)
		panic("unreachable")
	}
}

// eventually polls a condition that has no event to wait for.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for !holds() {
		select {
		case <-ctx.Done():
			t.Fatalf("waited in vain until %s", what)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// heldBackend answers with a text. A request of the path ("" is any) tells arrived that it is there, and is held until finish is closed.
func heldBackend(t *testing.T, path, text string) (address string, arrived, finish chan struct{}) {
	t.Helper()
	arrived, finish = make(chan struct{}, 1), make(chan struct{})
	return backend(t, func(w http.ResponseWriter, r *http.Request) {
		if path == "" || r.URL.Path == path {
			arrived <- struct{}{}
			select {
			case <-finish:
			case <-r.Context().Done(): // the test failed
			}
		}
		_, _ = io.WriteString(w, text)
	}), arrived, finish
}

// backendWithHealth is an app whose health check is answered by handle too.
func backendWithHealth(t *testing.T, handle http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(handle)
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// shortDir is a directory for a socket, whose path may be 107 bytes long and no more.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "kp")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}
