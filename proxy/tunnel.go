package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// farewell is how long an upgraded connection has for its end when the drain's time is up. A drain waits a little
	// longer than that for what it has cut (cutAll).
	farewell = time.Second
	// farewellGrace is what comes on top before both connections are closed whatever they do.
	farewellGrace = 250 * time.Millisecond
)

// tunnel is the target's side of an upgraded connection. When the drain cuts it, it ends in good order. On a websocket
// both sides get a close frame 1001 between two frames, and a moment to answer it. Of other protocols nothing is
// known: the target is told that no more comes, and what it still says is passed on.
type tunnel struct {
	backend   io.ReadWriteCloser
	conn      net.Conn // that the backend reads and writes
	client    *clientConn
	ctx       context.Context
	websocket bool

	ending atomic.Bool
	until  time.Time // set before ending

	fromTarget frameScanner // belongs to the reader
	said       bool         // a close frame was given to the client; belongs to the reader

	mu         sync.Mutex // guards writing to the target, and what follows
	fromClient frameScanner
	told       bool // the target was told that no more comes

	clientDone chan struct{} // closed when the client has said its last
	doneOnce   sync.Once
	endOnce    sync.Once
	shutOnce   sync.Once
}

// checkSwitch refuses an answer 101 to what was not asked, or without the headers that make it one (RFC 9110, section 7.8):
// there is no connection behind it.
func checkSwitch(resp *http.Response, x *exchange) error {
	asked, got := resp.Request.Header.Get("Upgrade"), resp.Header.Get("Upgrade")
	if _, ok := resp.Body.(io.ReadWriteCloser); !ok || x.conn == nil || !strings.EqualFold(asked, got) {
		return fmt.Errorf("the target switched to protocol %q where %q was asked for", got, asked)
	}
	return nil
}

// newTunnel takes over the body of an answer 101. The connection below it is needed to wake a reader that waits.
func newTunnel(resp *http.Response, x *exchange) *tunnel {
	t := &tunnel{conn: x.conn, client: x.client, ctx: resp.Request.Context(), clientDone: make(chan struct{})}
	t.backend, _ = resp.Body.(io.ReadWriteCloser) // checkSwitch has seen it
	t.websocket = strings.EqualFold(resp.Header.Get("Upgrade"), "websocket")
	return t
}

// Read gives what the target says, and at the end of the drain the proxy's own farewell.
func (t *tunnel) Read(p []byte) (int, error) {
	for {
		if t.said || t.websocket && t.ending.Load() && t.fromTarget.sawClose && t.fromTarget.atBoundary() {
			return 0, t.takeLeave()
		}
		if t.websocket && t.ending.Load() && t.fromTarget.atBoundary() {
			t.said = true
			return copy(p, closeFrame(closeGoingAway, false)), nil
		}
		n, err := t.backend.Read(p)
		if t.websocket {
			n = t.fromTarget.scan(p[:n], t.ending.Load())
		}
		switch {
		case n > 0:
			return n, nil
		case err == nil:
		case errors.Is(err, os.ErrDeadlineExceeded) && t.ending.Load() && time.Now().Before(t.until):
			_ = t.conn.SetReadDeadline(t.until)
		default:
			return 0, err
		}
	}
}

// Write passes on what the client says, up to the frame in which the end falls; what comes after it reaches nobody.
func (t *tunnel) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	ending := t.ending.Load()
	if t.told {
		t.watchClient(p)
		return len(p), nil
	}
	if !t.websocket {
		return t.backend.Write(p)
	}
	n := t.fromClient.scan(p, ending)
	if written, err := t.backend.Write(p[:n]); err != nil {
		return written, err
	}
	if ending && t.fromClient.atBoundary() {
		t.tellTarget()
		t.watchClient(p[n:])
	}
	return len(p), nil
}

// CloseWrite passes on that the client says no more.
func (t *tunnel) CloseWrite() error {
	t.clientEnded()
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.closeWrite()
}

// Close is called when the request's context ends. A drain's end begins the farewell; anything else is the end.
func (t *tunnel) Close() error {
	if errors.Is(context.Cause(t.ctx), errDrained) && t.conn != nil {
		t.endOnce.Do(t.bidFarewell)
		return nil
	}
	t.shut()
	return nil
}

// shut closes the target's connection. It may be called more than once.
func (t *tunnel) shut() {
	t.shutOnce.Do(func() { _ = t.backend.Close() })
}

// bidFarewell wakes both directions and bounds what they still do.
func (t *tunnel) bidFarewell() {
	t.until = time.Now().Add(farewell)
	t.ending.Store(true)
	time.AfterFunc(farewell+farewellGrace, func() {
		t.shut()
		if t.client != nil {
			_ = t.client.Close()
		}
	})
	_ = t.conn.SetWriteDeadline(t.until)
	t.mu.Lock()
	if !t.websocket || t.fromClient.atBoundary() {
		t.tellTarget()
	}
	t.mu.Unlock()
	_ = t.conn.SetReadDeadline(time.Unix(1, 0))
}

// tellTarget says to the target that no more comes. The lock is held.
func (t *tunnel) tellTarget() {
	if t.told {
		return
	}
	t.told = true
	switch {
	case !t.websocket:
		_ = t.closeWrite()
	case t.fromClient.sawClose:
		t.clientEnded() // and the target knows already
	default:
		_, _ = t.backend.Write(closeFrame(closeGoingAway, true))
	}
}

// watchClient looks for the client's own close frame in what is no longer passed on. The lock is held.
func (t *tunnel) watchClient(p []byte) {
	if !t.websocket {
		return
	}
	t.fromClient.scan(p, false)
	if t.fromClient.sawClose && t.fromClient.atBoundary() {
		t.clientEnded()
	}
}

// takeLeave waits until the target and the client have answered the close frame, or the time is up. Its error ends
// both directions.
func (t *tunnel) takeLeave() error {
	_ = t.conn.SetReadDeadline(t.until)
	rest := copyBuffers.Get()
	defer copyBuffers.Put(rest)
	for !(t.fromTarget.sawClose && t.fromTarget.atBoundary()) {
		n, err := t.backend.Read(rest)
		t.fromTarget.scan(rest[:n], false)
		if err != nil {
			break
		}
	}
	timer := time.NewTimer(time.Until(t.until))
	defer timer.Stop()
	select {
	case <-t.clientDone:
	case <-timer.C:
	}
	return errDrained
}

func (t *tunnel) clientEnded() {
	t.doneOnce.Do(func() { close(t.clientDone) })
}

func (t *tunnel) closeWrite() error {
	err := closeWrite(t.conn)
	if errors.Is(err, errors.ErrUnsupported) {
		return nil // an error would end the other direction too
	}
	return err
}
