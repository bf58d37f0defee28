// Package migrate brings what one store keeps into another, and shows that it did.
package migrate

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/kamald/kamald/state"
)

// ErrOther: the store that is to be filled has what the other has not. Test with errors.Is.
var ErrOther = errors.New("it has what the other store has not")

// atOnce is how many events go into the other store in one transaction.
const atOnce = 200

// Moved is what there is of one app, in both stores.
type Moved struct {
	App      state.App `json:"app"`
	Snapshot bool      `json:"snapshot"`
	Watch    bool      `json:"watch"`
	Releases int       `json:"releases"`
	Plans    int       `json:"plans"`
	Events   int       `json:"events"`
	Digest   string    `json:"digest"`           // SHA-256 of all of it, in hex: the same in both
	Moving   bool      `json:"moving,omitempty"` // it was written to while it was read: what came meanwhile may be there in part
}

// Copy brings all that a store keeps into another, which is empty or has a part of just that: what a Copy that was interrupted has left.
// Anything else there is ErrOther, and nothing is written then. At the end both are read anew, and an error names the app of which they
// have not the same. Nobody else may write to either meanwhile.
func Copy(from, to state.Store) ([]Moved, error) {
	apps, err := from.Apps()
	if err != nil {
		return nil, err
	}
	if err := fits(from, to, apps); err != nil {
		return nil, err
	}
	moved := make([]Moved, 0, len(apps))
	for _, app := range apps {
		all, err := read(from, app)
		if err != nil {
			return moved, err
		}
		there, err := read(to, app)
		if err != nil {
			return moved, err
		}
		if err := all.write(to, there); err != nil {
			return moved, err
		}
		m, err := compare(from, to, app)
		if err != nil {
			return moved, err
		}
		moved = append(moved, m)
	}
	return moved, nil
}

// fits holds what is in the other store to being a part of what is to come.
func fits(from, to state.Store, apps []state.App) error {
	there, err := to.Apps()
	if err != nil {
		return err
	}
	for _, app := range there {
		has, err := read(to, app)
		if err != nil {
			return err
		}
		comes := content{app: app}
		if slices.Contains(apps, app) {
			if comes, err = read(from, app); err != nil {
				return err
			}
		}
		if what := has.beyond(comes); what != "" {
			return fmt.Errorf("%w: %s of %s", ErrOther, what, app)
		}
	}
	return nil
}

// compare reads both anew.
func compare(from, to state.Store, app state.App) (Moved, error) {
	was, err := read(from, app)
	if err != nil {
		return Moved{}, err
	}
	is, err := read(to, app)
	if err != nil {
		return Moved{}, err
	}
	return alike(was, is)
}

// alike holds what one store has of an app to what the other has.
func alike(was, is content) (Moved, error) {
	a, b := was.moved(), is.moved()
	if a != b {
		return Moved{}, fmt.Errorf("of %s the two stores have not the same: %d releases, %d plans, %d events (%.12s) and %d, %d, %d (%.12s)",
			was.app, a.Releases, a.Plans, a.Events, a.Digest, b.Releases, b.Plans, b.Events, b.Digest)
	}
	return a, nil
}

// content is all that a store has of an app, each value as JSON.
type content struct {
	app      state.App
	snapshot string // "": none
	watch    string
	releases []string // newest first
	plans    []string
	events   []string
}

func read(s state.Store, app state.App) (content, error) {
	c := content{app: app}
	snapshot, seen, err := s.Snapshot(app)
	watch, watched, err2 := s.Watch(app)
	releases, err3 := s.Releases(app)
	plans, err4 := s.Plans(app, 0)
	events, err5 := s.Events(app, 0)
	errs := []error{err, err2, err3, err4, err5}
	if seen {
		c.snapshot, err = text(snapshot)
		errs = append(errs, err)
	}
	if watched {
		c.watch, err = text(watch)
		errs = append(errs, err)
	}
	c.releases, err = texts(releases)
	c.plans, err2 = texts(plans)
	c.events, err3 = texts(events)
	return c, errors.Join(append(errs, err, err2, err3)...)
}

// write brings into a store what is not there yet.
func (c content) write(to state.Store, there content) error {
	var errs []error
	for _, record := range slices.Backward(c.releases) {
		if !slices.Contains(there.releases, record) {
			errs = append(errs, put(record, to.SaveRelease))
		}
	}
	for _, plan := range slices.Backward(c.plans) {
		if !slices.Contains(there.plans, plan) {
			errs = append(errs, put(plan, func(p state.PlanRecord) error { return to.SavePlan(c.app, p) }))
		}
	}
	missing := c.events[:len(c.events)-len(there.events)] // what is there are the oldest
	for len(missing) > 0 && errors.Join(errs...) == nil {
		rest := max(len(missing)-atOnce, 0)
		var events []state.Event
		for _, event := range slices.Backward(missing[rest:]) {
			errs = append(errs, put(event, func(e state.Event) error { events = append(events, e); return nil }))
		}
		errs = append(errs, to.Append(c.app, events...))
		missing = missing[:rest]
	}
	if c.snapshot != "" {
		errs = append(errs, put(c.snapshot, to.SaveSnapshot))
	}
	if c.watch != "" {
		errs = append(errs, put(c.watch, to.SaveWatch))
	}
	return errors.Join(errs...)
}

// beyond names something that is here and not in the other; "": there is nothing such.
func (c content) beyond(other content) string {
	switch {
	case c.snapshot != "" && c.snapshot != other.snapshot:
		return "the snapshot"
	case c.watch != "" && c.watch != other.watch:
		return "what the daemon remembers"
	case slices.ContainsFunc(c.releases, func(r string) bool { return !slices.Contains(other.releases, r) }):
		return "a release"
	case slices.ContainsFunc(c.plans, func(p string) bool { return !slices.Contains(other.plans, p) }):
		return "a plan"
	case len(c.events) > len(other.events) || !slices.Equal(c.events, other.events[len(other.events)-len(c.events):]):
		return "an event"
	}
	return ""
}

func (c content) moved() Moved {
	sum := sha256.New()
	for _, part := range [][]string{{c.snapshot}, {c.watch}, c.releases, c.plans, c.events} {
		fmt.Fprintln(sum, len(part)) // a hash takes whatever it is given
		for _, one := range part {
			fmt.Fprintln(sum, one)
		}
	}
	return Moved{App: c.app, Snapshot: c.snapshot != "", Watch: c.watch != "", Releases: len(c.releases), Plans: len(c.plans), Events: len(c.events),
		Digest: hex.EncodeToString(sum.Sum(nil))}
}

func text(value any) (string, error) {
	data, err := json.Marshal(value)
	return string(data), err
}

func texts[T any](values []T) (all []string, err error) {
	for _, value := range values {
		one, err := text(value)
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, nil
}

func put[T any](text string, save func(T) error) error {
	var value T
	if err := json.Unmarshal([]byte(text), &value); err != nil {
		return err
	}
	return save(value)
}
