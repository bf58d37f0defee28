package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// AllAccessories names all of them where a command takes names.
const AllAccessories = "all"

// AccessoryNames resolves the names that a command was given: one, or all of them. An unknown one is an error with those there are.
func AccessoryNames(desired release.Release, given string) ([]string, error) {
	var names []string
	for _, a := range desired.Accessories {
		names = append(names, a.Name)
	}
	switch {
	case len(names) == 0:
		return nil, fmt.Errorf("the file has no accessory: `accessory \"redis\" { … }` is one")
	case slices.Contains(names, given):
		return []string{given}, nil
	case given == AllAccessories:
		return names, nil
	}
	return nil, fmt.Errorf("there is no accessory %q; the options are %s and all.%s", given, strings.Join(names, ", "), release.DidYouMean(given, names))
}

// BootAccessories makes and starts accessories that are not there; with reboot it makes each anew, with its image pulled again. What is
// held of them afterwards is what the file says.
func (c *Controller) BootAccessories(ctx context.Context, desired release.Release, names, hosts []string, reboot bool) (Report, error) {
	return c.Apply(ctx, desired, Options{Accessories: names, Reboot: reboot, boot: !reboot, Hosts: hosts, Pin: &plan.Pin{}, SkipUnreachable: len(hosts) > 0})
}

// settled writes down what a plan of accessories alone has made true.
func (c *Controller) settled(ctx context.Context, planned Planned, locks *Locks, options Options) error {
	if planned.Plan.Kind != plan.KindAccessory {
		return nil
	}
	ctx = context.WithoutCancel(ctx)
	err := c.holdAccessories(ctx, planned, locks, options.Accessories)
	if options.Reboot {
		err = errors.Join(err, c.liftStops(ctx, planned, locks, options.Accessories))
	}
	return err
}

// StopAccessories stops accessories on purpose: nothing starts them again before StartAccessories, no healing and no release. The proxy
// answers 503 for one that it sends requests to until those in flight have ended, and then knows nothing of it.
func (c *Controller) StopAccessories(ctx context.Context, desired release.Release, names, hosts []string, reason string) (Commanded, error) {
	return c.onAccessories(ctx, desired, names, hosts, accessoryCommand{verb: "accessory-stop", past: "Stopped",
		do: func(ctx context.Context, on *accessoryOn) error {
			if err := c.noteStop(ctx, on.conn, desired, on.seen, on.role, reason, false); err != nil {
				return err
			}
			if err := on.unroute(ctx); err != nil {
				return errors.Join(err, on.runsOn(ctx))
			}
			switch {
			case !on.there:
				on.did, on.unchanged = "is not there; it is noted that this is on purpose", true
				return nil
			case !on.container.Running():
				on.did, on.unchanged = "is stopped already; it is noted that this is on purpose", true
				return nil
			}
			on.did = "was stopped; `kamald accessory start " + on.accessory.Name + "` starts it"
			err := stop(ctx, on.conn, on.container.ID, on.grace())
			if err != nil && ctx.Err() == nil { // the engine goes on with a stop that nobody waits for any more
				err = errors.Join(err, on.runsOn(ctx))
			}
			return err
		}})
}

// StartAccessories starts accessories that are there, waits until they are healthy, has the proxy send requests to those that it is to,
// and ends a stop that was on purpose.
func (c *Controller) StartAccessories(ctx context.Context, desired release.Release, names, hosts []string) (Commanded, error) {
	return c.onAccessories(ctx, desired, names, hosts, accessoryCommand{verb: "accessory-start", past: "Started",
		do: func(ctx context.Context, on *accessoryOn) error {
			if !on.there {
				return on.missing()
			}
			if on.did, on.unchanged = "was started, and is healthy", on.container.Status == state.StatusRunning; on.unchanged {
				on.did = "runs already"
			} else if err := on.filesThere(ctx); err != nil {
				return err
			} else if err := on.start(ctx); err != nil {
				return err
			}
			routed, err := on.serve(ctx)
			if err != nil {
				return err
			}
			if routed && on.unchanged {
				on.did, on.unchanged = "runs already, and has its route again", false
			}
			return c.noteStop(ctx, on.conn, desired, on.seen, on.role, "", true)
		}})
}

