package notify

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
)

const (
	queueLimit  = 256       // messages that wait for one receiver
	retryFor    = time.Hour // from the first attempt; then a message is given up
	firstRetry  = 2 * time.Second
	longestWait = 5 * time.Minute // between two attempts, unless the receiver asks for more
	sendLimit   = 30 * time.Second
	flushLimit  = 10 * time.Second // of Close
	knownLimit  = 4096             // IDs that are remembered for one receiver
	onceWithin  = 24 * time.Hour   // a message of the same ID is told once
)

var errClosing = errors.New("the outbox is being closed")

// Receiver is who is told, and of what.
type Receiver struct {
	Name   string   // for errors: "webhook 1"; without the address
	On     []string // kinds; none: all
	Sender Sender
}

// Failed hears of a message that did not reach a receiver and is not tried again. It is called by that receiver's own goroutine.
type Failed func(receiver string, m Message, err error)

// Outbox keeps what is to be told until it is. Each receiver has a queue and a goroutine of its own, and none waits for another.
type Outbox struct {
	lanes  []*lane
	cancel context.CancelCauseFunc // of the waits between attempts
	abort  context.CancelFunc      // of attempts, too
	done   sync.WaitGroup
}

// NewOutbox starts one; it must be closed. failed may be nil.
func NewOutbox(receivers []Receiver, failed Failed) *Outbox {
	if failed == nil {
		failed = func(string, Message, error) {}
	}
	sending, abort := context.WithCancel(context.Background())
	waiting, cancel := context.WithCancelCause(sending)
	o := &Outbox{cancel: cancel, abort: abort}
	for _, r := range receivers {
		l := &lane{Receiver: r, failed: failed, waiting: waiting, sending: sending, wake: make(chan struct{}, 1)}
		o.lanes = append(o.lanes, l)
		o.done.Go(l.work)
	}
	return o
}

// Tell has every receiver told that wants to be, and returns at once. A queue that is full loses its oldest message, which the next one
// that gets through says. After Close nothing is told any more.
func (o *Outbox) Tell(m Message) {
	m.Details, m.Lost = slices.Clone(m.Details), 0
	for _, l := range o.lanes {
		if len(l.On) == 0 || slices.Contains(l.On, m.Kind) {
			l.put(m, time.Now())
		}
	}
}

// Close gives what still waits one more attempt each, within 10 seconds, and ends. The error says how many were not told.
func (o *Outbox) Close() error {
	for _, l := range o.lanes {
		l.close()
	}
	o.cancel(errClosing)
	limit := time.AfterFunc(flushLimit, o.abort)
	defer limit.Stop()
	o.done.Wait()
	o.abort()
	var errs []error
	for _, l := range o.lanes {
		if l.left > 0 {
			errs = append(errs, fmt.Errorf("%s: messages that were not told before the end: %d", l.Name, l.left))
		}
	}
	return errors.Join(errs...)
}

// lane is the way to one receiver.
type lane struct {
	Receiver
	failed           Failed
	waiting, sending context.Context //nolint:containedctx // they live as long as the outbox
	wake             chan struct{}

	mu     sync.Mutex
	queue  []Message
	known  []told // the oldest first, within the day
	lost   int    // since the last that got through
	left   int    // not told before the end
	closed bool
}

// told is a message that is known.
type told struct {
	id string
	at time.Time
}

func (l *lane) put(m Message, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.known) > 0 && (now.Sub(l.known[0].at) >= onceWithin || len(l.known) > knownLimit) {
		l.known = l.known[1:]
	}
	if l.closed || m.ID != "" && slices.ContainsFunc(l.known, func(t told) bool { return t.id == m.ID }) {
		return
	}
	if m.ID != "" {
		l.known = append(l.known, told{m.ID, now})
	}
	if len(l.queue) == queueLimit {
		oldest := l.queue[0]
		l.queue = l.queue[1:]
		l.lost++
		l.known = slices.DeleteFunc(l.known, func(t told) bool { return oldest.ID != "" && t.id == oldest.ID }) // it was not told
	}
	l.queue = append(l.queue, m)
	select {
	case l.wake <- struct{}{}:
	default: // it is awake
	}
}

// next gives the oldest that waits; false when the lane is closed and empty.
func (l *lane) next() (Message, bool) {
	for {
		l.mu.Lock()
		if len(l.queue) > 0 {
			m := l.queue[0]
			l.queue = l.queue[1:]
			m.Lost = l.lost
			l.mu.Unlock()
			return m, true
		}
		closed := l.closed
		l.mu.Unlock()
		if closed {
			return Message{}, false
		}
		<-l.wake
	}
}

func (l *lane) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed {
		l.closed = true
		select {
		case l.wake <- struct{}{}:
		default:
		}
	}
}

// work tells one message after the other, so that they arrive in their order.
func (l *lane) work() {
	for m, ok := l.next(); ok; m, ok = l.next() {
		err := l.tell(m)
		ended := l.sending.Err() != nil
		l.mu.Lock()
		switch {
		case err == nil:
			l.lost -= m.Lost // what was lost meanwhile is said by the next
		case ended || errors.Is(err, errClosing):
			l.left++
		default:
			l.lost++
		}
		l.mu.Unlock()
		if err != nil {
			l.failed(l.Name, m, err)
		}
	}
}

// tell tries until the message is told, the receiver does not want it, or an hour has passed. When the outbox is closed, one more
// attempt is made at once.
func (l *lane) tell(m Message) error {
	if l.waiting.Err() != nil {
		return l.lastly(m)
	}
	steps := backoff.NewExponentialBackOff()
	steps.InitialInterval, steps.MaxInterval = firstRetry, longestWait
	_, err := backoff.Retry(l.waiting, func() (struct{}, error) { return struct{}{}, l.attempt(m) },
		backoff.WithBackOff(steps), backoff.WithMaxElapsedTime(retryFor))
	if errors.Is(err, errClosing) {
		return l.lastly(m)
	}
	return err
}

func (l *lane) lastly(m Message) error {
	if err := l.attempt(m); err != nil {
		return fmt.Errorf("%w: %w", errClosing, err)
	}
	return nil
}

func (l *lane) attempt(m Message) error {
	ctx, cancel := context.WithTimeout(l.sending, sendLimit)
	defer cancel()
	return l.Sender.Send(ctx, m)
}
