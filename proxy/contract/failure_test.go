package contract

import (
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
)

// pages makes a directory of error pages.
func (p *proxy) pages(pages map[string]string) string {
	p.t.Helper()
	for name, content := range pages {
		p.file("pages/"+name, content)
	}
	return filepath.Join(p.dir, "pages")
}

var failureRows = []behaviour{
	{name: "a target that cannot be reached is 502", does: "end the app, ask", expects: "502, text/html",
		run: func(p *proxy) {
			a := p.says("v1")
			p.deploy("app", a.address, "")
			a.end()
			equal(p, "the content type", p.wants("app.test", "/", 502, "").header.Get("Content-Type"), "text/html; charset=utf-8")
		}},
	{name: "a target that hangs up is 502", does: "close the connection before an answer", expects: "502",
		run: func(p *proxy) {
			p.deploy("app", p.app(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }).address, "")
			p.check("POST", p.post(strings.NewReader("x")), 502, "")
		}},
	{name: "an answer that breaks off breaks off for the client too", does: "close the connection in the middle of an answer", expects: "the client's read fails",
		run: func(p *proxy) {
			p.deploy("app", p.app(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Length", "100")
				_, _ = io.WriteString(w, "half")
				_ = http.NewResponseController(w).Flush()
				panic(http.ErrAbortHandler)
			}).address, "")
			if a := p.get("app.test", "/"); a.err == nil {
				p.t.Errorf("the client got %d %q as a whole answer", a.status, a.body)
			}
		}},
	{name: "no answer in time is 504", does: "deploy --target-timeout 200ms an app that hangs", expects: "504",
		run: func(p *proxy) {
			a, _, _ := p.held("late")
			p.deploy("app", a.address, "--target-timeout 200ms")
			p.wants("app.test", "/", 504, "")
		}},
	{name: "the timeout is for the header, not for the body", does: "deploy --target-timeout 200ms, answer the header at once and the body later", expects: "200, the whole body",
		run: func(p *proxy) {
			p.deploy("app", p.app(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(200)
				_ = http.NewResponseController(w).Flush()
				for range 4 {
					p.pause()
				}
				_, _ = io.WriteString(w, "late")
			}).address, "--target-timeout 200ms")
			p.wants("app.test", "/", 200, "late")
		}},
	{name: "the app's own errors are passed on", does: "answer 404, 500 and 503", expects: "the app's status and page",
		run: func(p *proxy) {
			p.deploy("app", p.app(func(w http.ResponseWriter, r *http.Request) {
				w.WriteHeader(map[string]int{"/404": 404, "/500": 500, "/503": 503}[r.URL.Path])
				_, _ = io.WriteString(w, "mine")
			}).address, "--error-pages "+p.pages(map[string]string{"404.html": "theirs", "500.html": "theirs", "503.html": "theirs"}))
			for path, status := range map[string]int{"/404": 404, "/500": 500, "/503": 503} {
				p.wants("app.test", path, status, "mine")
			}
		}},
	{name: "an app may have pages for the proxy's errors", does: "deploy --error-pages with 502.html, 503.html, 504.html", expects: "those pages; {{ .Message }} is the stop message",
		run: func(p *proxy) {
			dir := p.pages(map[string]string{"502.html": "my 502", "503.html": "my 503: {{ .Message }}", "504.html": "my 504"})
			a := p.says("v1")
			p.deploy("app", a.address, "--error-pages "+dir)
			a.end()
			p.wants("app.test", "/", 502, "my 502")
			p.ok("stop app --message", "<gone>")
			p.wants("app.test", "/", 503, "my 503: &lt;gone&gt;")
			p.ok("pause app --max-pause 100ms")
			p.wants("app.test", "/", 504, "my 504")
		}},
	{name: "error pages that are not there are refused", does: "deploy --error-pages /nowhere", expects: "exit code 1, the path",
		kamal: "says: unable to load error pages",
		run: func(p *proxy) {
			want := "/nowhere"
			if p.differs() {
				want = "unable to load error pages"
			}
			p.fails("deploy app --error-pages /nowhere --target "+p.says("v1").address, want)
		}},
	{name: "the app learns that a client has gone", does: "close the connection while the app works", expects: "the app's request ends",
		run: func(p *proxy) {
			came, gone := make(chan bool, 1), make(chan bool, 1)
			p.deploy("app", p.app(func(_ http.ResponseWriter, r *http.Request) {
				came <- true
				<-r.Context().Done()
				gone <- true
			}).address, "")
			conn, err := net.Dial("tcp", p.host.address(httpPort))
			if err != nil {
				p.t.Fatal(err)
			}
			_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: app.test\r\n\r\n")
			receive(p, "the request", came)
			_ = conn.Close()
			receive(p, "the request's end", gone)
		}},
	{name: "a request that is none is 400", does: "send nonsense; a request with two hosts", expects: "400, and the connection is closed",
		run: func(p *proxy) {
			p.serve("app", "")
			for _, nonsense := range []string{"nonsense\r\n\r\n", "GET / HTTP/1.1\r\nHost: a.test\r\nHost: b.test\r\n\r\n", "GET / HTTP/1.1\r\n\r\n"} {
				conn := p.dial()
				_, _ = io.WriteString(conn, nonsense)
				got, _ := io.ReadAll(conn)
				if !strings.HasPrefix(string(got), "HTTP/1.1 400 ") {
					p.t.Errorf("%q is answered %.100q", nonsense, got)
				}
			}
		}},
}