// RestartAccessories stops accessories and starts them again, as they are.
func (c *Controller) RestartAccessories(ctx context.Context, desired release.Release, names, hosts []string) (Commanded, error) {
	return c.onAccessories(ctx, desired, names, hosts, accessoryCommand{verb: "accessory-restart", past: "Restarted",
		do: func(ctx context.Context, on *accessoryOn) error {
			if !on.there {
				return on.missing()
			}
			if err := on.filesThere(ctx); err != nil {
				return err
			}
			began := c.now()
			safe := context.WithoutCancel(ctx) // once it is stopped, it is started again
			if err := on.unroute(safe); err != nil {
				return err
			}
			if err := stop(safe, on.conn, on.container.ID, on.grace()); err != nil {
				return errors.Join(err, on.startAndServe(safe))
			}
			if err := on.startAndServe(safe); err != nil {
				return err
			}
			on.did = fmt.Sprintf("was restarted, and is healthy; it was away for %s", short(c.now().Sub(began)))
			return c.noteStop(safe, on.conn, desired, on.seen, on.role, "", true)
		}})
}

// RemoveAccessories stops and removes the containers of accessories, and what they have kept only where data says so. What is held does
// not have them afterwards; the next release of a file that has them makes them again.
func (c *Controller) RemoveAccessories(ctx context.Context, desired release.Release, names, hosts []string, data bool) (Commanded, error) {
	return c.onAccessories(ctx, desired, names, hosts, accessoryCommand{verb: "accessory-remove", past: "Removed",
		do: func(ctx context.Context, on *accessoryOn) error {
			on.did = "was removed; its data stays"
			if !on.there {
				on.did = "is not there"
			}
			k, err := on.kept(ctx)
			if err != nil {
				return err
			}
			if err := on.take(ctx); err != nil {
				return err
			}
			if data {
				on.did = strings.TrimSuffix(on.did, "; its data stays") + ", with its data"
				if err := on.dropData(ctx, k, names); err != nil {
					return err
				}
			}
			for _, name := range k.names() {
				if !data {
					on.notes = append(on.notes, name+" stays")
				}
			}
			return c.noteStop(ctx, on.conn, desired, on.seen, on.role, "", true)
		},
		after: func(ctx context.Context, w *work, done []CommandedOn) error {
			return c.changeHeld(ctx, desired, w.seen, w.locks, "removed accessories "+strings.Join(names, ", "), func(held *release.Release) {
				for _, one := range done {
					if name, is := state.AccessoryOf(one.Role); is && one.Error == "" {
						dropAccessory(held, name, []string{one.Host})
					}
				}
			})
		}})
}

// accessoryCommand is something that is done to an accessory on each of its hosts.
type accessoryCommand struct {
	verb, past string
	do         func(ctx context.Context, on *accessoryOn) error
	after      func(ctx context.Context, w *work, done []CommandedOn) error // under the locks, when all is done; nil: nothing
}

// accessoryOn is an accessory on one host, as it is seen under the lock.
type accessoryOn struct {
	c         *Controller
	w         *work
	desired   release.Release
	accessory release.Accessory
	role      string
	on        release.Host
	conn      *Connection
	seen      state.Host
	container state.Container
	there     bool
	all       []state.Container // its own, and those that made way for it

	did       string
	unchanged bool
	notes     []string
}

func (c *Controller) onAccessories(ctx context.Context, desired release.Release, names, hosts []string, cmd accessoryCommand) (Commanded, error) {
	var roles []string
	for _, name := range names {
		roles = append(roles, state.AccessoryRole(name))
	}
	scope, err := plan.FilterOf(desired, hosts, roles)
	if err != nil {
		return Commanded{}, err
	}
	w := &work{c: c, desired: desired, scope: scope, verb: strings.Replace(cmd.verb, "-", " ", 1), past: cmd.past}
	w.deeds = func(host string) (list []deed) {
		for _, a := range desired.AccessoriesOn(host) {
			if role := state.AccessoryRole(a.Name); slices.Contains(names, a.Name) && scope.Has(host, role) {
				verb := strings.TrimPrefix(cmd.verb, "accessory-")
				list = append(list, deed{kind: cmd.verb, host: host, role: role, step: cmd.verb + "/" + host + "/" + a.Name, message: verb + " " + a.Service})
			}
		}
		return list
	}
	w.do = func(ctx context.Context, on release.Host, d deed) (CommandedOn, error) {
		return c.onAccessory(ctx, w, on, d, cmd)
	}
	if cmd.after != nil {
		w.after = func(ctx context.Context, done []CommandedOn) error { return cmd.after(ctx, w, done) }
	}
	if len(w.concerned()) == 0 {
		return Commanded{}, fmt.Errorf("accessory %s has no host in scope", strings.Join(names, ", "))
	}
	return w.carryOut(ctx)
}

