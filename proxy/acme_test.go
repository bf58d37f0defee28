package proxy

import (
	"context"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"
)

func dialAlways(address string) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, network, address)
	}
}

// closedPort is a loopback port that nobody listens at.
func closedPort(t *testing.T) int {
	t.Helper()
	addr, err := net.ResolveTCPAddr("tcp", nobody(t))
	if err != nil {
		t.Fatal(err)
	}
	return addr.Port
}

func TestACertificateIsObtainedThroughEitherChallengeAlone(t *testing.T) {
	for _, challenge := range []string{"HTTP-01", "TLS-ALPN-01"} {
		t.Run(challenge, func(t *testing.T) {
			p := startPebble(t)
			f := startProxyWith(t, p.config())
			if challenge == "HTTP-01" {
				p.looksAt(f.HTTPPort(), closedPort(t))
			} else {
				p.looksAt(closedPort(t), f.HTTPSPort())
			}
			f.deploy(acmeRequest("app", backend(t, says("v1")), "app.test"))
			eventually(t, "there is a certificate", func() bool { return f.certificateOf("app.test").State == CertificateValid })
			if _, err := p.serves(f, "app.test"); err != nil {
				t.Error(err)
			}
			if i := f.certificateOf("app.test"); i.Source != "acme" || i.LastError != "" || time.Until(*i.NotAfter) < 80*24*time.Hour {
				t.Errorf("list says %+v", i)
			}
			if got := f.router.CertificateExpiries()["app.test"]; time.Until(got) < 80*24*time.Hour {
				t.Errorf("it expires at %s", got)
			}
			onlyTheOwnerReads(t, filepath.Join(filepath.Dir(f.config.StatePath), "certs"))
		})
	}
}

func onlyTheOwnerReads(t *testing.T, dir string) {
	t.Helper()
	keys := 0
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		if strings.HasSuffix(path, ".key") {
			keys++
		}
		return nil
	})
	if err != nil || keys == 0 {
		t.Errorf("%s: %d keys, %v", dir, keys, err)
	}
}

func TestHTTPIsServedUntilThereIsACertificateAndRedirectedThen(t *testing.T) {
	p := startPebble(t)
	f := startProxyWith(t, p.config())
	f.deploy(acmeRequest("app", backend(t, says("v1")), "app.test"))
	f.expect("app.test", "/", http.StatusOK, "v1")
	p.looksAt(f.HTTPPort(), f.HTTPSPort())
	f = f.restart() // the first attempt met an authority that is out of order
	p.looksAt(f.HTTPPort(), f.HTTPSPort())
	eventually(t, "there is a certificate", func() bool { return f.certificateOf("app.test").State == CertificateValid })
	f.expect("app.test", "/", http.StatusMovedPermanently, "")
	// A path of a challenge that is not ours belongs to the app.
	f.expect("app.test", challengePath+"unknown", http.StatusOK, "v1")
	status, _, head := f.do(f.request(http.MethodPost, "app.test", "/form", strings.NewReader("a=b")))
	if status != http.StatusPermanentRedirect || head.Get("Location") != "https://app.test/form" {
		t.Errorf("POST got %d to %s", status, head.Get("Location"))
	}
}

func TestAFailedAttemptIsNamedAndMadeAgain(t *testing.T) {
	p := startPebble(t)
	config := p.config()
	config.ACME.retries = []time.Duration{time.Hour}
	f := startProxyWith(t, config)
	p.looksAt(closedPort(t), closedPort(t))
	f.deploy(acmeRequest("app", backend(t, says("v1")), "app.test"))
	eventually(t, "the attempt has failed", func() bool { return f.certificateOf("app.test").State == CertificateFailed })
	i := f.certificateOf("app.test")
	if !strings.Contains(i.LastError, "authorization failed") || i.NextTry == nil || time.Until(*i.NextTry) < 50*time.Minute {
		t.Errorf("list says %+v", i)
	}
	f.expect("app.test", "/", http.StatusOK, "v1")
	if _, err := p.serves(f, "app.test"); err == nil {
		t.Error("a handshake without a certificate succeeded")
	}
	f.config.ACME.retries = []time.Duration{50 * time.Millisecond}
	f = f.restart()
	eventually(t, "it has failed again", func() bool { return f.certificateOf("app.test").State == CertificateFailed })
	p.looksAt(f.HTTPPort(), f.HTTPSPort())
	eventually(t, "there is a certificate", func() bool { return f.certificateOf("app.test").State == CertificateValid })
	if i := f.certificateOf("app.test"); i.LastError != "" || i.NextTry != nil {
		t.Errorf("list says %+v", i)
	}
}

