package contract

import (
	"context"
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

var quiet = log.New(io.Discard, "", 0)

func itoa(n int) string { return strconv.Itoa(n) }

// answer is a whole answer, or why there was none.
type answer struct {
	status  int
	body    string
	header  http.Header
	trailer http.Header
	proto   string
	err     error
}

// newClient asks the proxy whatever the address says, follows no redirect and asks for no compression. With a TLS configuration
// https:// goes to the HTTPS port.
func (p *proxy) newClient(config *tls.Config) *http.Client {
	return &http.Client{
		Timeout:       2 * patience,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DisableCompression: true, MaxIdleConnsPerHost: 64, TLSClientConfig: config, ForceAttemptHTTP2: config != nil,
			DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
				name := httpPort
				if strings.HasSuffix(address, ":443") {
					name = httpsPort
				}
				return new(net.Dialer).DialContext(ctx, network, p.host.address(name))
			},
		},
	}
}

// request is a request to the proxy for a host.
func (p *proxy) request(method, host, path string, body io.Reader) *http.Request {
	p.t.Helper()
	r, err := http.NewRequest(method, "http://"+host+path, body)
	if err != nil {
		p.t.Fatal(err)
	}
	return r
}

// send returns the whole answer.
func (p *proxy) send(r *http.Request) answer {
	return sendBy(p.client, r)
}

func sendBy(client *http.Client, r *http.Request) answer {
	response, err := client.Do(r)
	if err != nil {
		return answer{err: err}
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return answer{response.StatusCode, string(body), response.Header, response.Trailer, response.Proto, err}
}

// get asks for a path of a host.
func (p *proxy) get(host, path string) answer {
	p.t.Helper()
	return p.send(p.request(http.MethodGet, host, path, nil))
}

// getWith asks with header fields, "Name: value" each.
func (p *proxy) getWith(host, path string, fields ...string) answer {
	p.t.Helper()
	return p.send(withFields(p.request(http.MethodGet, host, path, nil), fields...))
}

func withFields(r *http.Request, fields ...string) *http.Request {
	for _, field := range fields {
		name, value, _ := strings.Cut(field, ": ")
		r.Header.Add(name, value)
	}
	return r
}

// asks sends a request in the background.
func (p *proxy) asks(r *http.Request) <-chan answer {
	got := make(chan answer, 1)
	go func() { got <- p.send(r) }()
	return got
}

// wants asks for a path and wants a status and a text in the body.
func (p *proxy) wants(host, path string, status int, text string) answer {
	p.t.Helper()
	a := p.get(host, path)
	p.check("GET "+host+path, a, status, text)
	return a
}

func (p *proxy) check(what string, a answer, status int, text string) {
	p.t.Helper()
	if a.err != nil || a.status != status || !strings.Contains(a.body, text) {
		p.t.Errorf("%s: %d %.300q %v; want %d with %q", what, a.status, a.body, a.err, status, text)
	}
}

// equal wants two values to be alike.
func equal[T comparable](p *proxy, what string, got, want T) {
	p.t.Helper()
	if got != want {
		p.t.Errorf("%s is %v, want %v", what, got, want)
	}
}

// dial opens a connection to the proxy, for what no client library sends.
func (p *proxy) dial() net.Conn {
	p.t.Helper()
	conn, err := net.Dial("tcp", p.host.address(httpPort))
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(2 * patience)); err != nil {
		p.t.Fatal(err)
	}
	return conn
}
