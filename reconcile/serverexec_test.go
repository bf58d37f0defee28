package reconcile_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

func TestALineRunsOnTheServers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 3206)
		w.Bare("h2") // it needs no engine there
		desired := w.release("v1")
		var o outputs
		streams := o.streams("")
		run := func(line string, hosts ...string) (done []reconcile.Executed) {
			w.using(func(c *reconcile.Controller) {
				done = c.ServerExec(t.Context(), desired, hosts, reconcile.ServerCommand{Line: line, Word: strings.Fields(line)[0],
					Streams: func(host string) state.Streams { return streams(reconcile.Place{Host: host}) }})
			})
			return done
		}
		hosts, err := reconcile.ServerHosts(desired, nil, nil)
		if err != nil || !slices.Equal(hosts, []string{"h1", "h2", "h3"}) {
			t.Fatal(hosts, err)
		}
		for _, d := range run("printenv HOSTNAME", hosts...) {
			if d.Err != nil || d.Code != 0 || o.of(d.Host+"/") != d.Host+"\n" {
				t.Errorf("%+v %q", d, o.of(d.Host+"/"))
			}
		}
		w.Cut("h1")
		done := run("exit 3", hosts...)
		if done[0].Err == nil || done[1].Code != 3 || done[2].Code != 3 {
			t.Errorf("%+v", done)
		}
		if last := w.store.events[len(w.store.events)-1]; last.Kind != "server exec" || last.Message != "run exit on the host" {
			t.Errorf("noted is %+v", last)
		}
		if hosts, err := reconcile.ServerHosts(desired, nil, []string{"workers"}); err != nil || !slices.Equal(hosts, []string{"h3"}) {
			t.Error(hosts, err)
		}
	})
}

// A host that has accessories alone, or nothing yet, is a server like any other; the app's own commands have nothing to do there, and say so.
func TestAHostWithoutARoleIsAServerAndNoPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorldWithRedis(t)
		desired := w.besideAlone("h4", "h5")
		for _, on := range []string{"h4", "h5"} {
			hosts, err := reconcile.ServerHosts(desired, []string{on}, nil)
			if err != nil || !slices.Equal(hosts, []string{on}) {
				t.Errorf("of %s: %v %v", on, hosts, err)
			}
		}
		if hosts, err := reconcile.ServerHosts(desired, []string{"h1", "h2", "h3", "h4"}, nil); err != nil || !slices.Equal(hosts, []string{"h1", "h2", "h3", "h4"}) {
			t.Error(hosts, err) // all that has a role, and not h5
		}
		if hosts, err := reconcile.ServerHosts(desired, nil, []string{state.AccessoryRole("redis")}); err != nil || !slices.Equal(hosts, []string{"h4"}) {
			t.Error(hosts, err)
		}
		w.using(func(c *reconcile.Controller) {
			_, places := reconcile.Places(desired, []string{"h4"}, nil)
			_, roles := reconcile.RolesInScope(desired, []string{"h4"}, nil)
			_, stop := c.StopApp(t.Context(), desired, reconcile.StopReason{}, []string{"h4"}, nil)
			_, stale := c.StopStale(t.Context(), desired, []string{"h4"}, nil)
			_, remove := c.RemoveApp(t.Context(), desired, "", []string{"h4"}, nil)
			logs := c.ReadLogs(t.Context(), desired, reconcile.LogOptions{Hosts: []string{"h4"}}, nil, nil)
			for _, err := range []error{places, roles, stop, stale, remove, logs} {
				if err == nil || err.Error() != "no role of shop is on h4; `kamald accessory` has the commands for what is there: redis" {
					t.Errorf("it says: %v", err)
				}
			}
			if _, err := reconcile.Places(desired, []string{"h5"}, nil); err == nil || err.Error() != "no role of shop is on h5" {
				t.Errorf("of a host without anything: %v", err)
			}
		})
	})
}

// besideAlone is the release with the accessory alone on one host, and nothing on another.
func (w *world) besideAlone(beside, spare string) release.Release {
	desired := w.withRedis("v1", "redis:7")
	for _, name := range []string{beside, spare} {
		w.AddHost(name)
		desired.Hosts = append(desired.Hosts, release.Host{Name: name, Address: name, SSH: desired.SSH})
	}
	desired.Accessories[0].Hosts = []string{beside}
	return desired
}
