package reconcile

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kamald/kamald/drivers/sim"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// proxyLockWorld is one host and a controller of each of two apps on it.
func proxyLockWorld(t *testing.T) (*sim.World, func(service string) (*Controller, release.Release)) {
	w := sim.New(8101)
	w.AddHost("h1")
	return w, func(service string) (*Controller, release.Release) {
		c := NewController(NewFleet(simulated{w}), forgetful{}, nil)
		c.Owner.Who = service
		t.Cleanup(func() { _ = c.Close() })
		return c, release.Release{Service: service, Version: "v1", RunDirectory: ".kamal", Hosts: []release.Host{{Name: "h1", Address: "h1"}}}
	}
}

type simulated struct{ w *sim.World }

func (s simulated) Connect(ctx context.Context, host release.Host) (*Connection, error) {
	conn, err := s.w.Connector().Connect(ctx, host)
	if err != nil {
		return nil, err
	}
	return &Connection{Engine: conn.Engine, Files: conn.Files, Prober: conn.Prober, Proxy: conn.Proxy, Environ: conn.Environ, Close: conn.Close}, nil
}

// forgetful is a store that keeps nothing.
type forgetful struct{ state.Store }

func (forgetful) Append(state.App, ...state.Event) error { return nil }

func TestTheLockOfAProxyIsWaitedForByAnotherApp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, app := proxyLockWorld(t)
		first, shop := app("shop")
		held, err := first.lockProxy(t.Context(), shop, shop.Hosts, "reboot")
		if err != nil {
			t.Fatal(err)
		}
		second, blog := app("blog")
		given := make(chan error, 1)
		go func() {
			l, err := second.lockProxy(t.Context(), blog, blog.Hosts, "boot")
			if err == nil {
				err = l.release(t.Context())
			}
			given <- err
		}()
		time.Sleep(10 * time.Second)
		select {
		case err := <-given:
			t.Fatalf("two apps have it: %v", err)
		default:
		}
		if err := held.release(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := <-given; err != nil {
			t.Error(err)
		}
		conn, err := first.fleet.Connection(t.Context(), shop.Hosts[0])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Files.Modified(t.Context(), ".kamal/lock-proxy"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the lock stays: %v", err)
		}
	})
}

func TestTheLockOfAProxyIsRefusedByNameWhenItIsNotGivenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, app := proxyLockWorld(t)
		first, shop := app("shop")
		held, err := first.lockProxy(t.Context(), shop, shop.Hosts, "reboot")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = held.release(t.Context()) }()
		second, blog := app("blog")
		_, err = second.lockProxy(t.Context(), blog, blog.Hosts, "boot")
		if _, locked := errors.AsType[*LockedError](err); !locked || !strings.Contains(err.Error(), "shop: reboot") || strings.Contains(err.Error(), "kamald lock") {
			t.Errorf("%v", err)
		}
	})
}

func TestTheLockOfAProxyThatADeadRunLeftIsTakenOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, app := proxyLockWorld(t)
		first, shop := app("shop")
		first.Owner.Machine = "another machine"
		if _, err := first.lockProxy(t.Context(), shop, shop.Hosts, "reboot"); err != nil {
			t.Fatal(err)
		}
		w.Kill()
		time.Sleep(2 * lease)
		w.Revive()
		second, blog := app("blog")
		l, err := second.lockProxy(t.Context(), blog, blog.Hosts, "boot")
		if err != nil {
			t.Fatal(err)
		}
		if err := l.release(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestAServiceNamedProxyHasTheLockOfItsDeployForBoth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, app := proxyLockWorld(t)
		c, named := app("proxy")
		conn, err := c.fleet.Connection(t.Context(), named.Hosts[0])
		if err != nil {
			t.Fatal(err)
		}
		if err := conn.Files.Mkdir(t.Context(), layoutOf(named).lock()); err != nil { // its own deploy lock
			t.Fatal(err)
		}
		l, err := c.lockProxy(t.Context(), named, named.Hosts, "boot")
		if err != nil {
			t.Fatal(err)
		}
		if err := l.release(t.Context()); err != nil {
			t.Error(err)
		}
	})
}
