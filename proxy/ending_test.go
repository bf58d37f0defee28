package proxy

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"
)

func TestAnEndingServerAsksClientsToGoInsteadOfClosingTheirConnections(t *testing.T) {
	f := startProxy(t)
	target, arrived, finish := heldBackend(t, "/slow", "ok")
	f.deploy(deployRequest("app", target, "app.test"))
	slow, idle := dialRaw(t, f.address()), dialRaw(t, f.address())
	if resp := idle.get(t, "/"); resp.Close {
		t.Error("an answer says `Connection: close` although the server goes on")
	}
	answered := make(chan *http.Response, 1)
	go func() { answered <- slow.get(t, "/slow") }()
	receive(t, "the slow request", arrived)

	ended := make(chan error, 1)
	go func() { ended <- f.end(patience, patience, true) }()
	eventually(t, "the server ends", func() bool { return f.clients.ending.Load() })
	// Idle for a while by now, and still served.
	if resp := idle.get(t, "/"); !resp.Close || resp.StatusCode != http.StatusOK {
		t.Errorf("the kept connection got %d, close %v", resp.StatusCode, resp.Close)
	}
	close(finish)
	if resp := receive(t, "the slow answer", answered); !resp.Close || resp.StatusCode != http.StatusOK {
		t.Errorf("the request in flight got %d, close %v", resp.StatusCode, resp.Close)
	}
	if err := receive(t, "the end", ended); err != nil {
		t.Error(err)
	}
}

func TestAnEndingServerClosesConnectionsThatNobodyUsesAfterTheGrace(t *testing.T) {
	f := startProxy(t)
	f.deploy(deployRequest("app", backend(t, says("ok")), "app.test"))
	idle := dialRaw(t, f.address())
	idle.get(t, "/")
	const grace = 300 * time.Millisecond
	began := time.Now()
	if err := f.end(grace, patience, true); err != nil {
		t.Error(err)
	}
	if _, err := idle.r.ReadByte(); err != io.EOF {
		t.Errorf("the idle connection says %v", err)
	}
	if took := time.Since(began); took < grace {
		t.Errorf("it was closed after %s", took)
	}
}

// raw is one connection of a client that never asks twice.
type raw struct {
	conn net.Conn
	r    *bufio.Reader
	mu   sync.Mutex
}

func dialRaw(t *testing.T, address string) *raw {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(2 * patience))
	return &raw{conn: conn, r: bufio.NewReader(conn)}
}

func (c *raw) get(t *testing.T, path string) *http.Response {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	fmt.Fprintf(c.conn, "GET %s HTTP/1.1\r\nHost: app.test\r\n\r\n", path)
	resp, err := http.ReadResponse(c.r, nil)
	if err != nil {
		t.Errorf("%s: %v", path, err)
		return &http.Response{}
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp
}
