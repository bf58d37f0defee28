package proxy

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// certificateFiles writes a self-signed certificate for hosts and returns its paths and a pool that trusts it.
func certificateFiles(t *testing.T, hosts ...string) (certPath, keyPath string, roots *x509.CertPool) {
	t.Helper()
	return certificateUntil(t, time.Now().Add(time.Hour), hosts...)
}

// certificateUntil is the same with an end.
func certificateUntil(t *testing.T, end time.Time, hosts ...string) (certPath, keyPath string, roots *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: hosts[0]}, DNSNames: hosts,
		NotBefore: end.Add(-100 * 24 * time.Hour), NotAfter: end, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	dir := t.TempDir()
	certPath, keyPath = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for path, data := range map[string][]byte{certPath: certPEM, keyPath: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})} {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	roots = x509.NewCertPool()
	roots.AppendCertsFromPEM(certPEM)
	return certPath, keyPath, roots
}

func TestAServiceWithACertificateIsServedOverHTTPSAndHTTPIsRedirected(t *testing.T) {
	f := startProxy(t)
	req := deployRequest("app", backend(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.Header.Get("X-Forwarded-Proto"))
	}), "app.test")
	cert, key, roots := certificateFiles(t, "app.test")
	req.Options.TLSEnabled, req.Options.TLSCertificatePath, req.Options.TLSPrivateKeyPath = true, cert, key
	req.TargetOptions.ForwardHeaders = false
	if err := newClient(f.config.SocketPath).do(t.Context(), http.MethodPost, "/v1/deploy", req, nil); err != nil {
		t.Fatal(err)
	}
	f = f.restart()

	status, _, head := f.do(f.request(http.MethodGet, "app.test:80", "/a%2Fb?q=1", nil))
	if status != http.StatusMovedPermanently || head.Get("Location") != "https://app.test/a%2Fb?q=1" {
		t.Errorf("HTTP got %d to %s", status, head.Get("Location"))
	}
	client := &http.Client{Timeout: patience, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{ServerName: "app.test", RootCAs: roots}, ForceAttemptHTTP2: true,
	}}
	defer client.CloseIdleConnections()
	r, err := http.NewRequest(http.MethodGet, fmt.Sprintf("https://127.0.0.1:%d/", f.HTTPSPort()), nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = "app.test"
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, _ := io.ReadAll(resp.Body); string(body) != "https" || resp.ProtoMajor != 2 {
		t.Errorf("HTTPS got %q over %s", body, resp.Proto)
	}
}

// ownCertificate is a deploy with the certificate of two files.
func ownCertificate(service, target, cert, key string, hosts ...string) DeployRequest {
	req := acmeRequest(service, target, hosts...)
	req.Options.TLSCertificatePath, req.Options.TLSPrivateKeyPath = cert, key
	return req
}

// handshake connects as a client for a name would, and does not look at who signed the certificate.
func (f *fixture) handshake(config *tls.Config) (tls.ConnectionState, error) {
	config.InsecureSkipVerify = true
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: patience}, "tcp", fmt.Sprintf("127.0.0.1:%d", f.HTTPSPort()), config)
	if err != nil {
		return tls.ConnectionState{}, err
	}
	defer conn.Close()
	return conn.ConnectionState(), nil
}

func TestTheTLSDefaultsAreModern(t *testing.T) {
	f := startProxy(t)
	cert, key, _ := certificateFiles(t, "app.test")
	f.deploy(ownCertificate("app", backend(t, says("v1")), cert, key, "app.test"))
	state, err := f.handshake(&tls.Config{ServerName: "app.test", NextProtos: []string{"http/1.1", "h2"}})
	if err != nil || state.Version != tls.VersionTLS13 || state.NegotiatedProtocol != "h2" {
		t.Errorf("got version %x and %q, %v", state.Version, state.NegotiatedProtocol, err)
	}
	if _, err := f.handshake(&tls.Config{ServerName: "app.test", MaxVersion: tls.VersionTLS12}); err != nil {
		t.Errorf("TLS 1.2: %v", err)
	}
	old := []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA}
	for name, config := range map[string]*tls.Config{
		"TLS 1.1":            {ServerName: "app.test", MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11},
		"a suite of old":     {ServerName: "app.test", MaxVersion: tls.VersionTLS12, CipherSuites: old},
		"acme-tls/1 of none": {ServerName: "app.test", NextProtos: []string{"acme-tls/1"}},
	} {
		if state, err := f.handshake(config); err == nil {
			t.Errorf("%s: accepted with %+v", name, state)
		}
	}
	for _, name := range []string{"other.test", ""} {
		if _, err := f.handshake(&tls.Config{ServerName: name}); err == nil || !strings.Contains(err.Error(), "unrecognized name") {
			t.Errorf("a name of nobody, %q: %v", name, err)
		}
	}
}

func TestARequestOnAConnectionForAnotherHostIsMisdirected(t *testing.T) {
	f := startProxy(t)
	shared, sharedKey, _ := certificateFiles(t, "a.test", "b.test")
	c, cKey, _ := certificateFiles(t, "c.test")
	f.deploy(ownCertificate("a", backend(t, says("a")), shared, sharedKey, "a.test"))
	f.deploy(ownCertificate("b", backend(t, says("b")), shared, sharedKey, "b.test"))
	f.deploy(ownCertificate("c", backend(t, says("c")), c, cKey, "c.test"))
	f.deploy(deployRequest("plain", backend(t, says("plain")), "plain.test"))
	client := &http.Client{Timeout: patience, Transport: &http.Transport{
		ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{ServerName: "a.test", InsecureSkipVerify: true},
	}}
	defer client.CloseIdleConnections()
	for host, want := range map[string]int{
		"a.test": 200, "A.test.": 200, "b.test": 200, "c.test": 421, "plain.test": 421, "nobody.test": 404,
	} {
		r, err := http.NewRequest(http.MethodGet, fmt.Sprintf("https://127.0.0.1:%d/", f.HTTPSPort()), nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = host
		resp, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%s got %d, want %d", host, resp.StatusCode, want)
		}
	}
}

func TestTheServiceAtTheRootPathDecidesAboutTLS(t *testing.T) {
	f := startProxy(t)
	cert, key, _ := certificateFiles(t, "app.test")
	api := deployRequest("api", backend(t, says("api")), "app.test")
	api.Options.PathPrefixes = []string{"/api"}
	f.deploy(api)
	f.expect("app.test", "/api", http.StatusOK, "api")
	f.deploy(ownCertificate("web", backend(t, says("web")), cert, key, "app.test"))
	f.expect("app.test", "/api", http.StatusMovedPermanently, "")
	if _, err := f.handshake(&tls.Config{ServerName: "app.test"}); err != nil {
		t.Error(err)
	}
	// Without a service at the root, one below it may have TLS of its own.
	api.Options.Hosts = []string{"other.test"}
	api.Options.TLSEnabled, api.Options.TLSCertificatePath, api.Options.TLSPrivateKeyPath = true, cert, key
	f.deploy(api)
	if _, err := f.handshake(&tls.Config{ServerName: "other.test"}); err != nil {
		t.Error(err)
	}
}
