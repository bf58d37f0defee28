package loop_test

import (
	"context"
	"errors"

	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/reconcile/loop"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

type loopOptions = loop.Options

var errFull = errors.New("the store state.db: no space left on device")

func loopPerson(who string) loop.Person { return loop.Person{Who: who, Where: "laptop"} }

// deaf is a connection to engines that say yes to every update and change nothing.
func (w *world) deaf(open func(release.Release) (*reconcile.Controller, error), r release.Release) (*reconcile.Controller, error) {
	way := deafConnector{connector{w.Connector()}}
	c, err := open(r)
	if err != nil {
		return nil, err
	}
	own := reconcile.NewController(reconcile.NewFleet(way), w.store, c.Secrets)
	own.NewSpool = c.NewSpool
	return own, c.Close()
}

type deafConnector struct{ connector }

func (d deafConnector) Connect(ctx context.Context, host release.Host) (*reconcile.Connection, error) {
	conn, err := d.connector.Connect(ctx, host)
	if err == nil {
		conn.Engine = deafEngine{conn.Engine}
	}
	return conn, err
}

type deafEngine struct{ reconcile.Engine }

func (deafEngine) Update(context.Context, string, map[string][]string) error { return nil }

// updates counts the repairs in place that were begun.
func (w *world) updates() (n int) {
	events, _ := w.store.Events(shop, 0)
	for _, e := range events {
		if e.Kind == "update" && e.Outcome == "intended" {
			n++
		}
	}
	return n
}

// ID is a container's, by its name; "" when there is none.
func (w *world) ID(host, name string) string {
	for _, c := range w.Containers(host, state.View{}) {
		if c.Name == name {
			return c.ID
		}
	}
	return ""
}

// calls is around every call of the daemon.
func (w *world) calls(ctx context.Context, call reconcile.Call, next func(context.Context) error) error {
	w.hooks.Lock()
	var err error
	if w.before != nil {
		err = w.before(call)
	}
	w.hooks.Unlock()
	if first := w.first.Load(); first != nil && first.method == call.Method && w.first.CompareAndSwap(first, nil) {
		first.happens()
	}
	if err != nil {
		return err
	}
	return next(ctx)
}

// hook is asked before every call of the daemon from now on, one call at a time; its error is the call's.
func (w *world) hook(before func(reconcile.Call) error) {
	w.hooks.Lock()
	defer w.hooks.Unlock()
	w.before = before
}

// hooked gives what a hook has gathered to the test.
func (w *world) hooked(read func()) {
	w.hooks.Lock()
	defer w.hooks.Unlock()
	read()
}

// first is what happens once.
type first struct {
	method  string
	happens func()
}

// once has something happen just before the first call of the daemon that is so named, from now on.
func (w *world) once(method string, happens func()) { w.first.Store(&first{method, happens}) }

func loopRollback() loop.Order { return loop.Order{Verb: loop.VerbRollback} }
