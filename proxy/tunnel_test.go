package proxy

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// socketApp is an app with a websocket that echoes; it tells how each one ended.
func socketApp(t *testing.T) (address string, ended chan error) {
	t.Helper()
	ended = make(chan error, 8)
	return backend(t, func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
		if err != nil {
			return
		}
		defer c.CloseNow()
		c.SetReadLimit(-1)
		for {
			kind, data, err := c.Read(r.Context())
			if err == nil {
				err = c.Write(r.Context(), kind, data)
			}
			if err != nil {
				ended <- err
				return
			}
		}
	}), ended
}

func (f *fixture) websocket(url string, client *http.Client) *websocket.Conn {
	f.t.Helper()
	c, _, err := websocket.Dial(f.t.Context(), url, &websocket.DialOptions{Host: "app.test", HTTPClient: client})
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { _ = c.CloseNow() })
	c.SetReadLimit(-1)
	return c
}

func echoed(t *testing.T, c *websocket.Conn, text string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := c.Write(ctx, websocket.MessageText, []byte(text)); err != nil {
		t.Fatal(err)
	}
	if _, got, err := c.Read(ctx); err != nil || string(got) != text {
		t.Fatalf("echoed %d bytes, %v", len(got), err)
	}
}

func TestAWebsocketIsClosedOnBothSidesWhenTheDrainEnds(t *testing.T) {
	for _, secure := range []bool{false, true} {
		f := startProxy(t)
		app, ended := socketApp(t)
		req := deployRequest("app", app, "app.test")
		url, client := "ws://"+f.address(), http.DefaultClient
		if secure {
			certPath, keyPath, roots := certificateFiles(t, "app.test")
			req.Options.TLSEnabled, req.Options.TLSCertificatePath, req.Options.TLSPrivateKeyPath = true, certPath, keyPath
			url = fmt.Sprintf("wss://127.0.0.1:%d", f.HTTPSPort())
			client = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: "app.test"}}}
		}
		f.deploy(req)
		c := f.websocket(url, client)
		echoed(t, c, "hello")
		echoed(t, c, strings.Repeat("x", 100_000))

		req.Targets, req.DrainTimeout = []string{backend(t, says("new"))}, 50*time.Millisecond
		f.deploy(req)
		var frame websocket.CloseError
		if _, _, err := c.Read(t.Context()); !errors.As(err, &frame) || frame.Code != websocket.StatusGoingAway {
			t.Errorf("TLS %v: the client was told %v, want going away", secure, err)
		}
		if err := receive(t, "the app's end", ended); !errors.As(err, &frame) || frame.Code != websocket.StatusGoingAway {
			t.Errorf("TLS %v: the app was told %v, want going away", secure, err)
		}
	}
}

func TestAWebsocketUnderLoadIsClosedBetweenTwoFrames(t *testing.T) {
	f := startProxy(t)
	message := bytes.Repeat([]byte("0123456789abcdef"), 4000)
	f.deploy(deployRequest("app", backend(t, func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer c.CloseNow()
		for c.Write(r.Context(), websocket.MessageBinary, message) == nil {
		}
	}), "app.test"))
	c := f.websocket("ws://"+f.address(), http.DefaultClient)
	got := make(chan error, 1)
	go func() {
		for {
			_, data, err := c.Read(t.Context())
			if err == nil && !bytes.Equal(data, message) {
				err = errors.New("a message was damaged")
			}
			if err != nil {
				got <- err
				return
			}
		}
	}()
	next := deployRequest("app", backend(t, says("new")), "app.test")
	next.DrainTimeout = 100 * time.Millisecond
	f.deploy(next)
	var frame websocket.CloseError
	if err := receive(t, "the end", got); !errors.As(err, &frame) || frame.Code != websocket.StatusGoingAway {
		t.Errorf("the client was told %v, want going away", err)
	}
}

