package reconcile

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// startedBefore is how much earlier than its engine tells of it a container may have begun to write.
const startedBefore = 5 * time.Second

// followedLog is a container's log that is followed.
type followedLog struct {
	on   release.Host
	box  state.Container
	role string

	mark  logMark
	first *state.LogQuery // what is asked for as long as no line came; nil: what came since the mark

	unread bool // it cannot be read
	over   bool // its container has ended
	active bool // somebody reads it
	again  bool // it has started anew meanwhile: its end is none
}

// took notes a line that came.
func (t *followedLog) took(l state.LogLine) {
	t.first = nil
	t.mark.took(l)
}

// query is what is asked of it next: what came after what came.
func (t *followedLog) query() state.LogQuery {
	if t.first != nil {
		q := *t.first
		q.Follow = true
		return q
	}
	return state.LogQuery{Since: t.mark.since(), Follow: true}
}

// logFollow follows logs.
type logFollow struct {
	*logReading
	ctx   context.Context
	lines chan LogLine
	all   branches

	seeking context.Context // until the one container has ended, where it was found
	enough  context.CancelFunc

	mu    sync.Mutex
	tails map[string]*followedLog // host/ID
	lost  map[string]bool
}

// follow tells lines as they come, until the context ends, or the one container whose log is followed. It tells whether there was any.
func (r *logReading) follow(ctx context.Context, tails []*followedLog) bool {
	f := &logFollow{logReading: r, ctx: ctx, lines: make(chan LogLine, 64), tails: map[string]*followedLog{}, lost: map[string]bool{}}
	f.seeking, f.enough = context.WithCancel(ctx)
	defer f.enough()
	for _, t := range tails {
		f.tails[t.on.Name+"/"+t.box.ID] = t
	}
	var reading branches
	reading.Go(func() {
		defer close(f.lines)
		if r.watched() {
			r.c.Watch(ctx, hostsOn(r.desired, r.places), f.heard)
		} else {
			for _, t := range tails {
				f.begin(t)
			}
			for _, on := range r.unseen {
				f.all.Go(func() { f.seek(on) })
			}
		}
		f.all.Wait()
	})
	f.pump()
	reading.Wait()
	return len(f.tails) > 0
}

// seek looks for the one container on a host that could not be asked, until it can be.
func (f *logFollow) seek(on release.Host) {
	pauses := newRetries(on.Name)
	for sleep(f.seeking, pauses.next()) == nil {
		sources, err := f.findOn(f.seeking, on)
		if err != nil {
			continue
		}
		for _, s := range sources {
			f.join(s.on, s.box, s.role, f.query(on.Name))
		}
		return
	}
	if f.ctx.Err() == nil {
		f.say(LogNote{Host: on.Name, Message: "its logs were not followed: it could not be asked", Missing: true})
	}
}

// pump puts the lines into order and tells them.
func (f *logFollow) pump() {
	order := reorder{window: logWindow, most: logHeld}
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		pause, held := order.wait(time.Now())
		if !held {
			pause = time.Hour
		}
		timer.Reset(pause)
		select {
		case line, more := <-f.lines:
			if !more {
				f.tellAll(order.rest())
				return
			}
			order.put(line, time.Now())
		case <-timer.C:
		}
		f.tellAll(order.due(time.Now()))
	}
}

func (f *logFollow) tellAll(lines []LogLine) {
	for _, line := range lines {
		f.tell(line)
	}
}

// heard takes what a host's watch hears: a host that is there has its containers looked for, one that starts joins.
func (f *logFollow) heard(what Happening) {
	on, _ := f.desired.Host(what.Host)
	switch {
	case what.Lost != "":
		f.note(on.Name, true, "its logs are not followed: "+what.Lost+". It is tried again")
	case what.Up:
		if err := f.look(on); err != nil {
			return // the watch tells that it is lost
		}
		f.note(on.Name, false, "its logs are followed again")
	case what.Event != nil && what.Event.Kind == state.EngineContainer && what.Event.Action == state.ActionStart:
		e := *what.Event
		box := state.Container{ID: e.Container, Name: e.Name, Service: e.Service, Destination: e.Destination, Role: e.Role}
		if role, ok := f.wants(on, box); ok {
			f.join(on, box, role, state.LogQuery{Since: f.started(on.Name, e.At)})
		}
	}
}

// started is since when a container may have written whose engine tells at a time that it has started. What is older is of an earlier life,
// as a rollback gives it another: nobody has asked for that.
func (f *logFollow) started(host string, told time.Time) time.Time {
	f.logReading.mu.Lock()
	defer f.logReading.mu.Unlock()
	since := told.Add(-startedBefore)
	if begun := f.begun[host]; begun.After(since) {
		return begun
	}
	return since
}

// note says that a host was lost, or is back: once each.
func (f *logFollow) note(host string, lost bool, message string) {
	f.mu.Lock()
	was := f.lost[host]
	f.lost[host] = lost
	f.mu.Unlock()
	if was != lost {
		f.say(LogNote{Host: host, Message: message, Missing: lost})
	}
}

