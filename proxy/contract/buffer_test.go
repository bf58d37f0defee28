package contract

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// counts is an app that says how many bytes it was sent.
func counts(w http.ResponseWriter, r *http.Request) {
	n, err := io.Copy(io.Discard, r.Body)
	fmt.Fprintf(w, "%d bytes %v", n, err)
}

// large answers with as many bytes as the query says.
func large(w http.ResponseWriter, r *http.Request) {
	var n int
	_, _ = fmt.Sscan(r.URL.Query().Get("n"), &n)
	_, _ = io.WriteString(w, strings.Repeat("x", n))
}

func (p *proxy) post(body io.Reader) answer {
	p.t.Helper()
	return p.send(p.request(http.MethodPost, "app.test", "/", body))
}

// chunked hides a body's length.
func chunked(n int) io.Reader {
	return io.MultiReader(strings.NewReader(strings.Repeat("x", n)))
}

const mib = 1 << 20

var bufferRows = []behaviour{
	{name: "bodies of any size go through", does: "POST 8 MiB and get 8 MiB, with and without buffering", expects: "all bytes",
		run: func(p *proxy) {
			for _, flags := range []string{"", "--buffer-requests --buffer-responses", "--buffer-requests --buffer-responses --buffer-memory 1000"} {
				p.deploy("app", p.app(counts).address, flags)
				p.check("POST", p.post(strings.NewReader(strings.Repeat("x", 8*mib))), 200, "8388608 bytes <nil>")
				p.check("POST in chunks", p.post(chunked(8*mib)), 200, "8388608 bytes <nil>")
				p.deploy("app", p.app(large).address, flags)
				equal(p, "the answer's size", len(p.get("app.test", "/?n=8388608").body), 8*mib)
			}
		}},
	{name: "a buffered request reaches the app when it is whole", does: "deploy --buffer-requests, send half a body, then the rest", expects: "the app is asked after the rest",
		run: func(p *proxy) {
			a := p.app(counts)
			p.deploy("app", a.address, "--buffer-requests")
			conn := p.dial()
			fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 10\r\n\r\nhalf.")
			p.pause()
			equal(p, "requests at the app after one half", a.asked.Load(), 0)
			fmt.Fprint(conn, "whole")
			response, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil || response.StatusCode != 200 {
				p.t.Errorf("%v %v", response, err)
			}
		}},
	{name: "an unbuffered request reaches the app at once", does: "send half a body", expects: "the app reads it before the rest comes",
		run: func(p *proxy) {
			half := make(chan string, 1)
			a := p.app(func(_ http.ResponseWriter, r *http.Request) {
				var got [5]byte
				_, _ = io.ReadFull(r.Body, got[:])
				half <- string(got[:])
				_, _ = io.Copy(io.Discard, r.Body)
			})
			p.deploy("app", a.address, "")
			conn := p.dial()
			fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 10\r\n\r\nhalf.")
			equal(p, "what the app has read", receive(p, "the first half", half), "half.")
			fmt.Fprint(conn, "whole")
			if response, err := http.ReadResponse(bufio.NewReader(conn), nil); err != nil || response.StatusCode != 200 {
				p.t.Errorf("%v %v", response, err)
			}
		}},
	{name: "a request over its limit is refused", does: "deploy --buffer-requests --max-request-body 1000; send 1000 and 1001 bytes, in chunks too", expects: "200; 413, and the app is not asked",
		run: func(p *proxy) {
			a := p.app(counts)
			p.deploy("app", a.address, "--buffer-requests --max-request-body 1000")
			p.check("1000 bytes", p.post(strings.NewReader(strings.Repeat("x", 1000))), 200, "1000 bytes")
			p.check("1001 bytes", p.post(strings.NewReader(strings.Repeat("x", 1001))), 413, "")
			p.check("1000 bytes in chunks", p.post(chunked(1000)), 200, "1000 bytes")
			p.check("1001 bytes in chunks", p.post(chunked(1001)), 413, "")
			equal(p, "requests at the app", a.asked.Load(), 2)
		}},
	{name: "an answer over its limit is withheld", does: "deploy --buffer-responses --max-response-body 1000; answer with 1000 and 1001 bytes", expects: "200; 500",
		run: func(p *proxy) {
			p.deploy("app", p.app(large).address, "--buffer-responses --max-response-body 1000")
			p.wants("app.test", "/?n=1000", 200, "xxx")
			p.wants("app.test", "/?n=1001", 500, "")
		}},
	{name: "a buffered answer leaves the app free", does: "deploy --buffer-responses, answer with 8 MiB to a client that does not read", expects: "the app is done",
		run: func(p *proxy) {
			done := make(chan bool, 1)
			a := p.app(func(w http.ResponseWriter, r *http.Request) {
				large(w, r)
				done <- true
			})
			p.deploy("app", a.address, "--buffer-responses")
			fmt.Fprint(p.dial(), "GET /?n=33554432 HTTP/1.1\r\nHost: app.test\r\n\r\n")
			receive(p, "the app's end", done)
		}},
	{name: "an unbuffered answer is passed on as it comes", does: "answer half, wait, answer the rest", expects: "the client has the first half before the rest is written",
		run: func(p *proxy) {
			rest := make(chan bool)
			a := p.app(func(w http.ResponseWriter, _ *http.Request) {
				_, _ = io.WriteString(w, "first")
				_ = http.NewResponseController(w).Flush()
				<-rest
				_, _ = io.WriteString(w, "second")
			})
			p.deploy("app", a.address, "")
			response, err := p.client.Do(p.request(http.MethodGet, "app.test", "/", nil))
			if err != nil {
				p.t.Fatal(err)
			}
			defer response.Body.Close()
			var half [5]byte
			_, err = io.ReadFull(response.Body, half[:])
			close(rest)
			all, restErr := io.ReadAll(response.Body)
			if string(half[:]) != "first" || string(all) != "second" || err != nil || restErr != nil {
				p.t.Errorf("got %q, then %q; %v %v", half, all, err, restErr)
			}
		}},
}
