package proxy_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/kamald/kamald/drivers/proxy"
	"github.com/kamald/kamald/state"
)

// The program that the round trip is tried with; kamald-proxy is built when the variable is empty.
const programVariable = "KAMALD_CONTRACT_BINARY"

// process is a proxy on this machine, and an engine that runs its commands and hands its files out.
type process struct{ binary, home string }

func (p process) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, p.binary, args...)
	cmd.Env = append(os.Environ(), "HOME="+p.home, "XDG_RUNTIME_DIR="+p.home)
	return cmd
}

func (p process) Exec(ctx context.Context, _ string, argv []string) (state.ExecResult, error) {
	var out, errs bytes.Buffer
	cmd := p.command(ctx, argv[1:]...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	result := state.ExecResult{Code: cmd.ProcessState.ExitCode(), Stdout: out.String(), Stderr: errs.String()}
	if _, exit := errors.AsType[*exec.ExitError](err); exit {
		err = nil
	}
	return result, err
}

func (p process) ReadFile(_ context.Context, _, path string) ([]byte, error) {
	data, err := os.ReadFile(strings.Replace(path, "/home/kamal-proxy", p.home, 1))
	return bytes.ReplaceAll(data, []byte(p.home), []byte("/home/kamal-proxy")), err
}

func (process) Logs(context.Context, string, int, time.Time) ([]string, error) { return nil, nil }

func startProcess(t *testing.T) process {
	t.Helper()
	p := process{binary: os.Getenv(programVariable), home: t.TempDir()}
	if p.binary == "" {
		p.binary = build(t, proxyProgram, "")
	}
	var log bytes.Buffer
	cmd := p.command(t.Context(), "run", "--http-port", "0", "--https-port", "0")
	cmd.Stdout, cmd.Stderr = &log, &log
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Cancel()
		_ = cmd.Wait() // an interrupt is no clean end for every one of them
		if t.Failed() {
			t.Logf("the proxy said:\n%.4000s", log.String())
		}
	})
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		result, err := p.Exec(t.Context(), "", []string{"kamal-proxy", "list"})
		if err == nil && result.Code == 0 {
			return p
		}
		if time.Now().After(deadline) {
			t.Fatalf("the proxy does not answer: %+v %v\n%s", result, err, log.String())
		}
	}
}

// Every option that a proxy keeps is read, and given back as it was: switching back restores what a person set by hand, too.
func TestARouteThatIsReadAndDeployedAgainIsTheSame(t *testing.T) {
	p := startProcess(t)
	app := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer app.Close()
	target := strings.TrimPrefix(app.URL, "http://")
	reader := strings.Replace(target, "127.0.0.1", "localhost", 1)
	certificate, key := certificateFiles(t)
	pages := t.TempDir()
	if err := os.WriteFile(filepath.Join(pages, "503.html"), []byte("<html></html>"), 0o600); err != nil {
		t.Fatal(err)
	}
	d := proxy.New(p)
	deploy := func(t *rapid.T, route state.Route) state.Route {
		if err := d.Deploy(context.Background(), "p", route, 20*time.Second, time.Second); err != nil {
			t.Fatalf("%+v: %v", route, err)
		}
		routes, err := d.Routes(context.Background(), "p")
		if err != nil || len(routes) != 1 {
			t.Fatalf("%+v: %v", routes, err)
		}
		return routes[0]
	}
	plainRoute := state.Route{Name: "shop-web", Targets: []string{target}, Options: plain()}
	checks := 0
	rapid.Check(t, func(t *rapid.T) {
		if checks++; checks > 20 { // each runs the program three times
			return
		}
		route := state.Route{Name: "shop-web", Targets: []string{target}, Options: anyOptions(t, certificate, key, pages)}
		if rapid.Bool().Draw(t, "readers") {
			route.Readers = []string{reader}
		}
		first := deploy(t, route)
		wanted := route
		wanted.Options = proxy.Canonical(route.Options)
		if !reflect.DeepEqual(first, wanted) {
			t.Fatalf("asked %+v\nread  %+v", wanted, first)
		}
		if other := deploy(t, plainRoute); !reflect.DeepEqual(other.Options, proxy.Canonical(plainRoute.Options)) || len(other.Readers) > 0 {
			t.Fatalf("options of the earlier deploy stay: %+v", other)
		}
		if again := deploy(t, first); !reflect.DeepEqual(again, first) {
			t.Fatalf("was   %+v\nis    %+v", first, again)
		}
	})
}

