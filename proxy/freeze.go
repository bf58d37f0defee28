package proxy

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// errHandedOver is why a command is not carried out here: another process keeps the state now.
var errHandedOver = errors.New("the proxy's state is kept by another process now")

// changes counts the commands that may still change the state, and holds new ones back while the state is handed over.
type changes struct {
	mu      sync.Mutex
	running map[*change]struct{}
	held    chan struct{} // not nil while new commands wait; closed when they may look again
	handed  bool
	moved   chan struct{} // closed and renewed whenever a command is through
}

// change is one command that may change the state.
type change struct {
	of      *changes
	what    string
	since   time.Time
	settled sync.Once
	follow  func() // tells other processes that the state has changed
}

type changeKey struct{}

func newChanges() *changes {
	return &changes{running: map[*change]struct{}{}, moved: make(chan struct{})}
}

// settled says that the command in ctx has changed the state and only drains from here on.
func settled(ctx context.Context) {
	if c, ok := ctx.Value(changeKey{}).(*change); ok {
		c.settle()
	}
}

func (c *change) settle() {
	c.settled.Do(func() {
		c.of.mu.Lock()
		delete(c.of.running, c)
		close(c.of.moved)
		c.of.moved = make(chan struct{})
		c.of.mu.Unlock()
		if c.follow != nil {
			c.follow()
		}
	})
}

// begin waits while the state is frozen. It fails when the state has gone to another process meanwhile.
func (c *changes) begin(ctx context.Context, what string) (*change, error) {
	for {
		c.mu.Lock()
		held, handed := c.held, c.handed
		if held == nil && !handed {
			one := &change{of: c, what: what, since: time.Now()}
			c.running[one] = struct{}{}
			c.mu.Unlock()
			return one, nil
		}
		c.mu.Unlock()
		if handed {
			return nil, errHandedOver
		}
		select {
		case <-held:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// freeze holds new commands back and waits until those that run have changed what they will, for as long as limit at
// most. The error names those that have not, and then nothing is held back any more.
func (c *changes) freeze(limit time.Duration) error {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	c.mu.Lock()
	if c.held == nil {
		c.held = make(chan struct{})
	}
	for {
		if len(c.running) == 0 {
			c.mu.Unlock()
			return nil
		}
		moved := c.moved
		c.mu.Unlock()
		select {
		case <-moved:
			c.mu.Lock()
		case <-timer.C:
			defer c.thaw()
			return fmt.Errorf("a command has been running for longer than %s: %s; try again when it is through", limit, c.names())
		}
	}
}

// thaw lets the commands that wait go on.
func (c *changes) thaw() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.held != nil && !c.handed {
		close(c.held)
		c.held = nil
	}
}

// handOver lets the commands that wait, and all that come, fail with errHandedOver.
func (c *changes) handOver() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.handed = true
	if c.held != nil {
		close(c.held)
		c.held = nil
	}
}

func (c *changes) names() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	names := map[string]bool{}
	for one := range c.running {
		names[fmt.Sprintf("%s (%s)", one.what, time.Since(one.since).Round(time.Second))] = true
	}
	return strings.Join(slices.Sorted(maps.Keys(names)), ", ")
}

// guard lets a command begin only while the state is kept here, and passes it on to the process that keeps it else.
func (c *controlServer) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			next.ServeHTTP(w, r)
			return
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxCommand))
		if err != nil {
			reply(w, http.StatusBadRequest, controlError{"reading the command: " + err.Error()})
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		// What most commands have; one without is drained as by default.
		q := gateRequest{DrainTimeout: DefaultDrainTimeout}
		_ = json.Unmarshal(body, &q)
		one, err := c.changes.begin(r.Context(), fmt.Sprintf("%s of service %s", strings.TrimPrefix(r.URL.Path, "/v1/"), q.Service))
		switch {
		case errors.Is(err, errHandedOver):
			c.passOn(w, r)
			return
		case err != nil:
			reply(w, http.StatusServiceUnavailable, controlError{err.Error()})
			return
		}
		defer one.settle() // also of one that panics
		wait := func() {}
		if c.followed != nil {
			one.follow = func() { wait = c.followed(r.Context(), q.DrainTimeout) }
		}
		held := &heldReply{header: http.Header{}}
		next.ServeHTTP(held, r.WithContext(context.WithValue(r.Context(), changeKey{}, one)))
		one.settle()
		wait()
		held.send(w)
	})
}

// passOn sends a command to the process that listens at the socket now.
func (c *controlServer) passOn(w http.ResponseWriter, r *http.Request) {
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: "proxy"})
	proxy.Transport = &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", c.path)
	}}
	proxy.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, err error) {
		reply(w, http.StatusBadGateway, controlError{"passing the command on to the new proxy: " + err.Error()})
	}
	r.ContentLength = -1
	proxy.ServeHTTP(w, r)
}

// heldReply is an answer that waits until the command is through everywhere.
type heldReply struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (h *heldReply) Header() http.Header         { return h.header }
func (h *heldReply) WriteHeader(status int)      { h.status = status }
func (h *heldReply) Write(p []byte) (int, error) { return h.body.Write(p) }

func (h *heldReply) send(w http.ResponseWriter) {
	maps.Copy(w.Header(), h.header)
	if h.status != 0 {
		w.WriteHeader(h.status)
	}
	_, _ = w.Write(h.body.Bytes()) // a caller that went away is its own affair
}
