package proxy

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httputil"
	"sync"
	"sync/atomic"
	"time"
)

const (
	dialTimeout = 10 * time.Second
	// idleTimeout is shorter than the shortest keep-alive time of common app servers (5 s), so that a request that
	// cannot be sent twice does not meet a connection which the app is just closing.
	idleTimeout   = 4 * time.Second
	idlePerTarget = 256
)

// errDrained is why a request is cut: its target was drained and the time for that ran out.
var errDrained = errors.New("the target was drained before the request finished")

// target is one address that answers requests of a service, with the requests in flight on it.
type target struct {
	name      string // as given by the user
	address   string // host:port to dial
	options   TargetOptions
	transport *http.Transport
	proxy     *httputil.ReverseProxy
	pool      *pool
	reader    bool // gets only requests that read
	health

	leased   sync.Mutex
	inflight map[*lease]struct{}
	count    atomic.Int64 // of inflight, to be read without the lock
}

// lease is one request in flight on a target. It must be released.
type lease struct {
	target *target
	cut    context.CancelCauseFunc
	done   chan struct{}
}

// newTarget expects a name that targetAddress accepts.
func newTarget(name string, options TargetOptions) (*target, error) {
	address, err := targetAddress(name)
	if err != nil {
		return nil, err
	}
	dialer := &net.Dialer{Timeout: dialTimeout, KeepAlive: 15 * time.Second}
	t := &target{name: name, address: address, options: options, inflight: map[*lease]struct{}{}}
	t.transport = &http.Transport{
		DialContext:           dialTarget(dialer),
		DisableCompression:    true,
		MaxIdleConnsPerHost:   idlePerTarget,
		IdleConnTimeout:       idleTimeout,
		ResponseHeaderTimeout: options.ResponseTimeout,
		ExpectContinueTimeout: expectContinueTimeout,
	}
	t.proxy = newReverseProxy(t)
	return t, nil
}

// begin counts a request in flight. The context it returns ends when the request is cut; the caller holds the lock
// under which this target was chosen.
func (t *target) begin(ctx context.Context) (context.Context, *lease) {
	ctx, cut := context.WithCancelCause(ctx)
	l := &lease{target: t, cut: cut, done: make(chan struct{})}
	t.leased.Lock()
	t.inflight[l] = struct{}{}
	t.leased.Unlock()
	t.count.Add(1)
	return ctx, l
}

// release ends the count of a request. It may be called once.
func (l *lease) release() {
	l.target.leased.Lock()
	delete(l.target.inflight, l)
	l.target.leased.Unlock()
	l.target.count.Add(-1)
	l.cut(nil)
	close(l.done)
}

// load is the number of requests in flight.
func (t *target) load() int64 { return t.count.Load() }

// found sets the health and reports a change of it. With no change it may still report one that had no line yet.
func (t *target) found(err error) {
	changed := t.become(err)
	if unlogged, ok := t.mayLog(time.Now(), changed); ok {
		t.pool.changed(healthReport{target: t, err: err, unlogged: unlogged})
	}
}

// observe learns from how a request went: connections that fail several times in a row take the target out of its
// pool at once, without waiting for the next check. A request with a body says nothing when it breaks off, for the
// client may have broken it.
func (t *target) observe(r *http.Request, failure error) {
	switch {
	case failure == nil:
		if t.failures.Load() != 0 {
			t.failures.Store(0)
		}
	case r.Context().Err() != nil:
	case isDialError(failure), r.ContentLength == 0 && isReset(failure):
		if t.failures.Add(1) >= ejectAfter {
			t.pool.eject(t, failure)
		}
	}
}

// drain waits for the requests that are in flight now, for at most timeout, and then cuts those that are left.
func (t *target) drain(timeout time.Duration) (cut int) {
	leases := t.leases()
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	for _, l := range leases {
		select {
		case <-l.done:
			continue
		default:
		}
		select {
		case <-l.done:
			continue
		case <-timer.C:
			return cutAll(leases)
		}
	}
	return 0
}

func (t *target) leases() []*lease {
	t.leased.Lock()
	defer t.leased.Unlock()
	leases := make([]*lease, 0, len(t.inflight))
	for l := range t.inflight {
		leases = append(leases, l)
	}
	return leases
}

// cutAll ends the leases that are still open and gives their handlers a moment to write the answer.
func cutAll(leases []*lease) (cut int) {
	for _, l := range leases {
		select {
		case <-l.done:
		default:
			cut++
			l.cut(errDrained)
		}
	}
	timer := time.NewTimer(2 * time.Second)
	defer timer.Stop()
	for _, l := range leases {
		select {
		case <-l.done:
		case <-timer.C:
			return cut
		}
	}
	return cut
}
