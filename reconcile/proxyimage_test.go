package reconcile_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kamald/kamald/drivers/sim"
	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

const foreignProxy = "registry.example.com/infra/proxy:v1.2.3"

// bootProxies boots the proxy of every host that has one.
func (w *world) bootProxies(desired release.Release) {
	w.t.Helper()
	c := w.controller()
	defer func() { _ = c.Close() }()
	if _, err := c.BootProxy(w.t.Context(), desired, nil); err != nil {
		w.t.Fatal(err)
	}
}

// withProxy is a release whose proxies are made from an image that kamald does not make.
func (w *world) withProxy(version, ref string) release.Release {
	desired := w.release(version)
	desired.ProxyServer.Image, desired.ProxyServer.Declared = ref, true
	return desired
}

func TestAProxysImageOfTheReleasesRegistryIsGotLikeTheReleasesOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 641)
		w.Push(sim.ProxyImage(foreignProxy))
		w.SetPassword("token-1") // and the one that is at hand has expired
		fails := 2
		w.Before(func(c sim.Call) error {
			if c.Method == "Engine.Pull" && c.Args == foreignProxy && c.Host == "h2" && fails > 0 {
				fails--
				return &state.RegistryError{Fault: state.FaultUnreached, Registry: "registry.example.com", Err: errors.New("connection reset")}
			}
			return nil
		})
		c := w.controller()
		defer func() { _ = c.Close() }()
		at := &tokens{secrets: secrets{"TOKEN": canary}}
		c.Secrets = at
		if _, err := c.Apply(t.Context(), w.withProxy("v1", foreignProxy), reconcile.Options{}); err != nil {
			t.Fatal(err)
		}
		for _, host := range []string{"h1", "h2"} {
			if w.ImageID(host, foreignProxy) == "" {
				t.Errorf("%s does not have it", host)
			}
		}
		if fails != 0 {
			t.Errorf("%d faults did not come", fails)
		}
	})
}

func TestAProxyCommandGetsItsImageWithThePasswordToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 642)
		w.Push(sim.ProxyImage(foreignProxy))
		w.bootProxies(w.withProxy("v1", foreignProxy))
		if w.ImageID("h1", foreignProxy) == "" {
			t.Error("it is not there")
		}
	})
}

func TestAProxysImageForAnotherPlatformIsRefusedWithThePlan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 643)
		image := sim.ProxyImage(foreignProxy)
		image.Platforms = []string{"linux/arm64"}
		w.Push(image)
		w.mustRefuse(w.controller(), w.withProxy("v1", foreignProxy), "h1: the proxy's image "+foreignProxy+" is for linux/arm64, and the host is linux/amd64",
			"h2: the proxy's image", `options = { platform = "linux/arm64" } in proxy_server`)
		desired := w.withProxy("v1", foreignProxy)
		desired.ProxyServer.Options = map[string][]string{"platform": {"linux/arm64"}}
		w.mustApply(desired)
	})
}

func TestARegistryIsShownNothingThatIsNotItsOwn(t *testing.T) {
	const elsewhere = "proxies.example.com/proxy:v1.2.3"
	for ref, says := range map[string]string{
		foreignProxy: "check registry.username and the secret REGISTRY_PASSWORD, which was looked up anew before this was said; who logs in needs the right to pull registry.example.com/infra/proxy,",
		elsewhere:    "the release's credentials are for its own registry alone: push " + elsewhere + " there, and say so in proxy_server.image, or bring it by hand",
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, 644)
			shown := ""
			c := reconcile.NewController(reconcile.NewFleet(withEngine{connector{w.Connector()}, "h1", func(e reconcile.Engine) reconcile.Engine { return refusing{e, ref, &shown} }}), w.store,
				secrets{"TOKEN": canary, "REGISTRY_PASSWORD": "registry-password"})
			w.mustRefuse(c, w.withProxy("v1", ref), "h1: the proxy's image "+ref+" is not on the host and cannot be got there: denied", says)
			if (shown != "") != (ref == foreignProxy) {
				t.Errorf("for %s it was shown %q", ref, shown)
			}
		})
	}
}

// refusing is an engine whose registry refuses one reference, and remembers what it was shown.
type refusing struct {
	reconcile.Engine
	ref   string
	shown *string
}

func (e refusing) Manifest(ctx context.Context, ref string, auth release.Auth) (state.Manifest, error) {
	if ref != e.ref {
		return e.Engine.Manifest(ctx, ref, auth)
	}
	*e.shown = auth.Username + auth.Password.Reveal()
	return state.Manifest{}, &state.RegistryError{Fault: state.FaultDenied, Registry: release.ServerOf(ref), Err: fmt.Errorf("denied: %w", state.ErrDenied)}
}

func TestALimitOfTheLineHoldsForAProxysImageToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 645)
		c, line := w.controller(), &sharedLine{rate: 500}
		defer func() { _ = c.Close() }()
		c.Throttle = line.wait
		began := time.Now()
		if _, err := c.Apply(t.Context(), w.release("v1"), reconcile.Options{}); err != nil {
			t.Fatal(err)
		}
		if took, least := time.Since(began), time.Duration(line.sum)*time.Second/500; line.sum < 2*1024 || took < least {
			t.Errorf("%d bytes took %s, within the limit it is %s", line.sum, took, least)
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		words := map[string]int{}
		for _, p := range w.log {
			if p.Kind == "bytes" && p.Bytes > 0 && p.Step == "proxy/"+p.Host && strings.HasPrefix(p.Message, "get image kamald/proxy:1.0.0: ") {
				words[p.Host]++
			}
		}
		if words["h1"] == 0 || words["h2"] == 0 {
			t.Errorf("%v was said about it: %+v", words, w.log)
		}
	})
}
