package reconcile

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// Fleet keeps one connection a host, made at first need and again when it was lost. It is safe for concurrent use.
type Fleet struct {
	connector Connector
	chain     []Interceptor
	silences  silences
	defects   atomic.Pointer[func(*DefectError)] // hears where kamald broke; nil: nobody does
	before    *first                             // what comes before the first host is reached; nil: nothing

	mu      sync.Mutex
	hosts   map[string]*member
	closing context.Context // ends the connecting that is under way
	end     context.CancelFunc
}

// member is one host's connection, made under its own lock so that hosts do not wait for each other.
type member struct {
	one  chan struct{} // holds a token while somebody connects; a waiter can be cancelled
	conn *Connection
	lost *atomic.Bool // of conn; set by calls under way
}

// NewFleet makes a fleet whose every call goes through the chain and has a deadline.
func NewFleet(connector Connector, chain ...Interceptor) *Fleet {
	f := &Fleet{connector: connector, chain: chain, hosts: map[string]*member{}}
	f.closing, f.end = context.WithCancel(context.Background())
	return f
}

// Connection reaches a host, or gives the connection that is there.
func (f *Fleet) Connection(ctx context.Context, host release.Host) (*Connection, error) {
	m := f.member(host.Name)
	select {
	case m.one <- struct{}{}:
		defer func() { <-m.one }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if m.conn != nil && !m.lost.Load() {
		return m.conn, nil
	}
	if m.conn != nil {
		_ = m.conn.Close() // it is lost already
		m.conn = nil
	}
	if err := f.before.done(ctx); err != nil {
		return nil, err
	}
	if err := f.silences.of(host.Name); err != nil {
		return nil, err
	}
	raw, err := f.connect(ctx, host)
	if err != nil {
		err = named(host.Name, "connect", err)
		f.silences.note(ctx, host.Name, err)
		return nil, err
	}
	lost := &atomic.Bool{}
	notice := func(ctx context.Context, call Call, next func(context.Context) error) error {
		err := next(ctx)
		var slow *DeadlineError // one slow call says nothing about the others on the connection
		if errors.Is(err, state.ErrUnreachable) && !errors.As(err, &slow) && !errors.Is(err, ErrPanicked) && ctx.Err() == nil && !call.Bulk && !lasting[call.Method] {
			lost.Store(true) // the next caller makes another
		}
		return err
	}
	m.conn = Intercept(host.Name, raw, append(append([]Interceptor{notice, f.guardCall}, f.chain...), Bound)...)
	m.lost = lost
	return m.conn, nil
}

// lasting calls end with an engine that restarts, too, and the connection stands then, with others' calls on it. Whoever follows asks
// something over it afterwards: that tells a connection that is lost.
var lasting = map[string]bool{"Engine.Events": true, "Engine.ReadLog": true, "Engine.Converse": true, "Engine.RunThrough": true}

// Renew ends a host's connection, so that the next is a new login: what a user is allowed to is decided when it logs in.
func (f *Fleet) Renew(ctx context.Context, host string) error {
	m := f.member(host)
	select {
	case m.one <- struct{}{}:
		defer func() { <-m.one }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if m.conn != nil {
		_ = m.conn.Close() // a login that is over in any case
		m.conn = nil
	}
	return nil
}

// connectLimit is how long it may take to reach a host, whatever the driver bounds itself: an answer that never comes must not
// hold a run, and with it the locks of the other hosts.
const connectLimit = 2 * time.Minute

// connect reaches a host within the limit. The context lives on when it was reached: a driver may keep it with the connection.
func (f *Fleet) connect(ctx context.Context, host release.Host) (*Connection, error) {
	slow := &DeadlineError{Call: Call{Host: host.Name, Method: "Connect"}, After: connectLimit}
	ctx, cancel := context.WithCancelCause(ctx)
	limit := time.AfterFunc(connectLimit, func() { cancel(slow) })
	defer limit.Stop()
	f.mu.Lock()
	closing := f.closing
	f.mu.Unlock()
	defer context.AfterFunc(closing, func() { cancel(errClosed) })()
	var conn *Connection
	err := f.guard(Call{Host: host.Name, Method: "Connect"}, func() (err error) { conn, err = f.connector.Connect(ctx, host); return })
	if err != nil && errors.Is(context.Cause(ctx), slow) {
		return nil, slow
	}
	return conn, err
}

func (f *Fleet) member(name string) *member {
	f.mu.Lock()
	defer f.mu.Unlock()
	m := f.hosts[name]
	if m == nil {
		m = &member{one: make(chan struct{}, 1)}
		f.hosts[name] = m
	}
	return m
}

// errClosed ends what still connects when nobody wants to be connected any more.
var errClosed = errors.New("the connections were closed")

// Close ends every connection, and waits for none that is being made.
func (f *Fleet) Close() error {
	f.mu.Lock()
	f.end()
	f.closing, f.end = context.WithCancel(context.Background())
	members := slices.Collect(maps.Values(f.hosts))
	f.mu.Unlock()
	var errs []error
	for _, m := range members {
		m.one <- struct{}{}
		if m.conn != nil {
			errs = append(errs, m.conn.Close())
			m.conn = nil
		}
		<-m.one
	}
	return errors.Join(errs...)
}
