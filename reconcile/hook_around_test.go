package reconcile_test

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/release"
)

// moments has an executable at each of some moments that are none of a release.
func moments(desired release.Release, names ...string) release.Release {
	for _, name := range names {
		desired.Hooks.List = append(desired.Hooks.List, release.Hook{Name: name, At: name, File: name, Timeout: time.Minute, Output: release.OutputShow})
	}
	return desired
}

// hosts are what each hook was told that it is about.
func (h *hereHooks) hosts() (list []string) {
	for i, name := range h.ran {
		list = append(list, name+" "+h.env[i]["KAMAL_HOSTS"]+" "+h.env[i]["KAMAL_LOCK"])
	}
	return list
}

func TestHooksRunAroundAProxyThatIsMadeAnew(t *testing.T) {
	for rolling, want := range map[bool][]string{
		false: {"pre-proxy-reboot h1,h2 true", "post-proxy-reboot h1,h2 true"},
		true:  {"pre-proxy-reboot h1 true", "post-proxy-reboot h1 true", "pre-proxy-reboot h2 true", "post-proxy-reboot h2 true"},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := sharing(t, 811)
			h := &hereHooks{}
			c := w.hooked(h)
			defer func() { _ = c.Close() }()
			desired := moments(elsewise(w.release("v1"), "kamald/proxy:2.0.0"), release.HookPreProxyReboot, release.HookPostProxyReboot)
			if _, err := c.RebootProxy(t.Context(), desired, nil, rolling); err != nil || !slices.Equal(h.hosts(), want) {
				t.Errorf("rolling %v: %v, ran %q", rolling, err, h.hosts())
			}
		})
	}
}

func TestAHookThatFailsLeavesTheProxyAsItIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := sharing(t, 812)
		before := w.proxies("h1")
		h := &hereHooks{fails: map[string]error{release.HookPreProxyReboot: errors.New("exit code 1")}}
		c := w.hooked(h)
		defer func() { _ = c.Close() }()
		desired := moments(elsewise(w.release("v1"), "kamald/proxy:2.0.0"), release.HookPreProxyReboot, release.HookPostProxyReboot)
		if _, err := c.RebootProxy(t.Context(), desired, nil, true); err == nil || w.proxies("h1") != before || len(h.ran) != 1 {
			t.Errorf("%v, ran %q, the proxy is %s", err, h.hosts(), w.proxies("h1"))
		}
	})
}

func TestAHookRunsWhenServersAreReadyAlsoWhereNothingWasInstalled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		h := &hereHooks{}
		c := w.hooked(h)
		defer func() { _ = c.Close() }()
		desired := moments(w.release("v1"), release.HookDockerSetup)
		if _, err := c.Bootstrap(t.Context(), desired, reconcile.BootstrapOptions{}); err != nil || !slices.Equal(h.hosts(), []string{"docker-setup h1,h2,h3 false"}) {
			t.Errorf("%v, ran %q", err, h.hosts())
		}
		h.fails = map[string]error{release.HookDockerSetup: errors.New("exit code 1")}
		if _, err := c.Bootstrap(t.Context(), desired, reconcile.BootstrapOptions{}); err == nil {
			t.Error("a hook that fails is no failure")
		}
	})
}
