package reconcile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/kamald/kamald/state"
)

// What is sent takes as long as its bytes do; what is bounded is the time in which nothing moves.
const (
	stallLimit  = time.Minute      // until the next bytes are taken
	unpackLimit = 15 * time.Minute // from the last byte to the engine's answer
)

// waits is what an archive on its way waits for.
type waits int32

const (
	forHost   waits = iota // to take the next bytes
	forUnpack              // to answer, having had them all
	forSource              // this machine, to give the next bytes
)

func (w waits) limit() time.Duration {
	switch w {
	case forUnpack:
		return unpackLimit
	case forSource:
		return saveLimit
	}
	return stallLimit
}

// StalledError: what is sent to a host does not go on.
type StalledError struct {
	Sent int64 // bytes until then
	on   waits
}

func (e *StalledError) Error() string {
	switch e.on {
	case forUnpack:
		return fmt.Sprintf("the engine had everything and did not answer within %s: look at its disk and its log", e.on.limit())
	case forSource:
		return fmt.Sprintf("this machine's engine gave nothing more to send for %s, after %d bytes: look at its disk and its log", e.on.limit(), e.Sent)
	}
	return fmt.Sprintf("nothing of what is sent was taken for %s, after %d bytes: look at the line and at the engine", e.on.limit(), e.Sent)
}

// Unwrap makes it the same as a lost connection: whether the engine went on is not known.
func (e *StalledError) Unwrap() error { return state.ErrUnreachable }

// flow is an archive on its way to an engine.
type flow struct {
	from     io.Reader
	throttle func(context.Context, int) error // nil: as fast as it goes
	moved    func(bytes int)                  // nil: nobody asks

	ctx   context.Context
	watch *time.Timer
	sent  atomic.Int64
	on    atomic.Int32 // what it waits for
	over  atomic.Bool  // the call has ended; whoever still reads is not heeded
	torn  atomic.Value // an error: why there was nothing more to read, while the host still took it
}

// chunk is what is read at a time: so much is let through a limit at once.
const chunk = 32 << 10

// load gives an archive to an engine. Unlike other calls it has no limit of its own, but ends when nothing moves any more.
func load(ctx context.Context, to Engine, f *flow) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	f.ctx = ctx
	f.watch = time.AfterFunc(stallLimit, func() { cancel(&StalledError{Sent: f.sent.Load(), on: waits(f.on.Load())}) })
	err := to.Load(ctx, f)
	f.over.Store(true)
	f.watch.Stop()
	if stalled := (*StalledError)(nil); err != nil && errors.As(context.Cause(ctx), &stalled) {
		return stalled
	}
	return err
}

// Read implements io.Reader. While it waits for its share of the line, nobody waits for the host.
func (f *flow) Read(b []byte) (int, error) {
	if f.over.Load() || f.ctx.Err() != nil {
		return 0, context.Canceled
	}
	f.await(forSource)
	n, err := f.from.Read(b[:min(len(b), chunk)])
	f.watch.Stop()
	if n > 0 && f.throttle != nil {
		if late := f.throttle(f.ctx, n); late != nil {
			return 0, late
		}
	}
	f.sent.Add(int64(n))
	if n > 0 && f.moved != nil {
		f.moved(n)
	}
	if err != nil {
		if !errors.Is(err, io.EOF) && f.ctx.Err() == nil {
			f.torn.Store(unread{err})
		}
		f.await(forUnpack)
	} else {
		f.await(forHost)
	}
	return n, err
}

// unread is an error of what was to be sent: in one type, as an atomic.Value wants it.
type unread struct{ error }

// why gives the error of what was to be sent, nil when it was read as far as somebody took it.
func (f *flow) why() error {
	if torn, is := f.torn.Load().(unread); is {
		return torn.error
	}
	return nil
}

// await gives the next thing its time.
func (f *flow) await(what waits) {
	f.on.Store(int32(what))
	f.watch.Reset(what.limit())
}