// wants tells whether a container's log is followed, and the role that its lines are of.
func (f *logFollow) wants(on release.Host, box state.Container) (role string, ok bool) {
	if f.o.Proxy {
		return "", box.Name == f.desired.ProxyServer.Name
	}
	for _, role := range rolesAt(f.places, on.Name) {
		if f.mine(box, role) {
			return role, true
		}
	}
	return "", false
}

// look finds the containers that run on a host.
func (f *logFollow) look(on release.Host) error {
	conn, now, err := standing(f.ctx, f.c.fleet, on)
	if err != nil {
		return err
	}
	boxes, err := conn.Engine.Containers(f.ctx, f.filter())
	if err != nil {
		return err
	}
	begun, again := f.met(on.Name, now)
	for _, box := range boxes {
		role, ok := f.wants(on, box)
		if !ok || !box.Running() && box.Status != state.StatusRestarting {
			continue
		}
		first := f.query(on.Name)
		if again { // it has started since, or else it would be known
			first = state.LogQuery{Since: begun}
		}
		f.join(on, box, role, first)
	}
	f.drain(on)
	return nil
}

// drain has the ends read of logs whose containers ended before anybody followed them.
func (f *logFollow) drain(on release.Host) {
	var left []*followedLog
	f.mu.Lock()
	for _, t := range f.tails {
		if t.on.Name == on.Name && !t.over && !t.active {
			left = append(left, t)
		}
	}
	f.mu.Unlock()
	for _, t := range left {
		f.begin(t)
	}
}

// join follows a container's log from where it was left, or, when nothing was told of it, as first says.
func (f *logFollow) join(on release.Host, box state.Container, role string, first state.LogQuery) {
	f.mu.Lock()
	key := on.Name + "/" + box.ID
	t := f.tails[key]
	fresh := t == nil
	if fresh {
		t = &followedLog{on: on, box: box, role: role, mark: markBefore(first, time.Time{}), first: &first}
		f.tails[key] = t
	}
	t.over = false
	f.mu.Unlock()
	if f.begin(t) && fresh {
		f.say(LogNote{Host: on.Name, Role: role, Message: fmt.Sprintf("the log of %s joins", box.Name)})
	}
}

// begin has a log read, unless somebody does.
func (f *logFollow) begin(t *followedLog) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case t.unread:
		return false
	case t.active:
		t.again = true
		return false
	}
	t.active = true
	f.all.Go(func() { f.read(t) })
	return true
}

// read reads a log until its container ends, over as many connections as that takes.
func (f *logFollow) read(t *followedLog) {
	pauses, said := newRetries(t.on.Name+"/"+t.box.ID), false
	for f.ctx.Err() == nil {
		conn, _, err := standing(f.ctx, f.c.fleet, t.on)
		if err == nil {
			err = f.stream(conn, t)
		}
		switch {
		case f.ctx.Err() != nil:
			return
		case err == nil, errors.Is(err, state.ErrNotFound), errors.Is(err, state.ErrNoLog):
			if f.ended(t, err) {
				return
			}
			continue
		case !errors.Is(err, state.ErrUnreachable) && !said: // the watch tells of a host that is lost
			said = true
			f.say(LogNote{Host: t.on.Name, Role: t.role, Message: fmt.Sprintf("the log of %s broke off: %s. It is tried again", t.box.Name, why(err, t.on.Name)), Missing: true})
		}
		_ = sleep(f.ctx, pauses.next())
	}
}

// ended tells whether a log is at its end, and says so.
func (f *logFollow) ended(t *followedLog, err error) bool {
	f.mu.Lock()
	if t.again && err == nil {
		t.again = false
		f.mu.Unlock()
		return false
	}
	t.active, t.again, t.over, t.unread = false, false, true, err != nil
	last := true
	for _, other := range f.tails {
		last = last && (other.over || other.unread)
	}
	f.mu.Unlock()
	if last {
		f.enough()
	}
	message := fmt.Sprintf("%s has ended", t.box.Name)
	if errors.Is(err, state.ErrNoLog) {
		message = fmt.Sprintf("the log of %s cannot be read: %s", t.box.Name, why(err, t.on.Name))
	}
	f.say(LogNote{Host: t.on.Name, Role: t.role, Message: message, Missing: errors.Is(err, state.ErrNoLog)})
	return true
}

// stream tells what one connection brings of a log.
func (f *logFollow) stream(conn *Connection, t *followedLog) error {
	again := t.mark.again()
	source := logSource{on: t.on, box: t.box, role: t.role}
	return conn.Engine.ReadLog(f.ctx, t.box.ID, t.query(), func(l state.LogLine) {
		if again(l) {
			return
		}
		t.took(l)
		if !f.matches(l.Text) {
			return
		}
		select {
		case f.lines <- source.line(l):
		case <-f.ctx.Done():
		}
	})
}
