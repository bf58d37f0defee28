package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// logSilence is how long nothing may come of a log that is not followed.
const logSilence = 30 * time.Second

// ReadLogs reads the logs of all places in scope at once and tells their lines in the order of their times, which are those of the hosts'
// clocks. With o.Follow it goes on until ctx ends: a connection that is lost is made again, and a container of a role that starts later
// joins. line and note are called one at a time. What could not be read is noted as missing, and is no error.
func (c *Controller) ReadLogs(ctx context.Context, desired release.Release, o LogOptions, line func(LogLine), note func(LogNote)) error {
	r := &logReading{c: c, desired: desired, o: o, tellLine: line, tellNote: note, begun: map[string]time.Time{}}
	r.beside, _ = desired.Accessory(o.Accessory)
	if err := r.scope(); err != nil {
		return err
	}
	sources, err := r.find(ctx)
	if err != nil {
		return err
	}
	tails := r.backlog(ctx, sources)
	found := true
	if o.Follow && ctx.Err() == nil {
		found = r.follow(ctx, tails)
	}
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case !found && o.Container != "":
		return r.nowhere()
	}
	return nil
}

// logReading is one reading of logs.
type logReading struct {
	c       *Controller
	desired release.Release
	o       LogOptions
	places  []Place           // of a proxy's the role is ""
	unseen  []release.Host    // where the one container was not looked for yet
	beside  release.Accessory // whose logs are read; the zero value where they are the roles' or the proxies'

	mu       sync.Mutex // of what follows
	tellLine func(LogLine)
	tellNote func(LogNote)
	begun    map[string]time.Time // by the hosts' clocks; none of one whose containers were not seen
}

func (r *logReading) tell(line LogLine) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tellLine(line)
}

func (r *logReading) say(note LogNote) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tellNote(note)
}

// scope finds out which places are read.
func (r *logReading) scope() (err error) {
	if r.places, err = r.o.Places(r.desired); err != nil {
		return err
	}
	cordoned, err := r.c.Cordoned(r.desired, r.o.Hosts)
	for _, on := range hostsOn(r.desired, r.places) {
		if reason := cordoned[on.Name]; reason != "" {
			r.say(LogNote{Host: on.Name, Message: fmt.Sprintf("left out: %s; --hosts %s shows it all the same", reason, on.Name)})
		}
	}
	r.places = slices.DeleteFunc(r.places, func(p Place) bool { return cordoned[p.Host] != "" })
	return err
}

// watched tells whether containers that start later join: not where one is named.
func (r *logReading) watched() bool { return r.o.Follow && r.o.Container == "" }

// find looks for the containers, on every host at once; they are in the file's order.
func (r *logReading) find(ctx context.Context) ([]logSource, error) {
	hosts := hostsOn(r.desired, r.places)
	found, errs := make([][]logSource, len(hosts)), make([]error, len(hosts))
	var all branches
	for i, on := range hosts {
		all.Go(func() {
			found[i], errs[i] = r.findOn(ctx, on)
			switch {
			case errs[i] == nil || ctx.Err() != nil || r.watched(): // who watches says it
			case r.o.Follow:
				r.say(LogNote{Host: on.Name, Message: "its logs are not followed: " + why(errs[i], on.Name) + ". It is tried again"})
			default:
				r.say(LogNote{Host: on.Name, Message: "its logs cannot be read: " + why(errs[i], on.Name), Missing: true})
			}
		})
	}
	all.Wait()
	for i, on := range hosts {
		if errs[i] != nil {
			r.unseen = append(r.unseen, on)
		}
	}
	sources := slices.Concat(found...)
	if r.o.Container != "" && len(sources)+len(r.unseen) == 0 {
		return nil, r.nowhere()
	}
	return sources, ctx.Err()
}

// nowhere says that the one container is on none of the hosts.
func (r *logReading) nowhere() error {
	var names []string
	for _, on := range hostsOn(r.desired, r.places) {
		names = append(names, on.Name)
	}
	return fmt.Errorf("there is no container %s on %s", r.o.Container, strings.Join(names, ", "))
}

// findOn looks on one host.
func (r *logReading) findOn(ctx context.Context, on release.Host) ([]logSource, error) {
	conn, now, err := standing(ctx, r.c.fleet, on)
	if err != nil {
		return nil, err
	}
	source := func(box state.Container, role string) logSource {
		return logSource{on: on, conn: conn, box: box, role: role}
	}
	if name := r.named(); name != "" {
		box, err := conn.Engine.Inspect(ctx, name, state.View{})
		if unless(err, state.ErrNotFound) == nil {
			r.met(on.Name, now)
		}
		switch {
		case errors.Is(err, state.ErrNotFound) && r.o.Proxy:
			r.say(LogNote{Host: on.Name, Message: "there is no proxy; `kamald proxy boot` makes it"})
			return nil, nil
		case errors.Is(err, state.ErrNotFound):
			return nil, nil
		case err != nil:
			return nil, err
		}
		return []logSource{source(box, box.Role)}, nil
	}
	boxes, err := conn.Engine.Containers(ctx, r.filter())
	if err != nil {
		return nil, err
	}
	r.met(on.Name, now)
	var list []logSource
	for _, role := range rolesAt(r.places, on.Name) {
		chosen, note := r.choose(ctx, conn, boxes, role)
		if note != "" {
			r.say(LogNote{Host: on.Name, Role: role, Message: note})
		}
		for _, box := range chosen {
			list = append(list, source(box, role))
		}
	}
	return list, nil
}

