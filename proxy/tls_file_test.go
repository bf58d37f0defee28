package proxy

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// logBuffer is a log that a test reads.
type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBuffer) count(text string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.Count(b.text.String(), text)
}

func startLoggingProxy(t *testing.T) (*fixture, *logBuffer) {
	t.Helper()
	f := startProxy(t)
	if err := f.Shutdown(); err != nil {
		t.Fatal(err)
	}
	log := &logBuffer{}
	f.config.Log = slog.New(slog.NewJSONHandler(log, nil))
	return startProxyWith(t, f.config), log
}

// replace writes the content of one file to another, as a renewal would.
func replace(t *testing.T, path, with string) {
	t.Helper()
	data, err := os.ReadFile(with)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path+".new", data, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

func (f *fixture) shown(host string) string {
	f.t.Helper()
	state, err := f.handshake(&tls.Config{ServerName: host})
	if err != nil {
		f.t.Fatal(err)
	}
	return string(state.PeerCertificates[0].Raw)
}

func TestACertificateFileIsReadAgainWhenItChangesAndAHalfWrittenPairIsNotUsed(t *testing.T) {
	f, log := startLoggingProxy(t)
	cert, key, _ := certificateFiles(t, "app.test")
	newCert, newKey, _ := certificateFiles(t, "app.test")
	f.deploy(ownCertificate("app", backend(t, says("v1")), cert, key, "app.test"))
	before := f.shown("app.test")

	replace(t, cert, newCert)
	f.router.refreshCertificates()
	f.router.refreshCertificates()
	if f.shown("app.test") != before {
		t.Error("a certificate without its key is shown")
	}
	if n := log.count("cannot be read again"); n != 1 {
		t.Errorf("the log says %d times that the pair does not fit", n)
	}
	if i := f.certificateOf("app.test"); i.State != CertificateValid || !strings.Contains(i.LastError, "private key") {
		t.Errorf("list says %+v", i)
	}
	replace(t, key, newKey)
	eventually(t, "the new certificate is shown", func() bool { return f.shown("app.test") != before })
	if i := f.certificateOf("app.test"); i.LastError != "" {
		t.Errorf("list says %+v", i)
	}
}

func TestADeployWithACertificateThatCannotBeUsedIsRefused(t *testing.T) {
	f := startProxy(t)
	cert, _, _ := certificateFiles(t, "app.test")
	_, otherKey, _ := certificateFiles(t, "app.test")
	app := backend(t, says("v1"))
	for want, req := range map[string]DeployRequest{
		"/no/cert.pem":       ownCertificate("app", app, "/no/cert.pem", "/no/key.pem", "app.test"),
		"does not match":     ownCertificate("app", app, cert, otherKey, "app.test"),
		"DNS-01":             acmeRequest("app", app, "*.app.test"),
		"host must be set":   acmeRequest("app", app),
		"must be set togeth": ownCertificate("app", app, cert, "", "app.test"),
	} {
		if err := f.router.Deploy(t.Context(), req); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

func TestACertificateThatClientsWillRefuseIsDeployedWithAWarning(t *testing.T) {
	f, log := startLoggingProxy(t)
	cert, key, _ := certificateUntil(t, time.Now().Add(-time.Hour), "other.test")
	f.deploy(ownCertificate("app", backend(t, says("v1")), cert, key, "app.test"))
	if log.count("it expired on") != 1 || log.count("it is for other.test and not for app.test") != 1 {
		t.Errorf("the log says %s", log.text.String())
	}
	i := f.certificateOf("app.test")
	if i.State != CertificateExpired || len(i.Warnings) != 2 {
		t.Errorf("list says %+v", i)
	}
	var table bytes.Buffer
	if err := writeTable(&table, f.router.List()); err != nil || !strings.Contains(table.String(), "yes (app.test: expired)") {
		t.Errorf("the table is\n%s", table.String())
	}
}

func TestAServiceWhoseCertificateIsGoneAfterARestartIsServedOverHTTPUntilItIsBack(t *testing.T) {
	f := startProxy(t)
	cert, key, _ := certificateFiles(t, "app.test")
	ok, okKey, _ := certificateFiles(t, "ok.test")
	f.deploy(ownCertificate("app", backend(t, says("v1")), cert, key, "app.test"))
	f.deploy(ownCertificate("ok", backend(t, says("v2")), ok, okKey, "ok.test"))
	f.expect("app.test", "/", http.StatusMovedPermanently, "")
	if err := os.Rename(cert, cert+".away"); err != nil {
		t.Fatal(err)
	}
	f = f.restart()
	f.expect("app.test", "/", http.StatusOK, "v1")
	f.expect("ok.test", "/", http.StatusMovedPermanently, "")
	f.shown("ok.test")
	if i := f.certificateOf("app.test"); i.State != CertificateFailed || !strings.Contains(i.LastError, cert) {
		t.Errorf("list says %+v", i)
	}
	if data, err := json.Marshal(f.router.List()); err != nil || !strings.Contains(string(data), `"state":"failed","last_error":"reading`) {
		t.Errorf("as JSON: %s", data)
	}
	if err := os.Rename(cert+".away", cert); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the certificate is back", func() bool { return f.certificateOf("app.test").State == CertificateValid })
	f.shown("app.test")
	f.expect("app.test", "/", http.StatusMovedPermanently, "")
}

func TestTheLogWarnsOnceAtEachStepBeforeACertificateEnds(t *testing.T) {
	now := time.Now()
	log := &logBuffer{}
	said := expirySaid{}
	at := func(source string, left time.Duration, short bool) {
		end := now
		infos := []CertificateInfo{{Host: source, Source: source, NotAfter: &end, shortLived: short}}
		said.warn(slog.New(slog.NewTextHandler(log, nil)), infos, now.Add(-left))
	}
	day := 24 * time.Hour
	for _, step := range []struct {
		source string
		left   time.Duration
		short  bool
		lines  int
	}{
		{"file", 40 * day, false, 0}, {"file", 29 * day, false, 1}, {"file", 28 * day, false, 1}, {"file", 6 * day, false, 2},
		{"file", 23 * time.Hour, false, 3}, {"file", -time.Hour, false, 4}, {"file", -2 * time.Hour, false, 4},
		{"acme", 29 * day, false, 4}, {"acme", 6 * day, false, 5}, {"on-demand", day, true, 5}, {"on-demand", -day, true, 6},
	} {
		at(step.source, step.left, step.short)
		if n := log.count("level=WARN"); n != step.lines {
			t.Errorf("%s with %s left: %d lines, want %d", step.source, step.left, n, step.lines)
		}
	}
}
