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
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// certificateFiles writes a self-signed certificate for host and returns its paths and a pool that trusts it.
func certificateFiles(t *testing.T, host string) (certPath, keyPath string, roots *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: host}, DNSNames: []string{host},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
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
	if f.HTTPSPort() != 0 {
		t.Error("HTTPS listens although no service has TLS")
	}
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

func TestADeployWithACertificateThatCannotBeReadIsRefused(t *testing.T) {
	f := startProxy(t)
	req := deployRequest("app", backend(t, says("v1")), "app.test")
	req.Options.TLSEnabled, req.Options.TLSCertificatePath, req.Options.TLSPrivateKeyPath = true, "/no/cert.pem", "/no/key.pem"
	if err := f.router.Deploy(t.Context(), req); err == nil {
		t.Error("the deploy succeeded")
	}
}
