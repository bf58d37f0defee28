package reconcile

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/kamald/kamald/release"
)

// Flight is a remote call that is under way.
type Flight struct {
	Call
	Step  string // of a plan; "" when it is of none
	Since time.Time
}

// InFlight knows which remote calls are under way, for whoever asks what is being waited for. It is safe for concurrent use.
type InFlight struct {
	mu    sync.Mutex
	next  int
	calls map[int]Flight
}

// Intercept has a call known while it lasts. It belongs inside of what waits before a call, and outside of what bounds it.
func (f *InFlight) Intercept(ctx context.Context, call Call, next func(context.Context) error) error {
	defer f.begin(ctx, call)()
	return next(ctx)
}

// Connecting has the making of connections known too, which no interceptor sees: as calls of the method "Connect".
func (f *InFlight) Connecting(next Connector) Connector { return watchedConnector{f, next} }

// Calls gives what is under way, the oldest first.
func (f *InFlight) Calls() []Flight {
	f.mu.Lock()
	defer f.mu.Unlock()
	calls := make([]Flight, 0, len(f.calls))
	for _, call := range f.calls {
		calls = append(calls, call)
	}
	slices.SortFunc(calls, func(a, b Flight) int {
		return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.Host, b.Host), cmp.Compare(a.Method, b.Method))
	})
	return calls
}

// begin notes a call, and gives what takes it away again.
func (f *InFlight) begin(ctx context.Context, call Call) func() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.calls == nil {
		f.calls = map[int]Flight{}
	}
	f.next++
	id := f.next
	f.calls[id] = Flight{Call: call, Step: StepOf(ctx), Since: time.Now()}
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.calls, id)
	}
}

type watchedConnector struct {
	inFlight *InFlight
	next     Connector
}

// Connect implements Connector.
func (w watchedConnector) Connect(ctx context.Context, host release.Host) (*Connection, error) {
	defer w.inFlight.begin(ctx, Call{Host: host.Name, Method: "Connect"})()
	return w.next.Connect(ctx, host)
}
