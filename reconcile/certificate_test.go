package reconcile_test

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/kamald/kamald/drivers/sim"
	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

const (
	certFile = ".kamal/proxy/apps-config/shop/tls/web/cert.pem"
	keyPem   = ".kamal/proxy/apps-config/shop/tls/web/key.pem"
	keyMark  = "planted-private-key"
)

func pem(text string) string {
	return "-----BEGIN CERTIFICATE-----\n" + text + "\n-----END CERTIFICATE-----"
}

// certified is the release with a certificate of its own.
func (w *world) certified(version string) release.Release {
	desired := w.release(version)
	web := &desired.Roles[0]
	web.Proxy.Certificate, web.Proxy.PrivateKey = "CERTIFICATE_PEM", "PRIVATE_KEY_PEM"
	web.Proxy.Options.TLS, web.Proxy.Options.Hosts = true, []string{"shop.example.com"}
	return desired
}

// keyed is a run with a certificate at hand; "" for none.
func (w *world) keyed(certificate string) *reconcile.Controller {
	have := secrets{"TOKEN": canary, "REGISTRY_PASSWORD": "registry-password"}
	if certificate != "" {
		have["CERTIFICATE_PEM"], have["PRIVATE_KEY_PEM"] = pem(certificate), pem(keyMark+" of "+certificate)
	}
	c := reconcile.NewController(reconcile.NewFleet(connector{w.Connector()}), w.store, have)
	c.LockWait, c.Report = true, w.controller().Report
	return c
}

func (w *world) applyKeyed(desired release.Release, certificate string) (reconcile.Report, error) {
	c := w.keyed(certificate)
	defer func() { _ = c.Close() }()
	return c.Apply(w.t.Context(), desired, reconcile.Options{})
}

func (w *world) planKeyed(desired release.Release, certificate string) plan.Plan {
	w.t.Helper()
	c := w.keyed(certificate)
	defer func() { _ = c.Close() }()
	planned, err := c.Plan(w.t.Context(), desired, reconcile.Options{})
	if err != nil {
		w.t.Fatal(err)
	}
	return planned.Plan
}

func (w *world) mustKeyed(desired release.Release, certificate string) {
	w.t.Helper()
	if _, err := w.applyKeyed(desired, certificate); err != nil {
		w.t.Fatalf("%v\n%s", err, w.progress())
	}
	if p := w.planKeyed(desired, certificate); !p.Empty() {
		w.t.Fatalf("the plan after it is not empty: %+v %+v", p.Items, p.Steps)
	}
}

func (w *world) mustHold(host, certificate string, mode fs.FileMode) {
	w.t.Helper()
	data, _ := w.File(host, certFile)
	if got := w.Mode(host, certFile); string(data) != pem(certificate)+"\n" || got != mode {
		w.t.Errorf("%s has %q with %o, want that of %q with %o", host, data, got, certificate, mode)
	}
	if got := w.Mode(host, keyPem); got != mode {
		w.t.Errorf("%s: the key has %o, want %o", host, got, mode)
	}
}

func deploysOf(w *world, host string) (n int) {
	for _, c := range w.History() {
		if c.Method == "Proxy.Deploy" && c.Host == host {
			n++
		}
	}
	return n
}

func TestACertificateIsPushedForTheSSHUserAloneAndTheRouteReadsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 901)
		w.mustNote()
		w.mustKeyed(w.certified("v1"), "one")
		for _, host := range []string{"h1", "h2"} {
			w.mustHold(host, "one", 0o600)
			if mode := w.Mode(host, ".kamal/proxy/apps-config/shop/tls/web"); mode != 0o700 {
				t.Errorf("%s: the directory has %o", host, mode)
			}
			route := w.Routes(host)[0]
			if route.Options.CertificatePath != "/home/kamal-proxy/.apps-config/shop/tls/web/cert.pem" || !route.Options.TLS {
				t.Errorf("%s: %+v", host, route)
			}
		}
		if p := w.planKeyed(w.certified("v1"), ""); !p.Empty() {
			t.Errorf("without the secrets at hand what lies there stays, and the plan has %+v", p.Items)
		}
		w.mustKeyed(w.certified("v2"), "") // a release needs them no more
		w.mustHold("h1", "one", 0o600)
	})
}

func TestAnotherCertificateIsAChangeThatTheProxyIsToldOf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 902)
		w.mustKeyed(w.certified("v1"), "one")
		before := deploysOf(w, "h1")
		p := w.planKeyed(w.certified("v1"), "two")
		var paths []string
		for _, item := range p.Items {
			for _, f := range item.Fields {
				paths = append(paths, fmt.Sprint(item.Host, " ", item.Resource, " ", f.Path, " ", item.Cause))
			}
		}
		want := []string{"h1 certificate secret CERTIFICATE_PEM change", "h1 certificate secret PRIVATE_KEY_PEM change"}
		if len(paths) != 4 || !slices.Equal(paths[:2], want) || p.Kind != plan.KindConfig {
			t.Errorf("a %s plan with %q", p.Kind, paths)
		}
		if text, _ := json.Marshal(p); strings.Contains(string(text), keyMark) {
			t.Error("the key is in the plan")
		}
		w.mustKeyed(w.certified("v1"), "two")
		w.mustHold("h1", "two", 0o600)
		if after := deploysOf(w, "h1"); after != before+1 {
			t.Errorf("the route was deployed %d times, want once: kamal-proxy reads a certificate at a deploy", after-before)
		}
		if w.versions() != "h1/web=v1 h2/web=v1 h3/workers=v1" || len(w.Containers("h1", state.View{})) != 2 {
			t.Errorf("containers were made for it: %s", w.versions())
		}
	})
}

