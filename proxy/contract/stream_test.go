package contract

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strings"
)

var streamRows = []behaviour{
	{name: "websockets go through", does: "open a websocket, send and receive", expects: "each message comes back",
		run: func(p *proxy) {
			p.deploy("app", p.app(echo).address, "")
			ws := p.websocket("app.test", "/")
			defer ws.CloseNow()
			for range 3 {
				p.echoes(ws)
			}
		}},
	{name: "websockets go through buffering", does: "deploy --buffer-requests --buffer-responses, open a websocket", expects: "each message comes back",
		run: func(p *proxy) {
			p.deploy("app", p.app(echo).address, "--buffer-requests --buffer-responses")
			ws := p.websocket("app.test", "/")
			defer ws.CloseNow()
			p.echoes(ws)
		}},
	{name: "another upgrade goes through", does: "Upgrade: chat/1, then bytes both ways", expects: "101, and the bytes",
		run: func(p *proxy) {
			p.deploy("app", p.app(chat).address, "")
			conn := p.dial()
			fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: app.test\r\nConnection: Upgrade\r\nUpgrade: chat/1\r\n\r\n")
			in := bufio.NewReader(conn)
			response, err := http.ReadResponse(in, nil)
			if err != nil || response.StatusCode != http.StatusSwitchingProtocols {
				p.t.Fatalf("%v %v", response, err)
			}
			fmt.Fprint(conn, "hello\n")
			if line, err := in.ReadString('\n'); line != "you said hello\n" {
				p.t.Errorf("%q %v", line, err)
			}
		}},
	{name: "events are passed on one by one", does: "answer text/event-stream, also with --buffer-responses", expects: "each event arrives before the next is written",
		run: func(p *proxy) {
			for _, flags := range []string{"", "--buffer-responses"} {
				next := make(chan bool)
				p.deploy("app", p.app(func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Content-Type", "text/event-stream")
					for n := range 3 {
						fmt.Fprintf(w, "data: %d\n\n", n)
						_ = http.NewResponseController(w).Flush()
						select {
						case <-next:
						case <-r.Context().Done():
							return
						}
					}
				}).address, flags)
				response, err := p.client.Do(p.request(http.MethodGet, "app.test", "/", nil))
				if err != nil {
					p.t.Fatal(err)
				}
				in := bufio.NewReader(response.Body)
				for n := range 3 {
					line, err := in.ReadString('\n')
					if _, blank := in.ReadString('\n'); line != fmt.Sprintf("data: %d\n", n) || err != nil || blank != nil {
						p.t.Fatalf("event %d is %q, %v", n, line, err)
					}
					next <- true
				}
				_ = response.Body.Close()
			}
		}},
	{name: "trailers of an answer are passed on", does: "answer with a trailer", expects: "the client has its value",
		kamal: "announces it, and drops the value",
		run: func(p *proxy) {
			p.deploy("app", p.app(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Trailer", "X-Sum")
				_, _ = io.WriteString(w, "body")
				w.Header().Set("X-Sum", "42")
			}).address, "")
			want := "42"
			if p.differs() {
				want = ""
			}
			a := p.wants("app.test", "/", 200, "body")
			equal(p, "X-Sum", a.trailer.Get("X-Sum"), want)
		}},
	{name: "trailers of a request are passed on", does: "send a body with a trailer", expects: "the app has its value",
		kamal: "announces it, and drops the value",
		run: func(p *proxy) {
			p.deploy("app", p.app(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				_, _ = io.WriteString(w, "sum="+r.Trailer.Get("X-Sum"))
			}).address, "")
			r := p.request(http.MethodPost, "app.test", "/", chunked(100))
			r.Trailer = http.Header{"X-Sum": {"42"}}
			want := "sum=42"
			if p.differs() {
				want = "sum="
			}
			equal(p, "the app's answer", p.send(r).body, want)
		}},
	{name: "a client may ask before it sends", does: "Expect: 100-continue", expects: "100 Continue, then the answer",
		run: func(p *proxy) {
			p.deploy("app", p.app(counts).address, "")
			conn := p.dial()
			fmt.Fprint(conn, "POST / HTTP/1.1\r\nHost: app.test\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
			in := bufio.NewReader(conn)
			line, err := in.ReadString('\n')
			if !strings.HasPrefix(line, "HTTP/1.1 100 ") {
				p.t.Fatalf("%q %v", line, err)
			}
			_, _ = in.ReadString('\n')
			fmt.Fprint(conn, "hello")
			response, err := http.ReadResponse(in, nil)
			for err == nil && response.StatusCode == http.StatusContinue { // the proxy's own, and the app's
				response, err = http.ReadResponse(in, nil)
			}
			if err != nil {
				p.t.Fatal(err)
			}
			body, _ := io.ReadAll(response.Body)
			if string(body) != "5 bytes <nil>" {
				p.t.Errorf("%d %q", response.StatusCode, body)
			}
		}},
	{name: "an app may answer before it has read", does: "answer 413 without reading the body", expects: "the client has the answer",
		kamal: "may withhold it until the client has sent all",
		run: func(p *proxy) {
			p.deploy("app", p.app(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(413) }).address, "")
			conn := p.dial()
			fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 100000000\r\n\r\nsome")
			if p.differs() {
				return
			}
			response, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil || response.StatusCode != 413 {
				p.t.Errorf("%v %v", response, err)
			}
		}},
	{name: "connections are kept", does: "two requests on one connection", expects: "two answers",
		run: func(p *proxy) {
			p.serve("app", "")
			conn := p.dial()
			in := bufio.NewReader(conn)
			for range 2 {
				fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: app.test\r\n\r\n")
				response, err := http.ReadResponse(in, nil)
				if err != nil {
					p.t.Fatal(err)
				}
				if body, _ := io.ReadAll(response.Body); string(body) != "app" || response.Close {
					p.t.Errorf("%d %q, close %v", response.StatusCode, body, response.Close)
				}
			}
		}},
	{name: "every method goes through", does: "GET, POST, PUT, PATCH, DELETE, OPTIONS, PROPFIND", expects: "the app sees it",
		run: func(p *proxy) {
			p.deploy("app", p.app(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Method) }).address, "")
			for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"} {
				equal(p, "the method", p.send(p.request(method, "app.test", "/", nil)).body, method)
			}
		}},
}

// chat upgrades to a protocol of lines.
func chat(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Connection", "Upgrade")
	w.Header().Set("Upgrade", "chat/1")
	w.WriteHeader(http.StatusSwitchingProtocols)
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	for {
		line, err := buffered.ReadString('\n')
		if err != nil {
			return
		}
		fmt.Fprint(conn, "you said "+line)
	}
}
