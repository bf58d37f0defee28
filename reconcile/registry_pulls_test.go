package reconcile_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kamald/kamald/drivers/sim"
	"github.com/kamald/kamald/reconcile"
)

// pulls notes when each host's pull began and ended.
type pulls struct {
	mu           sync.Mutex
	began, ended map[string]time.Time
	order        []string
}

func (p *pulls) around(ctx context.Context, call reconcile.Call, next func(context.Context) error) error {
	if call.Method != "Engine.Pull" {
		return next(ctx)
	}
	p.mu.Lock()
	p.began[call.Host] = time.Now()
	p.order = append(p.order, call.Host)
	p.mu.Unlock()
	err := next(ctx)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended[call.Host] = time.Now()
	return err
}

func TestOnlySoManyHostsPullAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, at := fleetOf(t, 30)
		w.push("v1", sim.Healthy(0), time.Minute)
		c := w.controller()
		defer func() { _ = c.Close() }()
		began := time.Now()
		if _, err := c.Apply(t.Context(), at("v1"), reconcile.Options{}); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); w.PullsAtOnce() != 8 || took > 6*time.Minute {
			t.Errorf("%d pulled at once, and all of it took %s", w.PullsAtOnce(), took)
		}
	})
}

func TestOneHostOfEachMirrorPullsFirst(t *testing.T) {
	const hub = "acme/shop"
	for server, mirrored := range map[string]bool{"": true, "registry.example.com": false} {
		t.Run("registry "+server, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, at := fleetOf(t, 12)
				w.Push(sim.Image{Ref: hub + ":v1", Behaviour: sim.Healthy(0), PullTakes: time.Minute})
				w.push("v1", sim.Healthy(0), time.Minute)
				for i, host := range w.Hosts() {
					if i < 9 {
						w.SetMirrors(host, fmt.Sprintf("https://mirror-%d.example.com/", i%2), "https://last.example.com/")
					}
				}
				desired := at("v1")
				desired.Registry.Server = server
				p := &pulls{began: map[string]time.Time{}, ended: map[string]time.Time{}}
				c := w.given(p.around)
				defer func() { _ = c.Close() }()
				if _, err := c.Apply(t.Context(), desired, reconcile.Options{}); err != nil {
					t.Fatal(err)
				}
				hosts := w.Hosts()
				for i, host := range hosts[2:8] {
					if after := !p.began[host].Before(p.ended[hosts[i%2]]); after != mirrored {
						t.Errorf("%s began %s after %s had ended", host, p.began[host].Sub(p.ended[hosts[i%2]]), hosts[i%2])
					}
				}
				first := slices.Sorted(slices.Values(p.order[:5]))
				if mirrored && !slices.Equal(first, []string{hosts[0], hosts[1], hosts[9], hosts[10], hosts[11]}) {
					t.Errorf("those that pulled first are %v", first)
				}
			})
		})
	}
}