func TestACertificateThatIsNowhereIsAProblemThatNamesTheSecret(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 903)
		p := w.planKeyed(w.certified("v1"), "")
		if len(p.Problems) != 2 || !strings.Contains(p.Problems[0].Summary, "CERTIFICATE_PEM and PRIVATE_KEY_PEM") || !strings.Contains(p.Problems[0].Next, "env push --hosts h1") {
			t.Errorf("%+v", p.Problems)
		}
	})
}

func TestTheCertificateFilesOfKamalAreAdopted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 904)
		for _, host := range []string{"h1", "h2"} {
			w.WriteFile(host, certFile, []byte(pem("one"))) // Kamal writes the secret as it is
			w.WriteFile(host, keyPem, []byte(pem(keyMark+" of one")))
		}
		w.mustKeyed(w.certified("v1"), "one")
		for _, c := range w.History() {
			if strings.Contains(c.Args, "tls/web") {
				t.Errorf("what is equal was written: %s", c)
			}
		}
	})
}

func TestAProxyWithAUserOfItsOwnCanReadTheCertificateAndNobodyElseOnTheHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 905)
		desired := w.certified("v1")
		desired.ProxyServer.Image = "basecamp/kamal-proxy:v0.9.2"
		for _, host := range []string{"h1", "h2"} {
			w.Place(host, sim.ProxyImage(desired.ProxyServer.Image))
		}
		w.mustKeyed(desired, "one")
		w.mustHold("h1", "one", 0o644)
		for dir, want := range map[string]fs.FileMode{".kamal/proxy": 0o700, ".kamal/proxy/apps-config": 0o755, ".kamal/proxy/apps-config/shop": 0o755,
			".kamal/proxy/apps-config/shop/tls": 0o755, ".kamal/proxy/apps-config/shop/tls/web": 0o755} {
			if got := w.Mode("h1", dir); got != want {
				t.Errorf("%s has %o, want %o", dir, got, want)
			}
		}
	})
}

func TestARebootToAProxyWithAUserOfItsOwnLetsItReadTheCertificate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 916)
		w.mustKeyed(w.certified("v1"), "one")
		w.mustHold("h1", "one", 0o600)
		desired := w.certified("v1")
		desired.ProxyServer.Declared, desired.ProxyServer.Image = true, "basecamp/kamal-proxy:v0.9.2"
		w.Place("h1", sim.ProxyImage(desired.ProxyServer.Image))
		w.using(func(c *reconcile.Controller) {
			if _, err := c.RebootProxy(t.Context(), desired, []string{"h1"}, false); err != nil {
				t.Fatal(err)
			}
		})
		w.mustHold("h1", "one", 0o644)
		w.mustHold("h2", "one", 0o600)
		if got := w.Mode("h1", ".kamal/proxy"); got != 0o700 {
			t.Errorf("others on the host come in: %o", got)
		}
	})
}

func TestACertificateThatTheProxyWasNotToldOfIsToldByTheNextRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 906)
		w.mustKeyed(w.certified("v1"), "one")
		w.Before(func(c sim.Call) error {
			if c.Method == "Proxy.Deploy" && c.Host == "h1" {
				return sim.ErrFault
			}
			return nil
		})
		if _, err := w.applyKeyed(w.certified("v1"), "two"); err == nil {
			t.Fatal("it succeeded without the switch")
		}
		w.ClearHooks()
		before := deploysOf(w, "h1")
		p := w.planKeyed(w.certified("v1"), "two")
		if len(p.Items) == 0 || p.Items[0].Resource != plan.ResourceRoute || !strings.Contains(p.Items[0].Reason, "has not read its certificate") {
			t.Fatalf("%+v", p.Items)
		}
		w.mustKeyed(w.certified("v1"), "two")
		w.mustHold("h1", "two", 0o600)
		if after := deploysOf(w, "h1"); after != before+1 {
			t.Errorf("deployed %d times", after-before)
		}
	})
}

func TestEnvPushBringsCertificatesTooAndTheNextApplyTellsTheProxy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 907)
		w.mustNote()
		w.mustKeyed(w.certified("v1"), "one")
		c := w.keyed("two")
		defer func() { _ = c.Close() }()
		if _, err := c.PushEnv(t.Context(), w.certified("v1"), plan.Filter{}); err != nil {
			t.Fatal(err)
		}
		w.mustHold("h1", "two", 0o600)
		if p := w.planKeyed(w.certified("v1"), ""); p.Empty() || p.Items[0].Resource != plan.ResourceRoute {
			t.Errorf("the proxy is not told: %+v", p.Items)
		}
		w.mustKeyed(w.certified("v1"), "")
	})
}

func TestASecretThatIsNoPEMIsRefusedByItsName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 908)
		c := reconcile.NewController(reconcile.NewFleet(connector{w.Connector()}), w.store,
			secrets{"TOKEN": canary, "REGISTRY_PASSWORD": "registry-password", "CERTIFICATE_PEM": "/etc/" + keyMark, "PRIVATE_KEY_PEM": pem("k")})
		defer func() { _ = c.Close() }()
		_, err := c.Plan(t.Context(), w.certified("v1"), reconcile.Options{})
		if err == nil || !strings.Contains(err.Error(), "CERTIFICATE_PEM is no PEM") || strings.Contains(err.Error(), keyMark) {
			t.Error(err)
		}
	})
}
