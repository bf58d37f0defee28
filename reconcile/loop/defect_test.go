package loop_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kamald/kamald/drivers/sim"
	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/reconcile/loop"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// A defect that one app's servers bring about is that app's trouble: it is told with its place, tried again, and the others are healed.
func TestADefectOfOneAppLeavesTheOthersAlone(t *testing.T) {
	for _, method := range []string{"Connect", "Engine.Events", "Engine.Inspect", "Engine.Start", "Files.Mkdir", "Files.List", "Prober.HTTP"} {
		t.Run(method, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newServers(t, 5, 2, 5)
				well, ill := f.apps[0], f.apps[1]
				b := &breaks{app: ill.Service, method: method}
				f.around, f.hears = b.controller, b.hears
				f.begin(stores(f.stores))
				time.Sleep(time.Minute)
				b.on(true)
				for _, r := range f.apps {
					f.RemoveContainer(r.Roles[0].Hosts[0], r.App().ContainerName("web", "v1"))
					f.StopContainer(r.Roles[1].Hosts[0], r.App().ContainerName("workers", "v1"))
				}
				f.Cut(ill.Hosts[1].Name)
				time.Sleep(10 * time.Second)
				f.Restore(ill.Hosts[1].Name)
				time.Sleep(20 * time.Minute)
				if list := f.amiss(well); len(list) > 0 {
					t.Errorf("of the other app: %v", list)
				}
				if told := b.said(); method != "Prober.HTTP" && !strings.Contains(told, "(*breaks).") {
					t.Errorf("it is not told where it broke: %s", told)
				}
				b.on(false)
				time.Sleep(40 * time.Minute)
				if list := f.amiss(ill); len(list) > 0 {
					status, _ := f.loop.Status(ill.App())
					t.Errorf("when it is mended: %v, %+v, %+v", list, status.Conditions, status.Round)
				}
				f.stop()
			})
		})
	}
}

// breaks is a driver that breaks, for one app, whenever it is asked for something.
type breaks struct {
	app, method string

	mu     sync.Mutex
	active bool
	told   []string
}

func (b *breaks) on(active bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.active = active
}

func (b *breaks) hears(n loop.Notice) {
	if n.Progress == nil || n.App.Service != b.app {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.told = append(b.told, n.Progress.Message)
}

func (b *breaks) said() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.Join(b.told, "\n")
}

func (b *breaks) strike(method string) {
	b.mu.Lock()
	active := b.active
	b.mu.Unlock()
	if active && method == b.method {
		panic("a planted defect")
	}
}

func (b *breaks) controller(app state.App, way *sim.Connector) *reconcile.Fleet {
	if app.Service != b.app {
		return reconcile.NewFleet(connector{way})
	}
	return reconcile.NewFleet(brokenWay{connector{way}, b}, func(ctx context.Context, call reconcile.Call, next func(context.Context) error) error {
		b.strike(call.Method)
		return next(ctx)
	})
}

type brokenWay struct {
	connector
	b *breaks
}

func (w brokenWay) Connect(ctx context.Context, on release.Host) (*reconcile.Connection, error) {
	w.b.strike("Connect")
	return w.connector.Connect(ctx, on)
}

func TestAMistakeOfKamaldsOwnEndsThatRoundAlone(t *testing.T) {
	inWorld(t, func(w *world) {
		w.deployed("v1").start().settle()
		w.source.mu.Lock()
		w.source.breaks = true
		w.source.mu.Unlock()
		w.loop.Look(shop)
		ticket := w.order(loop.Order{Verb: loop.VerbRelease, Version: "v2"})
		if !strings.Contains(ticket.Error, "planted") {
			t.Errorf("an order ends with %q", ticket.Error)
		}
		w.wantConditions("failed")
		w.source.mu.Lock()
		w.source.breaks = false
		w.source.mu.Unlock()
		w.RemoveContainer("h1", "shop-web-v1")
		w.pass(6 * time.Minute)
		w.want(all("v1"))
		w.wantConditions("")
	})
}

func TestAMistakeInTheMiddleOfARepairLeavesNothingUnderWay(t *testing.T) {
	inWorld(t, func(w *world) {
		w.deployed("v1").start().settle()
		w.store.mu.Lock()
		w.store.breaks = true
		w.store.mu.Unlock()
		w.RemoveContainer("h1", "shop-web-v1")
		w.pass(time.Minute)
		if status, _ := w.loop.Status(shop); status.Doing != nil {
			t.Errorf("it is busy with %+v", status.Doing)
		}
		if !strings.Contains(w.said(), "planted") {
			t.Error("the mistake is nowhere to be seen")
		}
		w.want(all("v1"))
	})
}
