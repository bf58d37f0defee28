package loop_test

import (
	"testing"
	"time"

	"github.com/kamald/kamald/drivers/sim"
	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/reconcile/loop"
	"github.com/kamald/kamald/release"
)

const cache = "registry.example.com/redis:"

// besideCache has the world's app run with an accessory whose changes wait for a reboot.
func (w *world) besideCache() {
	for _, version := range []string{"7", "8"} {
		w.Push(sim.Image{Ref: cache + version, Behaviour: sim.Healthy(300 * time.Millisecond)})
	}
	w.source.release.Accessories = []release.Accessory{{Name: "cache", Service: "shop-cache", Image: cache + "7", Hosts: []string{"h3"}, Network: "kamal",
		Restart: "unless-stopped", Stop: release.Stop{Grace: 5 * time.Second}, OnChange: release.OnChangePlan}}
	w.by(func(c *reconcile.Controller) error {
		_, err := c.Apply(w.t.Context(), w.source.release, reconcile.Options{})
		return err
	})
}

// leavingNothing are changes of what is wanted for which nothing is to be done now.
var leavingNothing = map[string]func(*release.Release){
	"another image of an accessory": func(r *release.Release) {
		other := r.Accessories[0]
		other.Image = cache + "8"
		r.Accessories = []release.Accessory{other}
	},
	"more old containers to keep": func(r *release.Release) { r.RetainContainers = 5 },
}

func TestAProposalThatLeavesNothingToDoIsNotTriedAgainAndAgain(t *testing.T) {
	for name, change := range leavingNothing {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.besideCache()
				w.start().settle()
				w.wantConditions("")
				began, _ := w.loop.Status(shop)
				w.source.propose(change, nil)
				w.pass(time.Minute)
				after, _ := w.loop.Status(shop)
				if n := after.Round.Number - began.Round.Number; n > 5 {
					t.Errorf("%d rounds within a minute", n)
				}
				w.healsBeside(began)
				w.pass(20 * time.Minute) // the timer's rounds ask again
				w.wantConditions("")
				w.propose("v2")
				w.pass(time.Minute)
				w.want(all("v2"))
				w.wantConditions("")
			})
		})
	}
}

// healsBeside wants drift to be healed, and no release made of it, while another proposal leaves nothing to do.
func (w *world) healsBeside(began loop.Status) {
	w.t.Helper()
	w.RemoveContainer("h1", "shop-web-v1")
	w.pass(5 * time.Second)
	w.want(all("v1"))
	w.RemoveRoute("h1", "shop-web") // nothing tells of that: a timer's round finds it
	w.pass(6 * time.Minute)
	if len(w.Routes("h1")) != 1 {
		w.t.Error("the route was not missed")
	}
	now, _ := w.loop.Status(shop)
	if now.Held == nil || now.Held.Number != began.Held.Number {
		w.t.Errorf("held was %+v and is %+v", began.Held, now.Held)
	}
	if told := w.told(); told != "drifted, healed, drifted, healed" {
		w.t.Errorf("told: %s\n%s", told, w.said())
	}
}