func (c *Controller) onAccessory(ctx context.Context, w *work, on release.Host, d deed, cmd accessoryCommand) (CommandedOn, error) {
	result := CommandedOn{Host: on.Name, Role: d.role}
	name, _ := state.AccessoryOf(d.role)
	accessory, _ := w.desired.Accessory(name)
	a, err := w.seeAccessory(ctx, on, d.role, accessory)
	if err != nil {
		return result, err
	}
	if owner, theirs := a.anothers(); theirs {
		return result, fmt.Errorf("the container %s belongs to the accessory %s: nothing was done to it", a.accessory.Service, owner)
	}
	err = cmd.do(ctx, a)
	result.Did, result.Unchanged, result.Notes = a.did, a.unchanged, a.notes
	return result, err
}

// seeAccessory sees an accessory on a host once more, under the lock.
func (w *work) seeAccessory(ctx context.Context, on release.Host, role string, accessory release.Accessory) (*accessoryOn, error) {
	conn, err := w.locks.connection(ctx, on)
	if err != nil {
		return nil, err
	}
	a := &accessoryOn{c: w.c, w: w, desired: w.desired, role: role, on: on, conn: conn, accessory: accessory}
	return a, a.look(ctx)
}

// anothers tells whether the container is another app's, or of another name, and whose.
func (on *accessoryOn) anothers() (owner string, theirs bool) {
	owner = on.container.Accessory
	return owner, on.there && owner != "" && !on.accessory.Shared && owner != on.desired.App().OwnedAs(on.accessory.Name)
}

// look sees the accessory's containers and intents.
func (on *accessoryOn) look(ctx context.Context) error {
	l := &look{conn: on.conn, desired: on.desired, on: on.on, paths: layoutOf(on.desired), host: state.Host{Name: on.on.Name}, besides: map[string]bool{}}
	if err := l.intents(ctx); err != nil {
		return err
	}
	if err := l.labelled(ctx, on.accessory.Service); err != nil {
		return err
	}
	l.mergeAccessories()
	for i, c := range l.host.Containers {
		inspected, err := on.conn.Engine.Inspect(ctx, c.ID, state.View{})
		if err == nil {
			l.host.Containers[i] = inspected
		}
		if unless(err, state.ErrNotFound) != nil {
			return err
		}
	}
	on.seen, on.all = l.host, plan.AccessoryContainers(on.accessory, l.host)
	on.container, on.there = plan.AccessoryOn(on.accessory, l.host)
	return nil
}

func (on *accessoryOn) missing() error {
	return fmt.Errorf("there is no container %s; `kamald accessory boot %s` makes it", on.accessory.Service, on.accessory.Name)
}

func (on *accessoryOn) grace() time.Duration {
	if asked := on.container.Asked; asked != nil && asked.StopGrace > 0 {
		return asked.StopGrace
	}
	return on.accessory.Stop.Grace
}

// runsOn lifts the note of a stop that failed where the container runs on: one that ends later is to come back. What cannot be seen is
// left noted as it was asked for.
func (on *accessoryOn) runsOn(ctx context.Context) error {
	ctx = context.WithoutCancel(ctx)
	if on.look(ctx) != nil || !on.there || !on.container.Running() {
		return nil
	}
	return on.c.noteStop(ctx, on.conn, on.desired, on.seen, on.role, "", true)
}

// start starts the container and waits until it is healthy.
func (on *accessoryOn) start(ctx context.Context) error {
	if err := on.conn.Engine.Start(ctx, on.container.ID); err != nil {
		return err
	}
	reach := func(ctx context.Context) (*Connection, error) { return on.w.locks.connection(ctx, on.on) }
	p := &proof{reach: reach, desired: on.desired, role: on.accessory.Role(), host: on.on.Name, container: on.container.ID, name: on.accessory.Service}
	proofOf(p, on.accessory)
	return p.prove(ctx)
}

func (on *accessoryOn) startAndServe(ctx context.Context) error {
	if err := on.start(ctx); err != nil {
		return err
	}
	_, err := on.serve(ctx)
	return err
}
