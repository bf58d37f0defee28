package docker

import (
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// A daemon holds a connection to each of a thousand hosts: what a look has opened on it does not stay until the next.
func TestConnectionsThatNobodyNeedsDoNotStay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var open atomic.Int64
		on := &pipes{conns: make(chan net.Conn), over: make(chan struct{})}
		server := &http.Server{ConnState: func(_ net.Conn, is http.ConnState) {
			switch is {
			case http.StateNew:
				open.Add(1)
			case http.StateClosed:
				open.Add(-1)
			}
		}, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Api-Version", "1.41")
			if strings.HasSuffix(r.URL.Path, "/networks") {
				time.Sleep(time.Millisecond) // so that none is done before the others have begun
			}
			_, _ = io.WriteString(w, "[]")
		})}
		go func() { _ = server.Serve(on) }()
		e := New(on.dial, Options{Host: "web-1"})
		look := func() {
			var all sync.WaitGroup
			for range maxIdle {
				all.Go(func() {
					if _, err := e.Networks(t.Context()); err != nil {
						t.Error(err)
					}
				})
			}
			all.Wait()
		}
		_, _ = e.Info(t.Context()) // finds out the API's version, which the others would wait for at a lock; the answer is no matter
		look()
		look()
		if n := open.Load(); n == 0 || n > maxIdle {
			t.Errorf("between calls that follow each other %d connections are open, want some, and at most %d", n, maxIdle)
		}
		time.Sleep(30 * time.Second)
		if n := open.Load(); n != 0 {
			t.Errorf("%d connections are open half a minute after the last call", n)
		}
		_ = server.Close()
		_ = e.Close()
	})
}
