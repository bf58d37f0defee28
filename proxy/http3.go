package proxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
	"golang.org/x/time/rate"
)

// Limits on what an HTTP/3 client controls.
const (
	http3HandshakeTimeout = 10 * time.Second
	// What a client may send ahead of its reader. More than for HTTP/2: a lost packet holds back what has come after it.
	http3StreamBuffer     = 1 << 20
	http3ConnectionBuffer = 3 << 19
	// Beyond this many new connections a second, a client first has to show that its address is its own.
	http3UnverifiedPerSecond = 200
	// http3Advertised is how long a client may remember that there is HTTP/3. A day: one that finds none falls back.
	http3Advertised = 24 * time.Hour
)

// errTooManyConnections is why a client is refused.
var errTooManyConnections = errors.New("there are too many connections")

// http3Listener serves HTTP/3 on one UDP socket with the handler and certificates of the HTTPS server.
type http3Listener struct {
	server        *http3.Server
	transport     *quic.Transport
	listener      *quic.EarlyListener
	conn          net.PacketConn
	advertisement string // value of Alt-Svc
	inflight      atomic.Int64
	open          atomic.Int64 // connections
}

// newHTTP3Listener takes over conn, and closes it when it fails. connections is how many there may be at once. Requests are not taken before the handshake has ended
// (0-RTT): they could be played back by somebody else.
func newHTTP3Listener(conn net.PacketConn, https *http.Server, port, connections int) (*http3Listener, error) {
	_ = os.Setenv("QUIC_GO_DISABLE_RECEIVE_BUFFER_WARNING", "true") // it would stand between the log's lines of JSON
	unverified := rate.NewLimiter(http3UnverifiedPerSecond, http3UnverifiedPerSecond)
	l := &http3Listener{
		conn: conn,
		server: &http3.Server{
			MaxHeaderBytes: https.MaxHeaderBytes,
			IdleTimeout:    https.IdleTimeout,
		},
		transport: &quic.Transport{
			Conn:                conn,
			VerifySourceAddress: func(net.Addr) bool { return !unverified.Allow() },
		},
		advertisement: fmt.Sprintf(`h3=":%d"; ma=%d`, port, int(http3Advertised.Seconds())),
	}
	l.transport.ConnContext = func(ctx context.Context, _ *quic.ClientInfo) (context.Context, error) {
		if l.open.Add(1) > int64(connections) {
			l.open.Add(-1)
			return nil, errTooManyConnections
		}
		context.AfterFunc(ctx, func() { l.open.Add(-1) })
		return ctx, nil
	}
	l.server.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		l.inflight.Add(1)
		defer l.inflight.Add(-1)
		https.Handler.ServeHTTP(w, r)
	})
	ln, err := l.transport.ListenEarly(http3.ConfigureTLSConfig(https.TLSConfig), &quic.Config{
		HandshakeIdleTimeout:  http3HandshakeTimeout,
		MaxIdleTimeout:        https.IdleTimeout,
		MaxIncomingStreams:    maxStreams,
		MaxIncomingUniStreams: 8, // a client needs three: control and two of QPACK

		MaxStreamReceiveWindow:     http3StreamBuffer,
		MaxConnectionReceiveWindow: http3ConnectionBuffer,
	})
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	l.listener = ln
	return l, nil
}

// serve takes connections until the listener is closed.
func (l *http3Listener) serve() error {
	err := l.server.ServeListener(l.listener)
	if errors.Is(err, quic.ErrServerClosed) {
		return http.ErrServerClosed
	}
	return err
}

// end takes no new connection, tells clients that there will be no further request (GOAWAY) and waits for those in flight
// until ctx ends. Clients that are idle are sent away after grace. Handed over, it ends at once: another process reads the
// packets from now on, and a client that is told so comes back there, or over TCP.
func (l *http3Listener) end(ctx context.Context, grace time.Duration, handedOver bool) {
	if handedOver {
		l.close()
		return
	}
	go func() { _ = l.listener.Close() }() // it waits for handshakes under way
	left := make(chan struct{})
	go func() {
		defer close(left)
		_ = l.server.Shutdown(ctx)
	}()
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-left:
		return
	case <-timer.C:
	}
	for l.inflight.Load() > 0 && ctx.Err() == nil {
		time.Sleep(endingPoll)
	}
	_ = l.server.Close()
}

// close tells the clients, then closes the socket, and only then what reads from it: it would wait for a packet else.
func (l *http3Listener) close() {
	_ = l.server.Close()
	_ = l.conn.Close()
	_ = l.transport.Close()
}