// met notes when a host's containers were seen first: what is not among those starts later.
func (r *logReading) met(host string, now time.Time) (begun time.Time, again bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if begun, again = r.begun[host]; !again {
		r.begun[host], begun = now, now
	}
	return begun, again
}

// named is the container that is read by its name; "" where those of roles are.
func (r *logReading) named() string {
	if r.o.Proxy {
		return r.desired.ProxyServer.Name
	}
	return r.o.Container
}

// choose gives a role's containers whose logs are read: those that run, else the newest that has ended, and what is to be said of that.
func (r *logReading) choose(ctx context.Context, conn *Connection, boxes []state.Container, role string) (chosen []state.Container, note string) {
	var newest *state.Container
	for _, box := range boxes { // the newest first
		if !r.mine(box, role) {
			continue
		}
		if newest == nil && box.Status != state.StatusCreated {
			newest = &box
		}
		if box.Running() || box.Status == state.StatusRestarting {
			chosen = append(chosen, box)
		}
	}
	switch {
	case len(chosen) > 0:
		return chosen, ""
	case newest == nil && r.o.Accessory != "":
		return nil, "there is no container of it; `kamald accessory boot " + r.o.Accessory + "` makes it"
	case newest == nil:
		return nil, "there is no container of it; `kamald plan` shows what is missing"
	}
	how := "does not run"
	if seen, err := conn.Engine.Inspect(ctx, newest.ID, state.View{}); err == nil {
		how = "has ended: " + plan.Ended(seen)
	}
	return []state.Container{*newest}, fmt.Sprintf("no container of it runs. This is the log of %s, which %s", newest.Name, how)
}

// filter is what the containers of the places are listed by.
func (r *logReading) filter() state.Filter {
	if r.o.Proxy {
		return state.Filter{Name: r.desired.ProxyServer.Name}
	}
	service := r.desired.Service
	if r.o.Accessory != "" {
		service = r.beside.Service
	}
	return state.Filter{Labels: map[string]string{state.LabelService: service}}
}

// mine tells whether a container is of a role, or of the accessory whose logs are read.
func (r *logReading) mine(box state.Container, role string) bool {
	app := r.desired.App()
	if r.o.Accessory != "" {
		return plan.IsAccessory(r.beside, box) && (box.Accessory == "" || r.beside.Shared || box.Accessory == app.OwnedAs(r.beside.Name))
	}
	return box.Service == app.Service && box.Destination == app.Destination && box.Role == role
}

// query is what is asked of a container's log at first.
func (r *logReading) query(host string) state.LogQuery {
	q := state.LogQuery{Tail: r.o.Lines, Since: r.o.From}
	if r.o.Since > 0 {
		r.mu.Lock()
		q.Since = r.begun[host].Add(-r.o.Since)
		r.mu.Unlock()
	}
	return q
}

func (r *logReading) matches(text string) bool { return r.o.Match == nil || r.o.Match(text) }

// backlog tells what the logs have by now, and gives for each where it ends.
func (r *logReading) backlog(ctx context.Context, sources []logSource) []*followedLog {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	logs, tails := make([]<-chan LogLine, len(sources)), make([]*followedLog, len(sources))
	var all branches
	for i, source := range sources {
		lines := make(chan LogLine, 64)
		logs[i], tails[i] = lines, &followedLog{on: source.on, box: source.box, role: source.role, mark: markBefore(r.query(source.on.Name), r.begun[source.on.Name]),
			over: !source.box.Running() && source.box.Status != state.StatusRestarting}
		all.Go(func() {
			defer close(lines)
			r.readOne(ctx, source, tails[i], lines)
		})
	}
	mergeLogs(logs, r.tell)
	all.Wait()
	return tails
}

func (r *logReading) readOne(ctx context.Context, source logSource, tail *followedLog, lines chan<- LogLine) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silence := time.AfterFunc(logSilence, func() {
		cancel(&DeadlineError{Call: Call{Host: source.on.Name, Method: "Engine.ReadLog"}, After: logSilence})
	})
	defer silence.Stop()
	err := source.conn.Engine.ReadLog(ctx, source.box.ID, r.query(source.on.Name), func(l state.LogLine) {
		silence.Stop() // whoever shows the lines may take the time
		defer silence.Reset(logSilence)
		tail.took(l)
		if r.matches(l.Text) {
			select {
			case lines <- source.line(l):
			case <-ctx.Done():
			}
		}
	})
	var slow *DeadlineError
	if err == nil || ctx.Err() != nil && !errors.As(context.Cause(ctx), &slow) {
		return
	}
	r.say(LogNote{Host: source.on.Name, Role: source.role, Message: fmt.Sprintf("the log of %s cannot be read: %s", source.box.Name, why(err, source.on.Name)), Missing: true})
	tail.unread = errors.Is(err, state.ErrNoLog)
}
