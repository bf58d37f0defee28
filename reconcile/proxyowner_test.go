package reconcile_test

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/kamald/kamald/drivers/sim"
	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// ownedBy gives the app on the label of h1's proxy, and the port that it publishes first.
func (w *world) ownedBy() (owner, port string) {
	for _, c := range w.Containers("h1", state.View{}) {
		if c.Name == "kamal-proxy" {
			return c.Owner, strings.Join(c.Live.Options["publish"], " ")
		}
	}
	return "", ""
}

func TestAProxyThatAnotherAppOwnsIsNotMadeAnewOtherwise(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 3310)
		shop := w.release("v1")
		shop.ProxyServer.Declared, shop.ProxyServer.HTTPPort = true, 8080
		w.mustApply(shop)
		blog := func(port int, declared bool) release.Release {
			r := w.release("v1")
			r.Service, r.ProxyServer.Declared, r.ProxyServer.HTTPPort = "blog", declared, port
			return r
		}
		w.using(func(c *reconcile.Controller) {
			for name, file := range map[string]release.Release{"another port": blog(9090, true), "no block": blog(80, false)} {
				_, before := w.ownedBy()
				_, err := c.RebootProxy(t.Context(), file, []string{"h1"}, false)
				if err == nil || !strings.Contains(err.Error(), "as shop asks for it") || !strings.Contains(err.Error(), "the file of shop") {
					t.Errorf("%s: %v", name, err)
				}
				if owner, now := w.ownedBy(); owner != "shop" || now != before {
					t.Errorf("%s: %s %s", name, owner, now)
				}
			}
			if _, err := c.RebootProxy(t.Context(), blog(8080, true), []string{"h1"}, false); err != nil {
				t.Errorf("the same is asked for: %v", err)
			}
			if owner, now := w.ownedBy(); owner != "shop" || !strings.Contains(now, "8080:80") {
				t.Errorf("made anew by another app that asks for the same: it is %s's, %s", owner, now)
			}
			shop.ProxyServer.HTTPPort = 8081
			if _, err := c.RebootProxy(t.Context(), shop, []string{"h1"}, false); err != nil {
				t.Errorf("its owner: %v", err)
			}
			if owner, now := w.ownedBy(); owner != "shop" || !strings.Contains(now, "8081:80") {
				t.Errorf("after its owner's reboot: %s %s", owner, now)
			}
		})
	})
}

// A file without a proxy_server block knows none of a proxy's settings; the plan sends it here nevertheless when the proxy is too old.
func TestAKamalProxyThatIsTooOldIsMadeAnewByAFileWithoutABlock(t *testing.T) {
	for image, taken := range map[string]bool{"basecamp/kamal-proxy:v0.9.1": true, "basecamp/kamal-proxy:v0.9.2": false} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, 3312)
			w.mustApply(w.release("v1"))
			w.Place("h1", sim.ProxyImage(image))
			for _, c := range w.Containers("h1", state.View{}) {
				if c.Name == "kamal-proxy" { // as it is, but from another image
					c.Live.Image, c.Live.Digest = image, ""
					w.RemoveContainer("h1", c.Name)
					w.RunContainer("h1", c.Name, c.Live, nil, nil)
				}
			}
			w.using(func(c *reconcile.Controller) {
				_, err := c.RebootProxy(t.Context(), w.release("v1"), []string{"h1"}, false)
				if taken != (err == nil) {
					t.Errorf("%s: %v", image, err)
				}
			})
		})
	}
}

func TestAProxyOfNobodyIsItsWhoFirstAsksForSomething(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 3311)
		w.mustApply(w.release("v1"))
		if owner, _ := w.ownedBy(); owner != "" {
			t.Fatalf("without a block it is %s's", owner)
		}
		blog := w.release("v1")
		blog.Service, blog.ProxyServer.Declared = "blog", true
		w.using(func(c *reconcile.Controller) {
			if _, err := c.RebootProxy(t.Context(), blog, []string{"h1"}, false); err != nil {
				t.Fatal(err)
			}
		})
		if owner, _ := w.ownedBy(); owner != "blog" {
			t.Errorf("it is %q's", owner)
		}
	})
}

func TestTheDetailsOfAProxySayItsVersionAndWhoseItIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 3312)
		desired := elsewise(w.release("v1"), "kamald/proxy:1.0.0")
		w.mustApply(desired)
		newer := elsewise(w.release("v1"), "kamald/proxy:1.1.0")
		w.mustApply(newer) // in place: the container is still of the older image
		w.using(func(c *reconcile.Controller) {
			found, err := c.Proxies(t.Context(), newer, []string{"h1"})
			if err != nil || found[0].Version != "1.1.0" || found[0].Image != "kamald/proxy:1.0.0" || !found[0].Own || found[0].Owner != "shop" || len(found[0].Conflicts) > 0 {
				t.Errorf("%+v %v", found, err)
			}
		})
		kamals := newWorld(t, 3313)
		kamals.Place("h1", sim.ProxyImage("basecamp/kamal-proxy:v0.9.2"))
		kamals.Place("h2", sim.ProxyImage("basecamp/kamal-proxy:v0.9.2"))
		desired = kamals.release("v1")
		desired.ProxyServer.Image = "basecamp/kamal-proxy:v0.9.2"
		kamals.mustApply(desired)
		kamals.using(func(c *reconcile.Controller) {
			found, err := c.Proxies(t.Context(), desired, []string{"h1"})
			if err != nil || found[0].Version != "v0.9.2" || found[0].Own || found[0].Owner != "" {
				t.Errorf("%+v %v", found, err)
			}
		})
	})
}
