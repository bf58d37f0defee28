package proxy

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestASlowAnswerOfAKnownLengthIsPassedOnAsItComes(t *testing.T) {
	f := startProxy(t)
	next := make(chan struct{})
	f.deploy(deployRequest("app", backend(t, func(w http.ResponseWriter, r *http.Request) {
		control := http.NewResponseController(w)
		w.Header().Set("Content-Length", "30")
		_ = control.Flush() // the head alone
		for i := range 3 {
			select {
			case <-next: // the client has what came before
			case <-r.Context().Done():
			}
			_, _ = fmt.Fprintf(w, "part %d    ", i)
			_ = control.Flush()
		}
	}), "app.test"))
	resp, err := f.client.Do(f.request(http.MethodGet, "app.test", "/", nil))
	if err != nil {
		t.Fatalf("the head did not come by itself: %v", err)
	}
	defer resp.Body.Close()
	part := make([]byte, 10)
	for i := range 3 {
		next <- struct{}{}
		if _, err := io.ReadFull(resp.Body, part); err != nil || !strings.HasPrefix(string(part), fmt.Sprintf("part %d", i)) {
			t.Fatalf("part %d came as %q: %v", i, part, err)
		}
	}
}

// countedConn counts the writes to a client.
type countedConn struct {
	net.Conn
	writes *atomic.Int64
}

func (c countedConn) Write(p []byte) (int, error) {
	c.writes.Add(1)
	return c.Conn.Write(p)
}

type countedListener struct {
	net.Listener
	writes *atomic.Int64
}

func (l countedListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	return countedConn{conn, l.writes}, err
}

func TestASmallAnswerIsOneWrite(t *testing.T) {
	var writes atomic.Int64
	c := proxyConfig(t)
	c.Listen = func(network, address string) (net.Listener, error) {
		ln, err := net.Listen(network, address)
		return countedListener{ln, &writes}, err
	}
	f := startProxyWith(t, c)
	f.deploy(deployRequest("app", backend(t, says(strings.Repeat("small ", 100))), "app.test"))
	const requests = 20
	for range requests {
		f.expect("app.test", "/", http.StatusOK, "small small")
	}
	if n := writes.Load(); n != requests {
		t.Errorf("%d writes for %d answers", n, requests)
	}
}

func TestWhatCameOfAnAnswerThatBreaksOffReachesTheClient(t *testing.T) {
	f := startProxy(t)
	f.deploy(deployRequest("app", backend(t, func(w http.ResponseWriter, _ *http.Request) {
		conn, out, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		_, _ = out.WriteString("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nthe beginning")
		_ = out.Flush()
		_ = conn.Close()
	}), "app.test"))
	resp, err := f.client.Do(f.request(http.MethodGet, "app.test", "/", nil))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if string(body) != "the beginning" || err != io.ErrUnexpectedEOF {
		t.Errorf("the client has %q, %v", body, err)
	}
}

// A target's connection is used again at once when a body has ended, by a request whose client is another one.
func TestAnswersOverOneConnectionToTheTargetDoNotMeet(t *testing.T) {
	f := startProxy(t)
	f.deploy(deployRequest("app", backend(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, strings.Repeat(r.URL.Query().Get("n"), 3000)) // head and body are two reads for the transport
	}), "app.test"))
	done := make(chan error)
	for client := range 8 {
		go func() { done <- askDigits(f.address(), client) }()
	}
	for range 8 {
		if err := receive(t, "a client's answers", done); err != nil {
			t.Error(err)
		}
	}
}

// askDigits asks for answers of one digit and looks at each of their bytes.
func askDigits(address string, digit int) error {
	conn, err := net.DialTimeout("tcp", address, patience)
	if err != nil {
		return err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	in := bufio.NewReader(conn)
	for range 200 {
		if _, err := fmt.Fprintf(conn, "GET /?n=%d HTTP/1.1\r\nHost: app.test\r\n\r\n", digit); err != nil {
			return err
		}
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			return err
		}
		body, err := io.ReadAll(resp.Body)
		if want := strings.Repeat(fmt.Sprint(digit), 3000); err != nil || string(body) != want {
			return fmt.Errorf("client %d has %d bytes, %.20q: %w", digit, len(body), body, err)
		}
	}
	return nil
}
