package proxy

import (
	"context"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"time"
)

// exchange is what the parts of the way of one request tell each other; also the source of its log line.
type exchange struct {
	started   time.Time
	requestID string
	client    *clientConn
	dep       *deployment
	service   string
	side      string // sideActive or sideRollout, empty when no target was asked
	sides     *sides // of the rollout that side is one of
	choice    selection
	target    string
	prefix    string      // matched path prefix
	remote    string      // the client's address, as far as it is to be believed; set when a target is asked
	respHead  http.Header // the target's answer
	upgraded  bool
	cut       atomic.Bool // the drain's time was up
	tunnel    *tunnel
	trace     httptrace.ClientTrace // sets conn
	conn      net.Conn              // to the target
	answer    *recorder
	buffers   *budget
	failure   error  // why the target gave no answer
	status    int    // what the log says instead of what was written
	outcome   string // why the exchange did not come to its own end, empty when it did
}

// What the log says of an exchange that did not come to its own end.
const (
	outcomeClientGone    = "client gone"    // it did not wait for the answer
	outcomeClientStalled = "client stalled" // it took or sent nothing for too long
	outcomeCut           = "cut"            // the drain's time was up
	outcomeBroken        = "broken off"     // the target's answer ended early
	outcomePanic         = "panic"
)

// pages returns the service's error pages, nil as long as no service is known.
func (x *exchange) pages() *errorPages {
	if x.dep == nil {
		return nil
	}
	return x.dep.pages
}

type exchangeKey struct{}

// attach returns a context in which the parts of the request's way find the exchange, and it the connection to the target.
func (x *exchange) attach(ctx context.Context) context.Context {
	x.trace.GotConn, x.trace.PutIdleConn = x.gotConn, x.idleConn
	return httptrace.WithClientTrace(context.WithValue(ctx, exchangeKey{}, x), &x.trace)
}

func (x *exchange) gotConn(info httptrace.GotConnInfo) { x.conn = info.Conn }

// idleConn is called when an answer was read to its end, before the transport waits for the next one.
func (x *exchange) idleConn(error) {
	if c, ok := x.conn.(*targetConn); ok {
		c.body.Store(nil)
	}
}

func exchangeOf(ctx context.Context) *exchange {
	return ctx.Value(exchangeKey{}).(*exchange)
}
