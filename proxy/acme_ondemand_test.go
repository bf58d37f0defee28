package proxy

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

// gatekeeper answers the on-demand question: yes for names that begin with "yes", and counts.
func gatekeeper(asked *atomic.Int64) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if !strings.HasPrefix(r.URL.Query().Get("host"), "yes") {
			w.WriteHeader(http.StatusForbidden)
		}
	}
}

func TestACertificateIsObtainedOnDemandForNamesThatTheURLAllows(t *testing.T) {
	var asked atomic.Int64
	elsewhere := httptest.NewServer(gatekeeper(&asked))
	t.Cleanup(elsewhere.Close)
	app := backend(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/allowed" {
			gatekeeper(&asked)(w, r)
			return
		}
		_, _ = io.WriteString(w, "v1")
	})
	for name, url := range map[string]string{"a URL": elsewhere.URL + "/?token=x", "a path of the service": "/allowed"} {
		t.Run(name, func(t *testing.T) {
			asked.Store(0)
			p := startPebble(t)
			f := startProxyWith(t, p.config())
			p.looksAt(f.HTTPPort(), f.HTTPSPort())
			req := acmeRequest("app", app)
			req.Options.TLSOnDemandURL = url
			f.deploy(req)
			for range 2 {
				if _, err := p.serves(f, "yes.customer.test"); err != nil {
					t.Error(err)
				}
				if _, err := p.serves(f, "no.customer.test"); err == nil {
					t.Error("a certificate was obtained for a name that is not allowed")
				}
			}
			if n := asked.Load(); n != 2 {
				t.Errorf("the service was asked %d times for two names", n)
			}
			if i := f.certificateOf("yes.customer.test"); i.Source != "on-demand" || i.State != CertificateValid {
				t.Errorf("list says %+v", i)
			}
			f.expect("yes.customer.test", "/", http.StatusMovedPermanently, "")
			p.breaksDown()
			f = f.restart()
			if _, err := p.serves(f, "yes.customer.test"); err != nil || asked.Load() != 2 {
				t.Errorf("after the restart: %v, asked %d times", err, asked.Load())
			}
			if err := f.remove("app"); err != nil || len(f.router.certs.managed) != 0 {
				t.Errorf("after the removal there is still a certificate: %v", err)
			}
		})
	}
}

func TestNobodyIsAskedForNamesThatCanHaveNoCertificate(t *testing.T) {
	for _, host := range []string{"", "127.0.0.1", "2001:db8::1", "localhost", "a_b.test", "a..test", "-a.test", strings.Repeat("a.", 130) + "test"} {
		if certifiable(host) == nil {
			t.Errorf("%q passes", host)
		}
	}
	if err := certifiable("xn--bcher-kva.example.com"); err != nil {
		t.Error(err)
	}
}

func TestAFailedOnDemandAttemptIsNotMadeAgainAtOnce(t *testing.T) {
	var asked atomic.Int64
	elsewhere := httptest.NewServer(gatekeeper(&asked))
	t.Cleanup(elsewhere.Close)
	p := startPebble(t)
	f := startProxyWith(t, p.config())
	p.looksAt(closedPort(t), closedPort(t))
	req := acmeRequest("app", backend(t, says("v1")), "*.customer.test")
	req.Options.TLSOnDemandURL = elsewhere.URL
	f.deploy(req)
	if _, err := p.serves(f, "yes.customer.test"); err == nil {
		t.Fatal("a certificate appeared")
	}
	eventually(t, "the attempt has ended", func() bool {
		refused, known := f.router.certs.permission.known("yes.customer.test")
		return known && refused != nil
	})
	requests := p.requests.Load()
	for range 5 {
		if _, err := p.serves(f, "yes.customer.test"); err == nil {
			t.Fatal("a certificate appeared")
		}
	}
	if got := p.requests.Load(); got != requests {
		t.Errorf("the authority got %d more requests", got-requests)
	}
	if len(f.router.certs.managed) != 0 {
		t.Error("the name is still managed")
	}
	first, refused := f.router.certs.retryAfter(0, nil), errNoCertificateYet("yes.customer.test")
	if wait := f.router.certs.retryAfter(f.router.certs.permission.failed("yes.customer.test"), refused); wait <= first {
		t.Errorf("the second failure keeps it away for %s only", wait)
	}
}

func TestAFloodOfNamesIsNotAskedFor(t *testing.T) {
	var asked atomic.Int64
	elsewhere := httptest.NewServer(gatekeeper(&asked))
	t.Cleanup(elsewhere.Close)
	p := newPermission()
	dep := &deployment{options: ServiceOptions{TLSOnDemandURL: elsewhere.URL}}
	p.asks.SetLimit(0) // only the burst
	for range 3 * askBurst {
		if err := p.allow(t.Context(), "no-"+uniqueHost(), &service{name: "app"}, dep); err == nil {
			t.Fatal("a name was allowed")
		}
	}
	if asked.Load() != askBurst {
		t.Errorf("asked %d times", asked.Load())
	}
	for range 2 * keptDecisions {
		p.keep(uniqueHost(), nil, askKeepYes)
	}
	if len(p.decisions) > keptDecisions {
		t.Errorf("%d decisions are kept", len(p.decisions))
	}
}

func TestARedirectOfTheOnDemandURLIsNoPermission(t *testing.T) {
	allows := httptest.NewServer(says("yes"))
	t.Cleanup(allows.Close)
	redirects := httptest.NewServer(http.RedirectHandler(allows.URL, http.StatusFound))
	t.Cleanup(redirects.Close)
	dep := &deployment{options: ServiceOptions{TLSOnDemandURL: redirects.URL}}
	err := newPermission().allow(t.Context(), uniqueHost(), &service{name: "app"}, dep)
	if err == nil || !strings.Contains(err.Error(), "302") {
		t.Errorf("it said %v", err)
	}
	f := startProxy(t)
	f.deploy(deployRequest("app", backend(t, http.RedirectHandler(allows.URL, http.StatusFound).ServeHTTP), "app.test"))
	dep = &deployment{options: ServiceOptions{TLSOnDemandURL: "/allowed"}}
	err = newPermission().allow(t.Context(), uniqueHost(), f.router.services["app"], dep)
	if err == nil || !strings.Contains(err.Error(), "302") {
		t.Errorf("asked of the target it said %v", err)
	}
}
