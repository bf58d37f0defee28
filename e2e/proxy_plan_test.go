package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/kamald/kamald/lab"
)

const shopName = "shop.example.com"

// A file that asks for a newer kamald/proxy is planned as an upgrade in place; it loses no request, and the container stays.
func TestAnUpgradeOfTheProxyIsPlannedAndLosesNothing(t *testing.T) {
	f := newFixture(t)
	f.deploy(settings{})
	f.image("v1", nil)
	f.must(0, "apply", "--version", "v1")
	before := f.proxyID(f.host(1))

	f.deploy(settings{root: "proxy_server {\n  image = \"kamald/proxy:1.0.9\"\n}\n"})
	f.says(f.must(2, "plan", "--version", "v1", "--detailed-exitcode"), "1.0.9", "loses no request")
	load := startLoad(t, 50, 2*time.Minute, f.host(1), f.host(2))
	f.must(0, "apply", "--version", "v1")
	load.end(t)
	if f.proxyID(f.host(1)) != before {
		t.Error("it is another container")
	}
	for _, h := range []*lab.Host{f.host(1), f.host(2)} {
		if said := f.exec(h, "docker", "exec", "kamal-proxy", "kamal-proxy", "version"); !strings.Contains(said, "1.0.9") {
			t.Errorf("%s: the proxy is %s", h.Name, said)
		}
	}
	f.emptyTwice("v1")
	f.exec(f.host(1), "docker", "restart", "-t", "10", "kamal-proxy")
	f.emptyTwice("v1")
}

// A certificate of one's own gets to the servers as secrets do, readable for nobody else, and another one is a change that needs
// no other container.
func TestHTTPSWithACertificateOnRealServers(t *testing.T) {
	f := newFixture(t)
	f.deploy(settings{web: "proxy {\n  hosts = [\"" + shopName + "\"]\n  ssl = true\n  certificate = secret(\"CERTIFICATE_PEM\")\n  private_key = secret(\"PRIVATE_KEY_PEM\")\n}"})
	f.image("v1", nil)
	secrets := "REGISTRY_PASSWORD=" + f.lab.Registry.Password.Reveal() + "\nAPI_TOKEN=" + canary + "\n"
	give := func() *x509.Certificate {
		certificate, chain, key := selfSigned(t)
		f.write(".kamald/secrets", secrets+"CERTIFICATE_PEM=\""+chain+"\"\nPRIVATE_KEY_PEM=\""+key+"\"\n", 0o600)
		return certificate
	}
	first := give()
	f.must(0, "apply", "--version", "v1")
	f.serves(first)
	f.emptyTwice("v1")
	files := f.exec(f.host(1), "find", "/root/.kamal/proxy/apps-config/shop/tls", "-type", "f", "-printf", "%m %f\n")
	if !strings.Contains(files, "600 cert.pem") || !strings.Contains(files, "600 key.pem") {
		t.Errorf("the files are\n%s", files)
	}

	second := give()
	before := f.running(f.host(1))
	plan := f.must(2, "plan", "--version", "v1", "--detailed-exitcode")
	f.says(plan, "CERTIFICATE_PEM", "PRIVATE_KEY_PEM")
	if strings.Contains(plan.all(), "BEGIN") {
		t.Error("the plan has a certificate's text")
	}
	f.must(0, "apply", "--version", "v1")
	f.serves(second)
	if after := f.running(f.host(1)); strings.Join(after, " ") != strings.Join(before, " ") {
		t.Errorf("containers were %v and are %v", before, after)
	}
	f.emptyTwice("v1")
}

// serves wants both web hosts to answer over HTTPS with a certificate.
func (f *fixture) serves(certificate *x509.Certificate) {
	f.t.Helper()
	for _, h := range []*lab.Host{f.host(1), f.host(2)} {
		dialer := &tls.Dialer{NetDialer: &net.Dialer{Timeout: 10 * time.Second}, Config: &tls.Config{ServerName: shopName, InsecureSkipVerify: true}}
		conn, err := dialer.DialContext(f.t.Context(), "tcp", net.JoinHostPort(h.Address, "443"))
		if err != nil {
			f.t.Fatalf("%s: %v", h.Name, err)
		}
		shown := conn.(*tls.Conn).ConnectionState().PeerCertificates[0]
		_ = conn.Close()
		if !shown.Equal(certificate) {
			f.t.Errorf("%s shows certificate %d, want %d", h.Name, shown.SerialNumber, certificate.SerialNumber)
		}
	}
}

// selfSigned makes a certificate for the shop's name, and its texts.
func selfSigned(t *testing.T) (certificate *x509.Certificate, chain, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		t.Fatal(err)
	}
	made := &x509.Certificate{SerialNumber: serial, Subject: pkix.Name{CommonName: shopName}, DNSNames: []string{shopName},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, made, made, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err = x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	text := func(kind string, data []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: data}))
	}
	return certificate, text("CERTIFICATE", der), text("PRIVATE KEY", secret)
}

// Another app's file that asks for another proxy, or for a route that is somebody's, is told so before anything is done.
func TestTwoAppsOfOneProxyThatDisagree(t *testing.T) {
	onlyLong(t)
	f := newFixture(t)
	f.deploy(settings{root: "proxy_server {\n  log_max_size = \"20m\"\n}\n", web: "proxy {\n  hosts = [\"" + shopName + "\"]\n}"})
	f.image("v1", nil)
	f.must(0, "apply", "--version", "v1")

	other := strings.NewReplacer(`service = "shop"`, `service = "till"`)
	f.deploy(settings{root: "proxy_server {\n  log_max_size = \"5m\"\n}\n", web: "proxy {\n  hosts = [\"till.example.com\"]\n}"})
	f.rewrite("deploy.hcl", other)
	f.says(f.must(1, "plan", "--version", "v1"), "shop", "max-size")

	f.deploy(settings{web: "proxy {\n  hosts = [\"" + shopName + "\"]\n}"})
	f.rewrite("deploy.hcl", other)
	f.says(f.must(1, "plan", "--version", "v1"), "shop-web", shopName)

	f.deploy(settings{web: "proxy {\n  hosts = [\"till.example.com\"]\n}"})
	f.rewrite("deploy.hcl", other)
	f.must(0, "apply", "--version", "v1")
	f.emptyTwice("v1")
}