func TestAWebsocketWhoseClientIsInTheMiddleOfAFrameEndsToo(t *testing.T) {
	f := startProxy(t)
	app, ended := socketApp(t)
	f.deploy(deployRequest("app", app, "app.test"))
	conn, err := net.Dial("tcp", f.address())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: app.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
	r := bufio.NewReader(conn)
	if resp, err := http.ReadResponse(r, nil); err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("%v, %v", resp, err)
	}
	_, _ = conn.Write([]byte{0x82, 0x80 | 100, 0, 0, 0, 0, 'x'}) // 99 bytes of the frame never come
	next := deployRequest("app", backend(t, says("new")), "app.test")
	next.DrainTimeout = 50 * time.Millisecond
	f.deploy(next)
	rest, err := io.ReadAll(r)
	if want := closeFrame(closeGoingAway, false); !bytes.Equal(rest, want) {
		t.Errorf("the client got %x, %v, want %x", rest, err, want)
	}
	receive(t, "the app's end", ended)
}

func TestAnotherProtocolIsHalfClosedSoThatTheAppHasTheLastWord(t *testing.T) {
	f := startProxy(t)
	f.deploy(deployRequest("app", backend(t, func(w http.ResponseWriter, r *http.Request) {
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		_, _ = io.Copy(conn, rw)
		_, _ = io.WriteString(conn, "goodbye")
	}), "app.test"))
	conn, r := f.upgrade("app.test")
	echoes(t, conn, r)
	next := deployRequest("app", backend(t, says("new")), "app.test")
	next.DrainTimeout = 50 * time.Millisecond
	f.deploy(next)
	if rest, err := io.ReadAll(r); string(rest) != "goodbye" || err != nil {
		t.Errorf("the client got %q, %v", rest, err)
	}
}

func TestAClientThatReadsNothingDoesNotHoldTheDrain(t *testing.T) {
	f := startProxy(t)
	f.deploy(deployRequest("app", backend(t, func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer c.CloseNow()
		for c.Write(r.Context(), websocket.MessageBinary, make([]byte, 1<<20)) == nil {
		}
	}), "app.test"))
	f.websocket("ws://"+f.address(), http.DefaultClient)
	next := deployRequest("app", backend(t, says("new")), "app.test")
	next.DrainTimeout = 50 * time.Millisecond
	deployed := make(chan error, 1)
	go func() { deployed <- f.router.Deploy(t.Context(), next) }()
	if err := receive(t, "the deploy", deployed); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the connection is closed", func() bool { return f.limiter.count() == 0 })
}

// frames makes a stream of frames of several sizes, and says where each one ends.
func frames(masked bool) (stream []byte, ends []int) {
	for i, size := range []int{0, 1, 125, 126, 200, 65_535, 65_536, 3} {
		bit := byte(0)
		if masked {
			bit = 0x80
		}
		stream = append(stream, 0x80|byte(1+i%2))
		switch {
		case size < 126:
			stream = append(stream, bit|byte(size))
		case size < 65_536:
			stream = binary.BigEndian.AppendUint16(append(stream, bit|126), uint16(size))
		default:
			stream = binary.BigEndian.AppendUint64(append(stream, bit|127), uint64(size))
		}
		if masked {
			stream = append(stream, 1, 2, 3, 4)
		}
		stream = append(stream, bytes.Repeat([]byte{0x88}, size)...) // a payload that looks like a close frame
		ends = append(ends, len(stream))
	}
	return stream, ends
}

func TestFramesAreFollowedHoweverTheyArriveInPieces(t *testing.T) {
	for _, masked := range []bool{false, true} {
		stream, ends := frames(masked)
		for _, piece := range []int{1, 2, 3, 7, 1000, len(stream)} {
			var s frameScanner
			var found []int
			for at := 0; at < len(stream); {
				part := stream[at:min(at+piece, len(stream))]
				if s.atBoundary() && len(part) > 1 {
					at += s.scan(part[:1], false) // leave the boundary, then stop at the next
					part = part[1:]
				} else if s.atBoundary() {
					at += s.scan(part, false)
					continue
				}
				at += s.scan(part, true)
				if s.atBoundary() {
					found = append(found, at)
				}
			}
			if fmt.Sprint(found) != fmt.Sprint(ends) || s.sawClose {
				t.Errorf("masked %v, pieces of %d: boundaries %v, want %v; close %v", masked, piece, found, ends, s.sawClose)
			}
			s.scan(closeFrame(closeGoingAway, masked), false)
			if !s.sawClose || !s.atBoundary() {
				t.Errorf("masked %v: the close frame was not seen", masked)
			}
		}
	}
}
