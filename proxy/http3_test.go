package proxy

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

// startHTTP3 is a proxy with HTTP/3 and a service app.test.
func startHTTP3(t *testing.T, handle http.HandlerFunc) (*fixture, *x509.CertPool) {
	t.Helper()
	f := startProxy(t)
	if err := f.Shutdown(); err != nil {
		t.Fatal(err)
	}
	f.config.HTTP3 = true
	f = startProxyWith(t, f.config)
	cert, key, roots := certificateFiles(t, "app.test")
	f.deploy(ownCertificate("app", backend(t, handle), cert, key, "app.test"))
	return f, roots
}

// http3Client sends everything to the proxy, by HTTP/3 only.
func http3Client(t *testing.T, f *fixture, roots *x509.CertPool) *http.Client {
	t.Helper()
	return http3ClientAt(t, fmt.Sprintf("127.0.0.1:%d", f.HTTPSPort()), roots)
}

func http3ClientAt(t *testing.T, address string, roots *x509.CertPool) *http.Client {
	t.Helper()
	transport := &http3.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: "app.test"},
		Dial: func(ctx context.Context, _ string, tlsConfig *tls.Config, config *quic.Config) (*quic.Conn, error) {
			return quic.DialAddrEarly(ctx, address, tlsConfig, config)
		},
	}
	t.Cleanup(func() { _ = transport.Close() })
	return &http.Client{Transport: transport, Timeout: patience}
}

func TestHTTP3IsAnnouncedAndServedByTheSameServices(t *testing.T) {
	f, roots := startHTTP3(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Trailer", "X-End")
		fmt.Fprintf(w, "%s %s %s %s", r.Method, r.RequestURI, r.Header.Get("X-Forwarded-Proto"), body)
		w.Header().Set("X-End", "yes")
	})
	overTCP := &http.Client{Timeout: patience, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots}, DialContext: dialAlways(fmt.Sprintf("127.0.0.1:%d", f.HTTPSPort())),
	}}
	defer overTCP.CloseIdleConnections()
	resp, err := overTCP.Get("https://app.test/")
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if want := fmt.Sprintf(`h3=":%d"; ma=86400`, f.HTTPSPort()); resp.Header.Get("Alt-Svc") != want {
		t.Errorf("Alt-Svc is %q, want %q", resp.Header.Get("Alt-Svc"), want)
	}
	if _, _, head := f.do(f.request(http.MethodGet, "app.test", "/", nil)); head.Get("Alt-Svc") != "" {
		t.Error("HTTP/3 is announced over plain HTTP")
	}
	large := strings.Repeat("x", 1<<20)
	resp, err = http3Client(t, f, roots).Post("https://app.test/a%2Fb?q=1", "text/plain", strings.NewReader(large))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || string(body) != "POST /a%2Fb?q=1 https "+large || resp.ProtoMajor != 3 || resp.Trailer.Get("X-End") != "yes" {
		t.Errorf("got %d bytes over %s, trailers %v, %v", len(body), resp.Proto, resp.Trailer, err)
	}
}

func TestWithoutHTTP3ItIsNotAnnounced(t *testing.T) {
	f := startProxy(t)
	cert, key, roots := certificateFiles(t, "app.test")
	f.deploy(ownCertificate("app", backend(t, says("v1")), cert, key, "app.test"))
	client := &http.Client{Timeout: patience, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots}, DialContext: dialAlways(fmt.Sprintf("127.0.0.1:%d", f.HTTPSPort())),
	}}
	defer client.CloseIdleConnections()
	resp, err := client.Get("https://app.test/")
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if got := resp.Header.Get("Alt-Svc"); got != "" {
		t.Errorf("Alt-Svc is %q", got)
	}
}

func TestARequestInFlightOverHTTP3IsFinishedAtTheShutdown(t *testing.T) {
	arrived, release := make(chan struct{}), make(chan struct{})
	f, roots := startHTTP3(t, func(w http.ResponseWriter, _ *http.Request) {
		close(arrived)
		<-release
		_, _ = io.WriteString(w, "finished")
	})
	type outcome struct {
		body string
		err  error
	}
	client, got := http3Client(t, f, roots), make(chan outcome, 1)
	go func() {
		resp, err := client.Get("https://app.test/slow")
		if err != nil {
			got <- outcome{err: err}
			return
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		got <- outcome{string(body), err}
	}()
	receive(t, "the request", arrived)
	down := make(chan error, 1)
	go func() { down <- f.Shutdown() }()
	receive(t, "the beginning of the end", f.ending)
	close(release)
	if o := receive(t, "the answer", got); o.err != nil || o.body != "finished" {
		t.Errorf("got %q, %v", o.body, o.err)
	}
	if err := receive(t, "the end", down); err != nil {
		t.Error(err)
	}
}

func TestHTTP3HasNoUpgradesAndRefusesLargeHeaders(t *testing.T) {
	f, roots := startHTTP3(t, says("v1"))
	client := http3Client(t, f, roots)
	r, err := http.NewRequest(http.MethodConnect, "https://app.test/", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Proto = "websocket" // an extended CONNECT (RFC 9220)
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("a websocket got %d", resp.StatusCode)
	}
	r, err = http.NewRequest(http.MethodGet, "https://app.test/", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Large", strings.Repeat("x", 2*maxHeaderBytes))
	if resp, err := client.Do(r); err == nil {
		_ = resp.Body.Close()
		if resp.StatusCode < 400 {
			t.Errorf("a large header got %d", resp.StatusCode)
		}
	}
	if resp, err = client.Get("https://app.test/"); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("then: %v", err)
	}
	_ = resp.Body.Close()
}
