package contract

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net/http"
	"strings"
	"time"
)

// certificate makes a certificate for names in files that the proxy sees, and returns the flags for it.
func (p *proxy) certificate(serial int64, names ...string) string {
	p.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		p.t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: names[0]}, DNSNames: names,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(90 * 24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		p.t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		p.t.Fatal(err)
	}
	cert := p.file("cert.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	private := p.file("key.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})))
	return "--tls --tls-certificate-path " + cert + " --tls-private-key-path " + private + " "
}

// secure asks over HTTPS; the serial number of the certificate comes with the answer.
func (p *proxy) secure(host, path string) (a answer, serial int64) {
	p.t.Helper()
	client := p.newClient(&tls.Config{InsecureSkipVerify: true, VerifyConnection: func(s tls.ConnectionState) error {
		serial = s.PeerCertificates[0].SerialNumber.Int64()
		return nil
	}})
	defer client.CloseIdleConnections()
	r := p.request(http.MethodGet, host, path, nil)
	r.URL.Scheme = "https"
	return sendBy(client, r), serial
}

var tlsRows = []behaviour{
	{name: "a service has its own certificate", does: "deploy --tls --host a.test with certificate and key", expects: "HTTPS with that certificate, by HTTP/2; the app is told https",
		run: func(p *proxy) {
			a := p.app(func(w http.ResponseWriter, r *http.Request) {
				_, _ = w.Write([]byte(r.Header.Get("X-Forwarded-Proto")))
			})
			p.deploy("app", a.address, p.certificate(7, "a.test")+"--host a.test")
			got, serial := p.secure("a.test", "/")
			p.check("GET https://a.test/", got, 200, "https")
			equal(p, "the certificate", serial, 7)
			equal(p, "the protocol", got.proto, "HTTP/2.0")
			if out := p.ok("list"); !strings.Contains(out, "yes") {
				p.t.Errorf("list says %s", out)
			}
		}},
	{name: "HTTP is redirected to HTTPS", does: "ask http://a.test:8080/x?q=1 of a service with TLS", expects: "301 to https://a.test/x?q=1",
		run: func(p *proxy) {
			p.serve("app", p.certificate(1, "a.test")+"--host a.test")
			a := p.wants("a.test:8080", "/x?q=1", 301, "")
			equal(p, "the location", a.header.Get("Location"), "https://a.test/x?q=1")
		}},
	{name: "the redirect can be left out", does: "deploy --tls --tls-redirect=false", expects: "HTTP and HTTPS are served",
		run: func(p *proxy) {
			p.serve("app", p.certificate(1, "a.test")+"--host a.test --tls-redirect=false")
			p.wants("a.test", "/", 200, "app")
			got, _ := p.secure("a.test", "/")
			p.check("GET https://a.test/", got, 200, "app")
		}},
	{name: "with TLS no proxy in front is believed", does: "deploy --tls, ask with X-Forwarded-For: 1.2.3.4", expects: "it is replaced",
		run: func(p *proxy) {
			_, seen := p.shows(p.certificate(1, "a.test") + "--host a.test --tls-redirect=false")
			p.check("GET", p.getWith("a.test", "/", "X-Forwarded-For: 1.2.3.4"), 200, "")
			if got := receive(p, "the app's request", seen).Header.Get("X-Forwarded-For"); strings.Contains(got, "1.2.3.4") {
				p.t.Errorf("X-Forwarded-For is %q", got)
			}
		}},
	{name: "an unknown name gets no certificate", does: "ask https://other.test/", expects: "the handshake fails",
		run: func(p *proxy) {
			p.serve("app", p.certificate(1, "a.test")+"--host a.test")
			if got, _ := p.secure("other.test", "/"); got.err == nil {
				p.t.Errorf("answered %d", got.status)
			}
		}},
	{name: "the service at the root path decides about HTTPS for the host", does: "deploy / with --tls, then /api without", expects: "HTTP to /api is redirected; HTTPS is served",
		run: func(p *proxy) {
			p.serve("root", p.certificate(1, "a.test")+"--host a.test")
			p.serve("api", "--host a.test --path-prefix /api")
			p.wants("a.test", "/api/x", 301, "")
			got, _ := p.secure("a.test", "/api/x")
			p.check("GET https://a.test/api/x", got, 200, "api")
		}},
	{name: "a service below a path may have HTTPS when nobody has the root", does: "deploy --tls --path-prefix /api with certificate and key", expects: "https://a.test/api is served",
		kamal: "refuses it: TLS settings must be specified on the root path service",
		run: func(p *proxy) {
			flags := p.certificate(4, "a.test") + "--host a.test --path-prefix /api"
			if p.differs() {
				p.fails("deploy app --target "+p.says("app").address+" "+flags, "TLS settings must be specified on the root path service")
				return
			}
			p.serve("app", flags)
			got, serial := p.secure("a.test", "/api")
			p.check("GET https://a.test/api", got, 200, "app")
			equal(p, "the certificate", serial, 4)
		}},
	{name: "a wildcard may have a certificate", does: "deploy --tls --host *.a.test with certificate and key", expects: "https://x.a.test is served",
		run: func(p *proxy) {
			p.serve("app", p.certificate(3, "*.a.test")+"--host *.a.test")
			got, serial := p.secure("x.a.test", "/")
			p.check("GET https://x.a.test/", got, 200, "app")
			equal(p, "the certificate", serial, 3)
		}},
	{name: "certificates of wildcards cannot be got by themselves", does: "deploy --tls --host *.a.test without a certificate", expects: "exit code 1, the wildcard named",
		run: func(p *proxy) {
			p.fails("deploy app --tls --host *.a.test --target "+p.says("v1").address, "wildcard")
		}},
	{name: "a certificate that cannot be read is refused", does: "deploy with a file that is not there", expects: "exit code 1; the old one serves on",
		run: func(p *proxy) {
			flags := p.certificate(1, "a.test")
			p.serve("app", flags+"--host a.test")
			p.fails("deploy app --host a.test --target "+p.says("new").address+" "+strings.Replace(flags, "cert.pem", "gone.pem", 1), "certificate")
			got, _ := p.secure("a.test", "/")
			p.check("GET https://a.test/", got, 200, "app")
		}},
	{name: "a renewed certificate is picked up", does: "write another certificate into the files", expects: "it is served after some seconds",
		kamal: "serves the old one until the next deploy",
		run: func(p *proxy) {
			p.serve("app", p.certificate(1, "a.test")+"--host a.test")
			p.certificate(2, "a.test")
			serves := func(serial int64) func() bool {
				return func() bool { _, got := p.secure("a.test", "/"); return got == serial }
			}
			if p.differs() {
				p.eventually("the old one is served", serves(1))
				return
			}
			p.eventually("the new one is served", serves(2))
		}},
	{name: "certificates survive a restart", does: "restart the proxy", expects: "HTTPS is served",
		run: func(p *proxy) {
			p.serve("app", p.certificate(5, "a.test")+"--host a.test")
			p.restart(true)
			got, serial := p.secure("a.test", "/")
			p.check("GET https://a.test/", got, 200, "app")
			equal(p, "the certificate", serial, 5)
		}},
	{name: "old versions of TLS are refused", does: "connect with TLS 1.1", expects: "the handshake fails",
		run: func(p *proxy) {
			p.serve("app", p.certificate(1, "a.test")+"--host a.test")
			conn, err := tls.Dial("tcp", p.host.address(httpsPort), &tls.Config{InsecureSkipVerify: true, ServerName: "a.test", MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11})
			if err == nil {
				_ = conn.Close()
				p.t.Error("TLS 1.1 is spoken")
			}
		}},
}
