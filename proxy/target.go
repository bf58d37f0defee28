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
	healthy   atomic.Bool

	mu       sync.Mutex
	inflight map[*lease]struct{}
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
		DialContext:           dialer.DialContext,
		DisableCompression:    true,
		MaxIdleConnsPerHost:   idlePerTarget,
		IdleConnTimeout:       idleTimeout,
		ResponseHeaderTimeout: options.ResponseTimeout,
		ExpectContinueTimeout: time.Second,
	}
	t.proxy = newReverseProxy(t)
	return t, nil
}

// begin counts a request in flight. The context it returns ends when the request is cut; the caller holds the lock
// under which this target was chosen.
func (t *target) begin(ctx context.Context) (context.Context, *lease) {
	ctx, cut := context.WithCancelCause(ctx)
	l := &lease{target: t, cut: cut, done: make(chan struct{})}
	t.mu.Lock()
	t.inflight[l] = struct{}{}
	t.mu.Unlock()
	return ctx, l
}

// release ends the count of a request. It may be called once.
func (l *lease) release() {
	l.target.mu.Lock()
	delete(l.target.inflight, l)
	l.target.mu.Unlock()
	l.cut(nil)
	close(l.done)
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
	t.mu.Lock()
	defer t.mu.Unlock()
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