func anyOptions(t *rapid.T, certificate, key, pages string) state.RouteOptions {
	flag := func(name string) bool { return rapid.Bool().Draw(t, name) }
	o := plain()
	o.StripPathPrefix, o.TLSRedirect, o.ForwardHeaders = flag("strip"), flag("redirect"), flag("forward")
	o.HealthInterval = time.Duration(rapid.IntRange(1, 9).Draw(t, "interval")) * 50 * time.Millisecond
	o.ResponseTimeout = time.Duration(rapid.IntRange(1, 60).Draw(t, "response")) * time.Second
	o.HealthPath = rapid.SampledFrom([]string{"/up", "/", "/health/live"}).Draw(t, "path")
	o.HealthHost = rapid.SampledFrom([]string{"", "health.example.com"}).Draw(t, "host")
	o.BufferRequests, o.BufferResponses = flag("requests"), flag("responses")
	o.BufferMemory = int64(rapid.IntRange(1, 1<<22).Draw(t, "memory"))
	if o.BufferRequests {
		o.MaxRequestBody = int64(rapid.IntRange(0, 1<<30).Draw(t, "body"))
	}
	if o.BufferResponses {
		o.MaxResponseBody = int64(rapid.IntRange(0, 1<<30).Draw(t, "answer"))
	}
	o.PathPrefixes = rapid.SampledFrom([][]string{{"/"}, {"/api"}, {"/", "/api/v2"}}).Draw(t, "prefixes")
	if !o.Root() {
		o.TLSRedirect = true // kamal-proxy takes it from the host's root path
	}
	o.LogRequestHeaders = rapid.SampledFrom([][]string{nil, {"X-A"}, {"X-A", "X-B"}}).Draw(t, "log")
	o.LogResponseHeaders = rapid.SampledFrom([][]string{nil, {"X-C"}}).Draw(t, "logged")
	if flag("names") {
		o.Hosts = []string{"shop.example.com", "www.example.com"}
		if flag("canonical") {
			o.CanonicalHost = "www.example.com"
		}
		if o.Root() && flag("tls") {
			o.TLS, o.CertificatePath, o.PrivateKeyPath = true, certificate, key
		}
	}
	if flag("pages") {
		o.ErrorPagePath = pages
	}
	o.WriterAffinity = rapid.SampledFrom([]time.Duration{0, -1, 3 * time.Second}).Draw(t, "affinity")
	o.ReadersTakeWebsockets, o.ScopeCookiePaths = flag("websockets"), flag("cookies")
	if os.Getenv("KAMALD_CONTRACT_BINARY") == "" { // which may be kamal-proxy
		o.Balance = rapid.SampledFrom([]string{"", "least-connections"}).Draw(t, "balance")
	}
	return o
}

// certificateFiles writes a certificate for the names of the round trip.
func certificateFiles(t *testing.T) (certificate, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"shop.example.com", "www.example.com"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(90 * 24 * time.Hour)}
	chain, err := x509.CreateCertificate(rand.Reader, &template, &template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	text, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	certificate, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for file, block := range map[string]pem.Block{certificate: {Type: "CERTIFICATE", Bytes: chain}, key: {Type: "PRIVATE KEY", Bytes: text}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(&block), 0o600); err != nil {
			t.Fatal(fmt.Errorf("%s: %w", file, err))
		}
	}
	return certificate, key
}
