package proxy

import (
	"net/http"
	"strings"
	"testing"
)

func TestAfterABodyThatAnAppDidNotReadNoRequestIsFoundInIt(t *testing.T) {
	app := &witness{}
	f := startProxy(t)
	f.deploy(deployRequest("app", backend(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost { // an early answer
			app.mu.Lock()
			app.seen = append(app.seen, "POST "+r.RequestURI)
			app.mu.Unlock()
			_, _ = w.Write([]byte("fine"))
			http.NewResponseController(w).Flush()
			return
		}
		app.handle(w, r)
	}), "app.test"))
	const hidden = "GET /hidden HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\n\r\n"
	for name, text := range map[string]string{
		"a bad chunk":              "POST / HTTP/1.1\r\nHost: app.test\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n" + hidden,
		"a bad chunk after a good": "POST / HTTP/1.1\r\nHost: app.test\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\nZZ\r\n" + hidden,
		"a body never asked for":   "POST / HTTP/1.1\r\nHost: app.test\r\nExpect: 100-continue\r\nContent-Length: 20\r\n\r\n" + hidden,
	} {
		app.forget()
		f.raw(text)
		for _, one := range app.all() {
			if strings.HasPrefix(one, "GET") {
				t.Errorf("%s: the app saw %q", name, one)
			}
		}
	}
}
