package proxy

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// program is the command line run in this process, with its own home and socket.
type program struct {
	t   *testing.T
	env []string
}

func newProgram(t *testing.T) *program {
	t.Helper()
	dir, err := os.MkdirTemp("", "kp")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return &program{t, []string{"HOME=" + dir, "XDG_RUNTIME_DIR=" + filepath.Join(dir, "run"), "KAMAL_PROXY_BIND=127.0.0.1", "HTTP_PORT=0", "HTTPS_PORT=0"}}
}

func (p *program) run(args ...string) (code int, stdout, stderr string) {
	p.t.Helper()
	var out, errs bytes.Buffer
	code = mainContext(p.t.Context(), args, strings.NewReader(""), &out, &errs, p.env)
	return code, out.String(), errs.String()
}

func (p *program) succeeds(args ...string) string {
	p.t.Helper()
	code, stdout, stderr := p.run(args...)
	if code != 0 || stderr != "" {
		p.t.Fatalf("%v: exit %d, %s", args, code, stderr)
	}
	return stdout
}

func (p *program) fails(want string, args ...string) {
	p.t.Helper()
	code, _, stderr := p.run(args...)
	if code != 1 || !strings.HasPrefix(stderr, "Error: ") || !strings.Contains(stderr, want) {
		p.t.Errorf("%v: exit %d, %q, want 1 and %q", args, code, stderr, want)
	}
}

// serve starts `run` and returns the address it tells in its log, and a function that ends it and returns its exit
// code and log.
func (p *program) serve() (address string, end func() (int, []map[string]any)) {
	p.t.Helper()
	ctx, cancel := context.WithCancel(p.t.Context())
	out := &logLines{started: make(chan int, 1)}
	done := make(chan int, 1)
	go func() { done <- mainContext(ctx, []string{"run"}, strings.NewReader(""), out, os.Stderr, p.env) }()
	port := receive(p.t, "the server", out.started)
	end = func() (int, []map[string]any) {
		cancel()
		return receive(p.t, "the server's end", done), out.all()
	}
	p.t.Cleanup(cancel)
	return fmt.Sprintf("127.0.0.1:%d", port), end
}

// logLines collects a JSON log.
type logLines struct {
	mu      sync.Mutex
	lines   []map[string]any
	started chan int
}

func (l *logLines) Write(p []byte) (int, error) {
	for text := range bytes.Lines(p) {
		var line map[string]any
		if err := json.Unmarshal(text, &line); err != nil {
			return 0, err
		}
		l.mu.Lock()
		l.lines = append(l.lines, line)
		l.mu.Unlock()
		if line["msg"] == "Server started" {
			l.started <- int(line["http"].(float64))
		}
	}
	return len(p), nil
}

// request returns a field of the last line of the access log, nil when there is none.
func (l *logLines) request(field string) any {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range slices.Backward(l.lines) {
		if line["msg"] == "Request" {
			return line[field]
		}
	}
	return nil
}

func (l *logLines) has(message string) bool {
	return slices.ContainsFunc(l.all(), func(line map[string]any) bool { return line["msg"] == message })
}

// newJSONLog logs as run does.
func newJSONLog(to io.Writer) *slog.Logger { return slog.New(slog.NewJSONHandler(to, nil)) }

func (l *logLines) all() []map[string]any {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.lines)
}