func TestAfterARestartTheStoredCertificateServesAndNobodyIsAsked(t *testing.T) {
	p := startPebble(t)
	f := startProxyWith(t, p.config())
	p.looksAt(f.HTTPPort(), f.HTTPSPort())
	f.deploy(acmeRequest("app", backend(t, says("v1")), "app.test"))
	eventually(t, "there is a certificate", func() bool { return f.certificateOf("app.test").State == CertificateValid })
	before, err := p.serves(f, "app.test")
	if err != nil {
		t.Fatal(err)
	}
	p.server.Close() // no network
	f = f.restart()
	after, err := p.serves(f, "app.test")
	if err != nil || !after.Equal(before) {
		t.Errorf("after the restart: %v", err)
	}
}

func TestACertificateIsRenewedUnderTheRequests(t *testing.T) {
	p := startPebble(t)
	host := uniqueHost() // the library has one renewal of a name at a time in a process, also of another proxy
	config := p.config()
	config.ACME.renewWindow, config.ACME.renewEvery = 1, 50*time.Millisecond // it is always due
	f := startProxyWith(t, config)
	p.looksAt(f.HTTPPort(), f.HTTPSPort())
	f.deploy(acmeRequest("app", backend(t, says("v1")), host))
	eventually(t, "there is a certificate", func() bool { return f.certificateOf(host).State == CertificateValid })
	serials := map[string]bool{}
	eventually(t, "it was renewed twice", func() bool {
		cert, err := p.serves(f, host)
		if err != nil {
			t.Fatal(err)
		}
		serials[cert.SerialNumber.String()] = true
		return len(serials) > 2
	})
	p.breaksDown()
	eventually(t, "the failure is named", func() bool { return f.certificateOf(host).LastError != "" })
	if i := f.certificateOf(host); i.State != CertificateValid {
		t.Errorf("list says %+v", i)
	}
	if _, err := p.serves(f, host); err != nil {
		t.Error(err)
	}
}

func TestARemovedServiceHasNoCertificateAnyMore(t *testing.T) {
	p := startPebble(t)
	f := startProxyWith(t, p.config())
	p.looksAt(f.HTTPPort(), f.HTTPSPort())
	f.deploy(acmeRequest("app", backend(t, says("v1")), "app.test"))
	eventually(t, "there is a certificate", func() bool { return f.certificateOf("app.test").State == CertificateValid })
	if err := f.remove("app"); err != nil {
		t.Fatal(err)
	}
	if len(f.router.Certificates("")) != 0 || len(f.router.certs.managed) != 0 {
		t.Errorf("there are still %+v", f.router.Certificates(""))
	}
	if _, err := p.serves(f, "app.test"); err == nil || !strings.Contains(err.Error(), "unrecognized name") {
		t.Errorf("a handshake for it: %v", err)
	}
	asked := p.requests.Load()
	f.deploy(acmeRequest("app", backend(t, says("v2")), "app.test"))
	if _, err := p.serves(f, "app.test"); err != nil || p.requests.Load() != asked {
		t.Errorf("deployed again, the stored one is not used: %v", err)
	}
}

func TestAStoredPairThatDoesNotFitIsObtainedAgain(t *testing.T) {
	p := startPebble(t)
	config := p.config()
	config.ACME.retries = []time.Duration{10 * time.Millisecond}
	f := startProxyWith(t, config)
	p.looksAt(f.HTTPPort(), f.HTTPSPort())
	store := &certmagic.FileStorage{Path: filepath.Join(filepath.Dir(config.StatePath), "certs")}
	issuer := (&certmagic.ACMEIssuer{CA: p.directory()}).IssuerKey()
	for _, key := range []string{
		certmagic.StorageKeys.SiteCert(issuer, "app.test"), certmagic.StorageKeys.SitePrivateKey(issuer, "app.test"),
		certmagic.StorageKeys.SiteMeta(issuer, "app.test"),
	} {
		if err := store.Store(t.Context(), key, []byte("half of it")); err != nil {
			t.Fatal(err)
		}
	}
	f.deploy(acmeRequest("app", backend(t, says("v1")), "app.test"))
	eventually(t, "there is a certificate", func() bool { return f.certificateOf("app.test").State == CertificateValid })
}

func TestCertificatesOfTwoDirectoriesNeverMix(t *testing.T) {
	p := startPebble(t)
	f := startProxyWith(t, p.config())
	p.looksAt(f.HTTPPort(), f.HTTPSPort())
	req := acmeRequest("app", backend(t, says("v1")), "app.test")
	f.deploy(req)
	eventually(t, "there is a certificate", func() bool { return f.certificateOf("app.test").State == CertificateValid })
	req.Options.ACMEDirectory = fmt.Sprintf("https://127.0.0.1:%d/dir", closedPort(t))
	f.deploy(req)
	if _, err := p.serves(f, "app.test"); err == nil {
		t.Error("the other directory's certificate is served")
	}
	req.Options.ACMEDirectory = ""
	f.deploy(req)
	if _, err := p.serves(f, "app.test"); err != nil {
		t.Error(err)
	}
}
