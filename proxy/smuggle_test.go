package proxy

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// witness is an app that remembers what it was asked.
type witness struct {
	mu   sync.Mutex
	seen []string
	head []http.Header
}

func (a *witness) handle(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	a.mu.Lock()
	a.seen = append(a.seen, r.Method+" "+r.RequestURI+" "+r.Host+" "+string(body))
	a.head = append(a.head, r.Header)
	a.mu.Unlock()
	_, _ = io.WriteString(w, "fine")
}

func (a *witness) all() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]string{}, a.seen...)
}

func (a *witness) forget() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.seen, a.head = nil, nil
}

// raw sends bytes as they are on a connection of its own, says that no more come, and returns the answers' status codes.
func (f *fixture) raw(text string) (codes []int) {
	f.t.Helper()
	conn, err := net.Dial("tcp", f.address())
	if err != nil {
		f.t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(conn, text); err != nil {
		f.t.Fatal(err)
	}
	r := bufio.NewReader(conn)
	for {
		// The last request of a text asks for the end of the connection, unless the proxy ends it before.
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			return codes
		}
		codes = append(codes, resp.StatusCode)
		_, _ = io.Copy(io.Discard, resp.Body)
	}
}

const last = "GET /last HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\n\r\n"

// tricks are requests as an attacker would write them. What the target sees is the whole of what it sees: a case in
// which it saw one request more would be a request smuggled past the proxy.
var tricks = []struct {
	name  string
	text  string
	codes string
	seen  []string
}{
	{"a plain request and the next one", "GET /a HTTP/1.1\r\nHost: app.test\r\n\r\n" + last, "[200 200]",
		[]string{"GET /a app.test ", "GET /last app.test "}},
	{"pipelined bodies end where they say", "POST /a HTTP/1.1\r\nHost: app.test\r\nContent-Length: 3\r\n\r\nabc" + last, "[200 200]",
		[]string{"POST /a app.test abc", "GET /last app.test "}},
	{"length and chunks together: the chunks count, and the length reaches nobody",
		"POST /a HTTP/1.1\r\nHost: app.test\r\nContent-Length: 60\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n" + last, "[200 200]",
		[]string{"POST /a app.test abc", "GET /last app.test "}},
	{"length and chunks, the chunks ending early: what follows is a request of its own and goes by the rules",
		"POST /a HTTP/1.1\r\nHost: app.test\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /b HTTP/1.1\r\nHost: other.test\r\n\r\n" + last,
		"[200 404 200]", []string{"POST /a app.test ", "GET /last app.test "}},
	{"two lengths", "POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd" + last, "[400]", nil},
	{"two lengths that are the same", "POST /a HTTP/1.1\r\nHost: app.test\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc" + last, "[200 200]",
		[]string{"POST /a app.test abc", "GET /last app.test "}},
	{"a list of lengths", "POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 3, 3\r\n\r\nabc" + last, "[400]", nil},
	{"a length with a sign", "POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: +3\r\n\r\nabc" + last, "[400]", nil},
	{"a negative length", "POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: -3\r\n\r\nabc" + last, "[400]", nil},
	{"an empty length", "POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: \r\n\r\nabc" + last, "[400]", nil},
	{"an unknown coding", "POST / HTTP/1.1\r\nHost: app.test\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + last, "[501]", nil},
	{"two codings", "POST / HTTP/1.1\r\nHost: app.test\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n" + last, "[501]", nil},
	{"chunked twice", "POST / HTTP/1.1\r\nHost: app.test\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + last, "[501]", nil},
	{"chunked with a parameter", "POST / HTTP/1.1\r\nHost: app.test\r\nTransfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n" + last, "[501]", nil},
	{"a coding with a vertical tab", "POST / HTTP/1.1\r\nHost: app.test\r\nTransfer-Encoding: \vchunked\r\n\r\n0\r\n\r\n" + last, "[400]", nil},
	{"a coding in HTTP/1.0 counts for nothing", "POST /a HTTP/1.0\r\nHost: app.test\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\nabc" + last, "[200]",
		[]string{"POST /a app.test abc"}},
	{"a space before the colon", "POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length : 3\r\n\r\nabc" + last, "[400]", nil},
	{"a space before the coding's colon", "POST / HTTP/1.1\r\nHost: app.test\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + last, "[400]", nil},
	{"a header without a name", "GET / HTTP/1.1\r\nHost: app.test\r\n: x\r\n\r\n" + last, "[400]", nil},
	{"a first header that is a continuation", "GET / HTTP/1.1\r\n X: y\r\nHost: app.test\r\n\r\n" + last, "[400]", nil},
	{"NUL in a header", "GET / HTTP/1.1\r\nHost: app.test\r\nX: a\x00b\r\n\r\n" + last, "[400]", nil},
	{"a bare return in a header", "GET / HTTP/1.1\r\nHost: app.test\r\nX: a\rContent-Length: 5\r\n\r\n" + last, "[400]", nil},
	{"no host", "GET / HTTP/1.1\r\n\r\n" + last, "[400]", nil},
	{"two hosts", "GET / HTTP/1.1\r\nHost: app.test\r\nHost: other.test\r\n\r\n" + last, "[400]", nil},
	{"a host with a path", "GET / HTTP/1.1\r\nHost: app.test/x\r\n\r\n" + last, "[400]", nil},
	{"a host of somebody else", "GET / HTTP/1.1\r\nHost: app.test@other.test\r\n\r\n" + last, "[400]", nil},
	{"an absolute address goes by its own host", "GET http://other.test/x HTTP/1.1\r\nHost: app.test\r\n\r\n" + last, "[404 200]",
		[]string{"GET /last app.test "}},
	{"an absolute address reaches the target as a path", "GET http://app.test/x HTTP/1.1\r\nHost: other.test\r\n\r\n" + last, "[200 200]",
		[]string{"GET /x app.test ", "GET /last app.test "}},
	{"a tunnel", "CONNECT app.test:80 HTTP/1.1\r\nHost: app.test\r\n\r\n" + last, "[405 200]", []string{"GET /last app.test "}},
	{"a method that is none", "G(T / HTTP/1.1\r\nHost: app.test\r\n\r\n" + last, "[400]", nil},
	{"a chunk's size that is none", "POST /bad HTTP/1.1\r\nHost: app.test\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n" + last, "[400]", nil},
	{"a chunk with a sign", "POST /bad HTTP/1.1\r\nHost: app.test\r\nTransfer-Encoding: chunked\r\n\r\n+3\r\nabc\r\n0\r\n\r\n" + last, "[400]", nil},
	{"a chunk longer than it says", "POST /bad HTTP/1.1\r\nHost: app.test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n" + last, "[400]", nil},
	{"a chunk too large for a number", "POST /bad HTTP/1.1\r\nHost: app.test\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nabc\r\n0\r\n\r\n" + last, "[400]", nil},
	{"a chunk's size that goes on and on", "POST /bad HTTP/1.1\r\nHost: app.test\r\nTransfer-Encoding: chunked\r\n\r\n3;" + strings.Repeat("x", 10_000) + "\r\nabc\r\n0\r\n\r\n" + last, "[400]", nil},
	{"chunk extensions are dropped", "POST /a HTTP/1.1\r\nHost: app.test\r\nTransfer-Encoding: chunked\r\n\r\n3;a=\"b\"\r\nabc\r\n0;x\r\n\r\n" + last, "[200 200]",
		[]string{"POST /a app.test abc", "GET /last app.test "}},
	{"a forbidden trailer", "POST /bad HTTP/1.1\r\nHost: app.test\r\nTransfer-Encoding: chunked\r\nTrailer: Content-Length\r\n\r\n0\r\nContent-Length: 5\r\n\r\n" + last, "[400]", nil},
	{"a body of which only a part was announced to have come", "POST /bad HTTP/1.1\r\nHost: app.test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab\r\n0\r\n\r\n" + last, "[400]", nil},
	{"NUL in the path", "GET /a%00b HTTP/1.1\r\nHost: app.test\r\n\r\n" + last, "[400 200]", []string{"GET /last app.test "}},
	{"an address that is too long", "GET /" + strings.Repeat("a", maxURLBytes) + " HTTP/1.1\r\nHost: app.test\r\n\r\n" + last, "[414 200]", []string{"GET /last app.test "}},
	{"too many headers", "GET / HTTP/1.1\r\nHost: app.test\r\n" + strings.Repeat("X: y\r\n", maxHeaders+1) + "\r\n" + last, "[431 200]", []string{"GET /last app.test "}},
	{"too large headers", "GET / HTTP/1.1\r\nHost: app.test\r\nX: " + strings.Repeat("y", maxHeaderBytes+8192) + "\r\n\r\n", "[431]", nil},
	{"an HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "[505]", nil},
	{"HTTP/0.9", "GET /\r\n\r\n", "[400]", nil},
}

func TestNoTrickMakesTheTargetSeeARequestMore(t *testing.T) {
	for _, buffered := range []bool{false, true} {
		f := startProxy(t)
		app := &witness{}
		req := deployRequest("app", backend(t, app.handle), "app.test")
		req.TargetOptions.BufferRequests = buffered
		f.deploy(req)
		for _, c := range tricks {
			t.Run(fmt.Sprintf("%s, buffered %v", c.name, buffered), func(t *testing.T) {
				app.forget()
				codes := f.raw(c.text)
				if fmt.Sprint(codes) != c.codes {
					t.Errorf("answered %v, want %s", codes, c.codes)
				}
				checkSeen(t, app, c.seen)
			})
		}
	}
}

// checkSeen compares what the app saw. A streamed body that turned out bad belongs to a request that had begun; the app
// may see its end at any time.
func checkSeen(t *testing.T, app *witness, want []string) {
	t.Helper()
	var got []string
	for _, one := range app.all() {
		if strings.HasPrefix(one, "POST /bad app.test ") {
			continue
		}
		got = append(got, one)
	}
	if fmt.Sprint(got) != fmt.Sprint(want) && len(got)+len(want) > 0 {
		t.Errorf("the target saw %q, want %q", got, want)
	}
}
