package proxy

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// traffic is clients that ask without a pause and forgive nothing: unlike the standard library's client they never ask
// twice. A kept connection is used again unless the answer said `Connection: close`.
type traffic struct {
	address string
	app     string // the host of the service
	cancel  context.CancelFunc
	wg      sync.WaitGroup

	total   atomic.Int64
	refused atomic.Int64 // connections
	mu      sync.Mutex
	failed  []error
}

// trafficApp answers what the clients of traffic ask.
func trafficApp(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Upgrade") != "" {
		upgrading(w, r)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	if r.URL.Path == "/slow" {
		time.Sleep(50 * time.Millisecond)
	}
	fmt.Fprintf(w, "ok %d", len(body))
}

func startTraffic(t *testing.T, address, app string) *traffic {
	ctx, cancel := context.WithCancel(t.Context())
	l := &traffic{address: address, app: app, cancel: cancel}
	for range 2 {
		l.run(ctx, func(c *rawClient) error { return c.ask("GET", "/", "", true) })
		l.run(ctx, func(c *rawClient) error { return c.ask("GET", "/", "", false) })
		l.run(ctx, func(c *rawClient) error { return c.ask("GET", "/slow", "", true) })
		l.run(ctx, func(c *rawClient) error { return c.ask("POST", "/", strings.Repeat("u", 50_000), true) })
		l.run(ctx, func(c *rawClient) error { return c.echo() })
	}
	return l
}

func (l *traffic) run(ctx context.Context, ask func(c *rawClient) error) {
	l.wg.Go(func() {
		c := &rawClient{traffic: l}
		defer c.drop()
		for ctx.Err() == nil {
			err := ask(c)
			l.total.Add(1)
			if err != nil {
				c.drop()
				l.mu.Lock()
				l.failed = append(l.failed, err)
				l.mu.Unlock()
			}
			time.Sleep(2 * time.Millisecond)
		}
	})
}

func (l *traffic) end() (total int64, failed []error) {
	l.cancel()
	l.wg.Wait()
	return l.total.Load(), l.failed
}

// rawClient has one connection at a time.
type rawClient struct {
	traffic *traffic
	conn    net.Conn
	r       *bufio.Reader
	uses    int
}

func (c *rawClient) dial() error {
	if c.conn != nil {
		return nil
	}
	conn, err := net.Dial("tcp", c.traffic.address)
	if err != nil {
		c.traffic.refused.Add(1)
		return err
	}
	_ = conn.SetDeadline(time.Now().Add(patience))
	c.conn, c.r, c.uses = conn, bufio.NewReader(conn), 0
	return nil
}

func (c *rawClient) drop() {
	if c.conn != nil {
		_ = c.conn.Close()
		c.conn = nil
	}
}

// ask sends a body in two parts, so that a request lasts a while.
func (c *rawClient) ask(method, path, body string, keep bool) error {
	if err := c.dial(); err != nil {
		return err
	}
	c.uses++
	what := fmt.Sprintf("%s %s, request %d of its connection", method, path, c.uses)
	connection := "keep-alive"
	if !keep {
		connection = "close"
	}
	_, err := fmt.Fprintf(c.conn, "%s %s HTTP/1.1\r\nHost: %s\r\nConnection: %s\r\nContent-Length: %d\r\n\r\n%s",
		method, path, c.traffic.app, connection, len(body), body[:len(body)/2])
	if err == nil && body != "" {
		time.Sleep(5 * time.Millisecond)
		_, err = io.WriteString(c.conn, body[len(body)/2:])
	}
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	resp, err := http.ReadResponse(c.r, nil)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	got, err := io.ReadAll(resp.Body)
	if want := fmt.Sprintf("ok %d", len(body)); err != nil || string(got) != want {
		return fmt.Errorf("%s: %d %q %w, want %q", what, resp.StatusCode, got, err, want)
	}
	if resp.Close || !keep {
		c.drop()
	}
	return nil
}

// echo says a line over an upgraded connection, which may end between two lines: that is a drain's end.
func (c *rawClient) echo() error {
	if c.conn == nil {
		if err := c.dial(); err != nil {
			return err
		}
		fmt.Fprintf(c.conn, "GET / HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n", c.traffic.app)
		resp, err := http.ReadResponse(c.r, nil)
		if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
			return fmt.Errorf("upgrading: %v %w", resp, err)
		}
	}
	if _, err := io.WriteString(c.conn, "hello\n"); err != nil {
		c.drop()
		return nil
	}
	line, err := c.r.ReadString('\n')
	switch {
	case line == "hello\n":
		return nil
	case line == "" && !errors.Is(err, context.DeadlineExceeded):
		c.drop()
		return nil
	}
	return fmt.Errorf("the upgraded connection said %q, %w", line, err)
}

// runHTTP2 asks over HTTP/2 by the standard library's client: a server that ends says by GOAWAY which requests it has not
// begun, and those are asked again.
func (l *traffic) runHTTP2(t *testing.T, port int, host string, roots *x509.CertPool) {
	ctx, cancel := context.WithCancel(t.Context())
	before := l.cancel
	l.cancel = func() { cancel(); before() }
	dial := func(ctx context.Context, network, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, network, net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	}
	client := &http.Client{Timeout: patience, Transport: &http.Transport{
		DialContext: dial, ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: roots},
	}}
	for _, path := range []string{"/", "/slow"} {
		l.run(ctx, func(*rawClient) error {
			resp, err := client.Get("https://" + host + path)
			if err != nil {
				return err
			}
			defer resp.Body.Close()
			got, err := io.ReadAll(resp.Body)
			if err != nil || string(got) != "ok 0" || resp.ProtoMajor != 2 {
				return fmt.Errorf("%s %s: %d %q %w", resp.Proto, path, resp.StatusCode, got, err)
			}
			return nil
		})
	}
}
