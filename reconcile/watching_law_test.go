package reconcile_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/kamald/kamald/drivers/sim"
	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// TestWhoListsWhenAHostIsUpAndFollowsKnowsWhatIsThere: whatever happens to containers and connections, no event is lost for good and
// none is told twice.
func TestWhoListsWhenAHostIsUpAndFollowsKnowsWhatIsThere(t *testing.T) {
	deeds := slices.Sorted(maps.Keys(befallings))
	rapid.Check(t, func(rt *rapid.T) {
		story := rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) happen {
			return happen{
				deed: rapid.SampledFrom(deeds).Draw(rt, "deed"),
				host: rapid.SampledFrom([]string{"h1", "h2"}).Draw(rt, "host"),
				name: rapid.SampledFrom([]string{"a", "b", "c"}).Draw(rt, "name"),
				wait: time.Duration(rapid.IntRange(1, 40_000).Draw(rt, "ms")) * time.Millisecond,
			}
		}), 1, 25).Draw(rt, "story")
		var wrong []string
		synctest.Test(t, func(t *testing.T) { wrong = lived(t, story) })
		if len(wrong) > 0 {
			rt.Fatalf("%v\n%q", story, wrong)
		}
	})
}

// happen is one thing that befalls a host or a container, and how long nothing else does.
type happen struct {
	deed, host, name string
	wait             time.Duration
}

// befallings are what there is, on a container that is there, where it is about one.
var befallings = map[string]func(w *world, host, name string, there bool){
	"run": func(w *world, host, name string, there bool) {
		if !there {
			w.RunContainer(host, name, state.Spec{Image: repository + ":v1", Network: "none", Restart: "unless-stopped"}, map[string]string{state.LabelService: "shop"}, nil)
		}
	},
	"remove": onContainer((*sim.World).RemoveContainer),
	"stop":   onContainer((*sim.World).StopContainer),
	"start":  onContainer((*sim.World).StartContainer),
	"crash": onContainer(func(w *sim.World, host, name string) {
		w.Misbehave(host, name, sim.Exits(3, 2*time.Second))
	}),
	"rename": onContainer(func(w *sim.World, host, name string) {
		if !slices.Contains(names(w.Glance(host)), name+"2") {
			w.RenameContainer(host, name, name+"2")
		}
	}),
	"cut":            func(w *world, host, _ string, _ bool) { w.Cut(host) },
	"black hole":     func(w *world, host, _ string, _ bool) { w.BlackHole(host, true, true) },
	"lost replies":   func(w *world, host, _ string, _ bool) { w.BlackHole(host, false, true) },
	"restore":        func(w *world, host, _ string, _ bool) { w.Restore(host) },
	"restart sshd":   func(w *world, host, _ string, _ bool) { w.RestartSSH(host) },
	"restart engine": func(w *world, host, _ string, _ bool) { w.RestartEngine(host, 3*time.Second) },
	"reboot":         func(w *world, host, _ string, _ bool) { w.Reboot(host, 20*time.Second) },
	"freeze":         func(w *world, host, _ string, _ bool) { w.FreezeEngine(host) },
	"thaw":           func(w *world, host, _ string, _ bool) { w.ThawEngine(host) },
}

func onContainer(do func(w *sim.World, host, name string)) func(*world, string, string, bool) {
	return func(w *world, host, name string, there bool) {
		if there {
			do(w.World, host, name)
		}
	}
}

func names(list []sim.Glance) (all []string) {
	for _, c := range list {
		all = append(all, c.Name)
	}
	return all
}

// telling is an event that a host was told of.
type telling struct {
	host  string
	event state.EngineEvent
}

// knowledge is what somebody knows who lists at each Up and follows.
type knowledge struct {
	w     *world
	mu    sync.Mutex
	up    map[string]bool
	known map[string]map[string]bool // host → container's ID → it runs
	told  map[telling]bool
	wrong []string
}

func (k *knowledge) hear(what reconcile.Happening) {
	there := k.w.Glance(what.Host)
	k.mu.Lock()
	defer k.mu.Unlock()
	was, known := k.up[what.Host]
	switch {
	case what.Up:
		if was {
			k.wrong = append(k.wrong, what.Host+" is up twice")
		}
		k.up[what.Host], k.known[what.Host] = true, running(there)
	case what.Lost != "":
		if known && !was {
			k.wrong = append(k.wrong, what.Host+" is lost twice")
		}
		k.up[what.Host] = false
	case !was:
		k.wrong = append(k.wrong, what.Host+" is not up, and told "+what.Event.String())
	default:
		k.learn(what.Host, *what.Event)
	}
}

func (k *knowledge) learn(host string, e state.EngineEvent) {
	if one := (telling{host, e}); k.told[one] {
		k.wrong = append(k.wrong, fmt.Sprintf("told twice: %s %s at %s", host, e, e.At))
	} else {
		k.told[one] = true
	}
	switch e.Action {
	case state.ActionCreate, state.ActionDie:
		k.known[host][e.Container] = false
	case state.ActionStart:
		k.known[host][e.Container] = true
	case state.ActionDestroy:
		delete(k.known[host], e.Container)
	}
}

func running(list []sim.Glance) map[string]bool {
	all := map[string]bool{}
	for _, c := range list {
		all[c.ID] = c.Status == state.StatusRunning
	}
	return all
}

// lived plays a story, gives everything back, and says what somebody who watched knows wrong.
func lived(t *testing.T, story []happen) []string {
	w := placed(t)
	k := &knowledge{w: w, up: map[string]bool{}, known: map[string]map[string]bool{}, told: map[telling]bool{}}
	ctx, end := context.WithCancel(t.Context())
	over := make(chan struct{})
	c := w.controller()
	go func() {
		defer close(over)
		c.Watch(ctx, []release.Host{{Name: "h1", Address: "h1"}, {Name: "h2", Address: "h2"}}, k.hear)
		_ = c.Close()
	}()
	for _, one := range story {
		befallings[one.deed](w, one.host, one.name, slices.Contains(names(w.Glance(one.host)), one.name))
		time.Sleep(one.wait)
	}
	for _, host := range []string{"h1", "h2"} {
		w.Restore(host)
		w.ThawEngine(host)
	}
	time.Sleep(5 * time.Minute)
	end()
	<-over
	for _, host := range []string{"h1", "h2"} {
		if is := running(w.Glance(host)); !maps.Equal(is, k.known[host]) || !k.up[host] {
			k.wrong = append(k.wrong, fmt.Sprintf("%s: up %t, known %v, and there is %v", host, k.up[host], k.known[host], is))
		}
	}
	return k.wrong
}
