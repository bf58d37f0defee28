package proxy

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/letsencrypt/pebble/v2/ca"
	"github.com/letsencrypt/pebble/v2/db"
	"github.com/letsencrypt/pebble/v2/va"
	"github.com/letsencrypt/pebble/v2/wfe"
	"github.com/miekg/dns"
)

// pebble is Let's Encrypt's ACME server for tests, in this process: it rejects a share of the good nonces, so that clients show
// that they try again, and looks for challenges at loopback whatever the name.
type pebble struct {
	t        *testing.T
	server   *httptest.Server
	handler  atomic.Pointer[http.Handler] // nil: out of order
	requests atomic.Int64
	ca       *ca.CAImpl
	db       *db.MemoryStore
	resolver string
	roots    *x509.CertPool // of the certificates it gives
	caRoot   string         // file with that of its own HTTPS
}

func startPebble(t *testing.T) *pebble {
	t.Helper()
	t.Setenv("PEBBLE_VA_NOSLEEP", "1")
	t.Setenv("PEBBLE_AUTHZREUSE", "0") // every certificate is proven for
	p := &pebble{t: t, db: db.NewMemoryStore(), resolver: loopbackDNS(t), roots: x509.NewCertPool()}
	quiet := log.New(io.Discard, "", 0)
	p.ca = ca.New(quiet, p.db, "", "ecdsa", 0, 1, map[string]ca.Profile{"default": {Description: "for tests", ValidityPeriod: 90 * 24 * 3600}})
	if !p.roots.AppendCertsFromPEM(p.ca.GetRootCert(0).PEM()) {
		t.Fatal("the authority has no root certificate")
	}
	p.server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.requests.Add(1)
		if h := p.handler.Load(); h != nil {
			(*h).ServeHTTP(w, r)
			return
		}
		http.Error(w, "out of order", http.StatusServiceUnavailable)
	}))
	p.server.Config.ErrorLog = quiet
	t.Cleanup(p.server.Close)
	p.caRoot = filepath.Join(t.TempDir(), "root.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.server.Certificate().Raw})
	if err := os.WriteFile(p.caRoot, block, 0o600); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *pebble) directory() string { return p.server.URL + wfe.DirectoryPath }

// looksAt opens the authority, which looks for challenges at these ports.
func (p *pebble) looksAt(httpPort, tlsPort int) {
	quiet := log.New(io.Discard, "", 0)
	v := va.New(quiet, httpPort, tlsPort, false, p.resolver, p.db)
	front := wfe.New(quiet, p.db, v, p.ca, []string{"pebble.test"}, false, false, 0, 0)
	handler := front.Handler()
	p.handler.Store(&handler)
}

func (p *pebble) breaksDown() { p.handler.Store(nil) }

// config is that of a proxy which gets its certificates from here.
func (p *pebble) config() Config {
	p.t.Helper()
	dir, err := os.MkdirTemp("", "kp") // a socket's path may be 107 bytes long and no more
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return Config{
		Bind:       "127.0.0.1",
		StatePath:  filepath.Join(dir, "config", "kamal-proxy.state"),
		SocketPath: filepath.Join(dir, "run", "kp.sock"),
		Log:        slog.New(slog.DiscardHandler),
		ACME:       ACMEConfig{CARoot: p.caRoot, Directory: p.directory()},
	}
}

// client makes a new connection for each request, to the proxy whatever the name, and trusts this authority only.
func (p *pebble) client(f *fixture) *http.Client {
	client := &http.Client{Timeout: patience, Transport: &http.Transport{
		TLSClientConfig:   &tls.Config{RootCAs: p.roots},
		DisableKeepAlives: true,
		DialContext:       dialAlways(fmt.Sprintf("127.0.0.1:%d", f.HTTPSPort())),
	}}
	p.t.Cleanup(client.CloseIdleConnections)
	return client
}

// serves tells whether the host answers over HTTPS with a certificate of this authority, and returns that.
func (p *pebble) serves(f *fixture, host string) (*x509.Certificate, error) {
	resp, err := p.client(f).Get("https://" + host + "/")
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status %d", resp.StatusCode)
	}
	return resp.TLS.PeerCertificates[0], nil
}

// loopbackDNS is a server that has every name at 127.0.0.1.
func loopbackDNS(t *testing.T) (address string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &dns.Server{Listener: ln, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, question *dns.Msg) {
		answer := new(dns.Msg).SetReply(question)
		if q := question.Question[0]; q.Qtype == dns.TypeA {
			answer.Answer = []dns.RR{&dns.A{
				Hdr: dns.RR_Header{Name: q.Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 1}, A: net.IPv4(127, 0, 0, 1),
			}}
		}
		_ = w.WriteMsg(answer)
	})}
	go func() { _ = server.ActivateAndServe() }()
	t.Cleanup(func() { _ = ln.Close() })
	return ln.Addr().String()
}

// acmeRequest is a deploy with an automatic certificate.
func acmeRequest(service, target string, hosts ...string) DeployRequest {
	req := deployRequest(service, target, hosts...)
	req.Options.TLSEnabled = true
	req.TargetOptions.ForwardHeaders = false
	return req
}

// hostsMade counts the names that no other test has.
var hostsMade atomic.Int64

func uniqueHost() string { return fmt.Sprintf("app-%d.test", hostsMade.Add(1)) }

// certificateOf returns what list says of a host's certificate.
func (f *fixture) certificateOf(host string) CertificateInfo {
	for _, s := range f.router.List() {
		for _, i := range s.Certificates {
			if i.Host == host {
				return i
			}
		}
	}
	return CertificateInfo{}
}
