package contract

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"sync/atomic"
)

// app is an application behind the proxy: it answers its health check well unless health says otherwise, and everything else by
// handle.
type app struct {
	address string
	handle  http.HandlerFunc
	server  *httptest.Server
	probed  atomic.Int64 // health checks
	asked   atomic.Int64 // other requests

	mu     sync.Mutex
	health http.HandlerFunc
	probes []*http.Request
}

// app starts an application that ends with the test.
func (p *proxy) app(handle http.HandlerFunc) *app {
	p.t.Helper()
	return p.appAt("0", handle)
}

// appAt starts an application at a port.
func (p *proxy) appAt(port string, handle http.HandlerFunc) *app {
	p.t.Helper()
	ln, err := net.Listen("tcp", net.JoinHostPort(p.host.appIP(), port))
	if err != nil {
		p.t.Fatal(err)
	}
	a := &app{address: ln.Addr().String(), handle: handle}
	a.server = httptest.NewUnstartedServer(a)
	_ = a.server.Listener.Close()
	a.server.Listener = ln
	a.server.Config.ErrorLog = quiet
	a.server.Start()
	p.t.Cleanup(a.end)
	return a
}

// says is an application that answers everything with a text.
func (p *proxy) says(text string) *app {
	p.t.Helper()
	return p.app(saying(text))
}

func saying(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) }
}

// ServeHTTP tells health checks by their user agent, as apps do.
func (a *app) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.UserAgent() != "kamal-proxy" {
		a.asked.Add(1)
		a.handle(w, r)
		return
	}
	a.mu.Lock()
	health := a.health
	a.probes = append(a.probes, r)
	a.mu.Unlock()
	if health != nil {
		health(w, r)
	}
	a.probed.Add(1)
}

// feels sets how the health check is answered.
func (a *app) feels(health http.HandlerFunc) *app {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.health = health
	return a
}

// sick answers the health check with a status.
func sick(status int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }
}

// probe is the latest health check.
func (a *app) probe() *http.Request {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.probes) == 0 {
		return &http.Request{URL: &url.URL{}, Header: http.Header{}}
	}
	return a.probes[len(a.probes)-1]
}

// end takes the application away, with its connections.
func (a *app) end() {
	a.server.CloseClientConnections()
	_ = a.server.Listener.Close()
	go a.server.Close() // it waits for its handlers, some of which wait for the test's end
}

// nobody is an address that nothing listens at.
func (p *proxy) nobody() string {
	p.t.Helper()
	number, err := freePort()
	if err != nil {
		p.t.Fatal(err)
	}
	return net.JoinHostPort(p.host.appIP(), itoa(number))
}

// held is an application whose requests wait until they are let go; each says that it has come.
func (p *proxy) held(text string) (a *app, came chan *http.Request, letGo func()) {
	p.t.Helper()
	came, release := make(chan *http.Request, 100), make(chan struct{})
	letGo = sync.OnceFunc(func() { close(release) })
	p.t.Cleanup(letGo)
	return p.app(func(w http.ResponseWriter, r *http.Request) {
		came <- r
		select {
		case <-release:
		case <-r.Context().Done():
			return
		}
		_, _ = io.WriteString(w, text)
	}), came, letGo
}
