package reconcile

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"hash/maphash"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// Happening is one thing that whoever watches hosts is told: exactly one of Event, Up and Lost is there.
type Happening struct {
	Host  string
	Event *state.EngineEvent
	// Up tells that the host is followed from now on. What happened before may be known to nobody any more: whoever is told looks at it.
	Up bool
	// Lost is why the host is not followed any more, or could not be from the first. It is tried again until it is Up, and that is told
	// once.
	Lost string
}

const (
	// rewind is how far before a connection its events begin, so that none is missed between a look and them.
	rewind = 3 * time.Second
	// quietFor is how long nothing may be heard of a host before it is asked whether it is there.
	quietFor = time.Minute
	// retryFirst and retryMost are the pauses between attempts to follow a host: they double. steadyFor is how long it must have been
	// followed for them to begin anew.
	retryFirst = 500 * time.Millisecond
	retryMost  = 30 * time.Second
	steadyFor  = time.Minute
	// toldKept is how many events are known to have been told: no engine remembers more.
	toldKept = 256
)

// nobody is a name that no container has: to ask for it is the cheapest question that an engine answers.
const nobody = "kamald-is-there-an-engine"

// Watch follows what happens on hosts, all at once, until ctx ends. heard is called by one goroutine at a time for each host, and
// holds up what comes next from that host alone. No event is told twice, also where a connection was lost and made again.
func (c *Controller) Watch(ctx context.Context, hosts []release.Host, heard func(Happening)) {
	var following branches
	for _, on := range hosts {
		w := &watcher{fleet: c.fleet, on: on, heard: heard, pauses: newRetries(on.Name), seed: maphash.MakeSeed()}
		following.Go(func() { w.follow(ctx) })
	}
	following.Wait()
}

// watcher follows one host.
type watcher struct {
	fleet  *Fleet
	on     release.Host
	heard  func(Happening)
	pauses *retries

	lost  bool         // that is told
	sign  atomic.Int64 // when the host was last heard of, in nanoseconds since 1970
	last  time.Time    // of the newest event that was told, by the engine's clock; at first when it was reached
	seed  maphash.Seed
	told  []uint64       // hashes of the newest events that were told
	again map[uint64]int // those that this connection may bring once more
}

func (w *watcher) follow(ctx context.Context) {
	for {
		began := time.Now()
		err := Guard(func() error { return w.attempt(ctx) })
		w.fleet.tellDefect(err)
		if ctx.Err() != nil {
			return
		}
		if !w.lost {
			w.lost = true
			w.heard(Happening{Host: w.on.Name, Lost: why(err, w.on.Name)})
		}
		if time.Since(began) >= steadyFor {
			w.pauses.begin()
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(w.pauses.next()):
		}
	}
}

// attempt follows the host until that ends, and gives why.
func (w *watcher) attempt(ctx context.Context) error {
	conn, now, err := standing(ctx, w.fleet, w.on)
	if err != nil {
		return err
	}
	if w.last.IsZero() || now.Before(w.last) { // a clock may have been set back
		w.last = now
	}
	since := w.last
	w.lost, w.again = false, map[uint64]int{}
	for _, hash := range w.told {
		w.again[hash]++
	}
	w.heard(Happening{Host: w.on.Name, Up: true})
	return w.stream(ctx, conn, since.Add(-rewind))
}

// standing gives a connection to a host that stands, and the time by the engine's clock: what follows an engine's events, or a log, has
// to ask whether it was the connection that ended them.
func standing(ctx context.Context, fleet *Fleet, on release.Host) (conn *Connection, now time.Time, err error) {
	for range 2 { // a connection that was lost shows it to the first question, and then there is another
		if conn, err = fleet.Connection(ctx, on); err != nil {
			return nil, time.Time{}, err
		}
		info, failed := conn.Engine.Info(ctx)
		if failed == nil {
			return conn, info.Clock, nil
		}
		var slow *DeadlineError
		if err = failed; !errors.Is(err, state.ErrUnreachable) || errors.As(err, &slow) {
			break
		}
	}
	return nil, time.Time{}, err
}

// stream tells events until they end. A connection over which nothing comes any more does not end by itself.
func (w *watcher) stream(ctx context.Context, conn *Connection, since time.Time) error {
	ctx, end := context.WithCancelCause(ctx)
	var asking branches
	w.sign.Store(time.Now().UnixNano())
	asking.Go(func() {
		if err := Guard(func() error { w.ask(ctx, conn, end); return nil }); err != nil {
			end(err)
		}
	})
	err := Guard(func() error { return conn.Engine.Events(ctx, since, w.tell) })
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	end(nil)
	asking.Wait()
	if err == nil {
		err = errors.New("the engine's events ended")
	}
	return err
}

// ask asks the engine for a sign of life whenever it was not heard of for a while, and ends the stream when none comes.
func (w *watcher) ask(ctx context.Context, conn *Connection, end context.CancelCauseFunc) {
	for {
		quiet := time.Since(time.Unix(0, w.sign.Load()))
		select {
		case <-ctx.Done():
			return
		case <-time.After(quietFor - quiet):
		}
		if time.Since(time.Unix(0, w.sign.Load())) < quietFor {
			continue
		}
		_, err := conn.Engine.Containers(ctx, state.Filter{Name: nobody})
		switch {
		case ctx.Err() != nil:
			return
		case errors.Is(err, state.ErrUnreachable):
			end(fmt.Errorf("it fell silent: %w", err))
			return
		}
		w.sign.Store(time.Now().UnixNano())
	}
}

// tell tells an event, unless an earlier connection has brought it already.
func (w *watcher) tell(e state.EngineEvent) {
	w.sign.Store(time.Now().UnixNano())
	e.At = e.At.Round(0).UTC()
	hash := maphash.Comparable(w.seed, e)
	if w.again[hash] > 0 {
		w.again[hash]--
		return
	}
	w.last = e.At
	if w.told = append(w.told, hash); len(w.told) >= 2*toldKept {
		w.told = append(w.told[:0], w.told[len(w.told)-toldKept:]...)
	}
	w.heard(Happening{Host: w.on.Name, Event: &e})
}

// retries are the pauses before a host is tried again: longer each time, and others for each host, so that a fleet does not come back
// at one instant. They are the same in every run.
type retries struct {
	policy *backoff.ExponentialBackOff
	host   string
	count  int
}

func newRetries(host string) *retries {
	policy := backoff.NewExponentialBackOff()
	policy.InitialInterval, policy.MaxInterval, policy.Multiplier, policy.RandomizationFactor = retryFirst, retryMost, 2, 0
	r := &retries{policy: policy, host: host}
	r.begin()
	return r
}

// begin has the next pause be a short one.
func (r *retries) begin() { r.policy.Reset() }

// next is between a half and the whole of what is due.
func (r *retries) next() time.Duration {
	half := r.policy.NextBackOff() / 2
	r.count++
	hash := fnv.New64a()
	_, _ = fmt.Fprint(hash, r.host, " ", r.count) // it never fails
	return half + time.Duration(hash.Sum64()%uint64(half+1))
}