func TestTheCommandsDeployListStopResumeAndRemove(t *testing.T) {
	p := newProgram(t)
	p.fails("the proxy does not run", "list")
	address, end := p.serve()
	get := func(path string) string {
		r, err := http.NewRequest(http.MethodGet, "http://"+address+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = "app.test"
		r.Header.Set("X-Foo", "bar")
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		return fmt.Sprint(resp.StatusCode, " ", string(body))
	}
	target := backend(t, says("v1"))
	if out := p.succeeds("deploy", "app", "--target="+target, "--host", "app.test,www.app.test", "--log-request-header=X-Foo", "--buffer-requests", "--tls=false"); out != "" {
		t.Errorf("deploy printed %q", out)
	}
	if got := get("/x?q=1"); got != "200 v1" {
		t.Errorf("got %s", got)
	}
	table := strings.Fields(p.succeeds("ls"))
	if got := strings.Join(table, " "); got != "Service Host Path Target State TLS app app.test,www.app.test / "+target+" running no" {
		t.Errorf("list printed %s", got)
	}
	var infos []ServiceInfo
	if err := json.Unmarshal([]byte(p.succeeds("list", "--json")), &infos); err != nil || len(infos) != 1 || infos[0].Targets[0].Target != target {
		t.Errorf("list --json: %+v, %v", infos, err)
	}
	p.fails("connection refused", "deploy", "app", "--target", nobody(t), "--host=app.test", "--deploy-timeout=200ms")
	p.fails("belongs to service app", "deploy", "other", "--target", target, "--host", "www.app.test")
	p.succeeds("stop", "app", "--message=later")
	if got := get("/"); !strings.HasPrefix(got, "503") || !strings.Contains(got, "later") {
		t.Errorf("stopped: %s", got)
	}
	p.succeeds("resume", "app")
	p.succeeds("pause", "--max-pause", "1s", "app")
	p.succeeds("resume", "app")
	if got := get("/"); got != "200 v1" {
		t.Errorf("resumed: %s", got)
	}
	p.succeeds("rm", "app")
	if got := get("/"); !strings.HasPrefix(got, "404") {
		t.Errorf("removed: %s", got)
	}
	p.fails("service not found", "remove", "app")
	code, log := end()
	if code != 0 {
		t.Errorf("run ended with %d", code)
	}
	checkAccessLog(t, log, target)
}

func checkAccessLog(t *testing.T, log []map[string]any, target string) {
	t.Helper()
	for _, line := range log {
		if line["msg"] != "Request" {
			continue
		}
		for field, want := range map[string]any{
			"host": "app.test", "path": "/x", "query": "q=1", "status": 200.0, "service": "app", "target": target,
			"method": "GET", "resp_content_length": 2.0, "req_x_foo": "bar", "scheme": "http",
		} {
			if line[field] != want {
				t.Errorf("access log: %s is %v, want %v", field, line[field], want)
			}
		}
		return
	}
	t.Error("no request in the log")
}

func TestATerminatedServerFinishesTheRequestsInFlight(t *testing.T) {
	p := newProgram(t)
	address, end := p.serve()
	target, arrived, finish := heldBackend(t, "", "done")
	p.succeeds("deploy", "app", "--target", target)
	answered := make(chan string, 1)
	go func() {
		resp, err := http.Get("http://" + address)
		if err != nil {
			answered <- err.Error()
			return
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		answered <- string(body)
	}()
	receive(t, "the request", arrived)
	ended := make(chan int, 1)
	go func() {
		code, _ := end()
		ended <- code
	}()
	eventually(t, "no new connection is taken", func() bool {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			_ = conn.Close()
		}
		return err != nil
	})
	close(finish)
	if got := receive(t, "the answer", answered); got != "done" {
		t.Errorf("the request in flight got %q", got)
	}
	if code := receive(t, "the end", ended); code != 0 {
		t.Errorf("exit %d", code)
	}
	if _, err := os.Stat(filepath.Join(strings.TrimPrefix(p.env[1], "XDG_RUNTIME_DIR="), "kamal-proxy.sock")); !os.IsNotExist(err) {
		t.Errorf("the socket is still there: %v", err)
	}
}

func TestWrongCommandLinesAreRefusedByName(t *testing.T) {
	p := newProgram(t)
	deploy := func(args ...string) []string { return append([]string{"deploy", "app", "--target=web:80"}, args...) }
	for _, c := range []struct {
		want string
		args []string
	}{
		{`unknown command "frobnicate"`, []string{"frobnicate"}},
		{`required flag(s) "target" not set`, []string{"rollout", "deploy", "app"}},
		{`unknown command "frobnicate" for kamal-proxy rollout`, []string{"rollout", "frobnicate"}},
		{"at least one of the flags in the group [percent list header] is required", []string{"rollout", "set", "app"}},
		{"percent must be between 0 and 100, not 300", []string{"rollout", "set", "app", "--percent=300"}},
		{"percent must be between 0 and 100, not -1", []string{"rollout", "set", "app", "--percent=-1"}},
		{"by must be cookie or address", []string{"rollout", "set", "app", "--percent=3", "--by=luck"}},
		{`header "X-Beta" is invalid: give NAME=VALUE`, []string{"rollout", "set", "app", "--header=X-Beta"}},
		{"cookie-max-age must be 0", []string{"rollout", "set", "app", "--percent=3", "--cookie-max-age=5ms"}},
		{"balance must be round-robin or least-connections", deploy("--balance=luck")},
		{"target web:81 is given twice", deploy("--read-target=web:81,web:81")},
		{"writer-affinity-timeout must not be negative", deploy("--writer-affinity-timeout=-1s")},
		{"invalid value", deploy("--fence=-1")},
		{`required flag(s) "target" not set`, []string{"deploy", "app"}},
		{"accepts 1 arg(s), received 0", []string{"deploy", "--target=web:80"}},
		{"accepts 1 arg(s), received 2", deploy("more")},
		{"unknown flag: --frobnicate", deploy("--frobnicate")},
		{"health-check-interval must be more than 0, not 0s", deploy("--health-check-interval=0s")},
		{"health-check-interval must be more than 0, not -1s", deploy("--health-check-interval", "-1s")},
		{"health-check-timeout", deploy("--health-check-timeout=0s")},
		{"deploy-timeout", deploy("--deploy-timeout=0s")},
		{"max-request-body can only be set when request buffering is enabled", deploy("--max-request-body=5")},
		{"without scheme", []string{"deploy", "app", "--target=http://web"}},
		{"between 1 and 65535", []string{"deploy", "app", "--target=web:99999"}},
		{"host \"a.test:80\" is invalid", deploy("--host=a.test:80")},
		{"host must be set when using TLS", deploy("--tls")},
		{"DNS-01", deploy("--tls", "--host=*.a.test")},
		{"must be set together", deploy("--tls-certificate-path=/x")},
		{"canonical-host b.test is none of the service's hosts (a.test)", deploy("--host=a.test", "--canonical-host=b.test")},
		{"canonical-host \"*.test\" is invalid", deploy("--canonical-host=*.test")},
		{"client-ip-header \"X Real\" is no header's name", deploy("--client-ip-header=X Real")},
		{"--tls-staging and --acme-directory", deploy("--tls-staging", "--acme-directory=https://ca.test/dir")},
		{"must be more than 0", []string{"run", "--max-connections=0"}},
	} {
		p.fails(c.want, c.args...)
	}
}

func TestDeployFlagsHaveKamalProxysMeaningsAndDefaults(t *testing.T) {
	in := invocation{env: newEnvironment([]string{"HOME=/home/kamal-proxy"})}
	parse := func(args ...string) DeployRequest {
		t.Helper()
		d := in.newDeployFlags()
		names, err := d.parse(args, 1)
		if err != nil {
			t.Fatal(err)
		}
		req, err := d.finish(names[0])
		if err != nil {
			t.Fatal(err)
		}
		return req
	}
	got := parse("app", "--target", "web:80")
	want := DeployRequest{
		Service: "app", Targets: []string{"web:80"}, DeployTimeout: DefaultDeployTimeout, DrainTimeout: DefaultDrainTimeout,
		Options: ServiceOptions{Hosts: []string{""}, PathPrefixes: []string{"/"}, StripPrefix: true, TLSRedirect: true,
			WriterAffinityTimeout: DefaultWriterAffinityTimeout, ACMECachePath: "/home/kamal-proxy/.config/kamal-proxy/certs"},
		TargetOptions: TargetOptions{ResponseTimeout: DefaultTargetTimeout, MaxMemoryBufferSize: 1048576, ForwardHeaders: true,
			HealthCheckConfig: HealthCheckConfig{Path: "/up", Interval: DefaultHealthCheckInterval, Timeout: DefaultHealthCheckTimeout}},
	}
	if a, b := asJSON(t, got), asJSON(t, want); a != b {
		t.Errorf("defaults:\n%s\nwant\n%s", a, b)
	}
	got = parse("--host=A.test,*.b.test", "--target=[::1]:3000", "--host", "c.test", "app", "--force", "--strip-path-prefix=false",
		"--path-prefix=api/", "--path-prefix", "/v2,/api", "--tls", "--tls-certificate-path=/c", "--tls-private-key-path", "/k", "--buffer-requests", "--drain-timeout", "5s")
	if h, p := strings.Join(got.Options.Hosts, " "), strings.Join(got.Options.PathPrefixes, " "); h != "a.test *.b.test c.test" || p != "/api /v2" {
		t.Errorf("hosts %s, prefixes %s", h, p)
	}
	if !got.Force || got.Options.StripPrefix || got.TargetOptions.ForwardHeaders || !got.TargetOptions.BufferRequests || got.Targets[0] != "[::1]:3000" || got.DrainTimeout.String() != "5s" {
		t.Errorf("parsed as %+v", got)
	}
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	data, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
