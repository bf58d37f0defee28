package release

import (
	"strings"
	"time"
)

// compileReconcile reads how the daemon keeps the release; without the block by its defaults.
func (c *compiler) compileReconcile() {
	b := c.root.child("reconcile")
	c.rel.Reconcile = Reconcile{
		Mode:      b.get("mode").textOr(defaultMode),
		Interval:  b.get("interval").durationOr(defaultInterval),
		Budget:    b.get("budget").intOr(defaultBudget),
		Window:    b.get("window").durationOr(defaultWindow),
		Flap:      b.get("flap").intOr(defaultFlap),
		MaxRemove: b.get("max_remove").intOr(defaultMaxRemove),
		MinFree:   b.get("min_free").intOr(defaultMinFree),
		Ignore:    b.get("ignore").strings(),
	}
	c.checkIgnore(b.get("ignore"))
	for _, freeze := range b.children("freeze") {
		c.checkFreeze(freeze)
		c.rel.Reconcile.Freezes = append(c.rel.Reconcile.Freezes, Freeze{
			Name: freeze.label, Days: freeze.get("days").strings(), From: freeze.get("from").text(), To: freeze.get("to").text(),
			Zone: freeze.get("zone").textOr(defaultZone),
		})
	}
}

func (c *compiler) checkFreeze(b *block) {
	from, to := b.get("from"), b.get("to")
	for _, v := range []*value{from, to} {
		if _, ok := minuteOfDay(v.text()); v.set() && v.isKnown() && !ok {
			c.errorf(v.rng, "Bad time", "%s is a time of day from \"00:00\" to \"23:59\", not %q.", v.name, v.text())
		}
	}
	if from.set() && to.set() && from.isKnown() && to.isKnown() && from.text() == to.text() {
		c.errorf(to.rng, "No time at all", "%s ends when it begins, at %s: for a whole day write two, of which one begins when the other ends.", b.title(), to.text())
	}
	zone := b.get("zone")
	if !zone.set() || !zone.isKnown() {
		return
	}
	// Local is the machine's, and another on the next machine that the daemon runs on.
	if _, err := time.LoadLocation(zone.text()); err != nil || zone.text() == "" || strings.EqualFold(zone.text(), "local") {
		c.errorf(zone.rng, "Unknown time zone", "The tz database has no zone %q: its names are such as \"Europe/Berlin\" or \"UTC\".", zone.text())
	}
}
