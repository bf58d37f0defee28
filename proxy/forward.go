package proxy

import (
	"io"
	"log"
	"mime"
	"net/http"
	"net/http/httputil"
	"strconv"
	"sync"
	"time"
)

// copyBuffers are shared by all targets.
var copyBuffers = bufferPool{sync.Pool{New: func() any { return new([32 << 10]byte) }}}

type bufferPool struct{ pool sync.Pool }

func (p *bufferPool) Get() []byte  { return p.pool.Get().(*[32 << 10]byte)[:] }
func (p *bufferPool) Put(b []byte) { p.pool.Put((*[32 << 10]byte)(b)) }

// newReverseProxy returns the engine that passes requests to one target.
func newReverseProxy(t *target) *httputil.ReverseProxy {
	return &httputil.ReverseProxy{
		Transport:      t.transport,
		FlushInterval:  -1, // server-sent events and slow downloads are passed on as they come
		BufferPool:     &copyBuffers,
		ErrorLog:       log.New(io.Discard, "", 0), // failures reach our own log through the exchange
		Rewrite:        func(p *httputil.ProxyRequest) { rewriteRequest(p, t) },
		ModifyResponse: func(resp *http.Response) error { return takeResponse(resp, t) },
		ErrorHandler: func(_ http.ResponseWriter, r *http.Request, err error) {
			exchangeOf(r.Context()).failure = err
		},
	}
}

// rewriteRequest makes the target's request from the client's: same host, same escapes, same query, own
// X-Forwarded headers or those of a proxy in front, if they are to be trusted.
func rewriteRequest(p *httputil.ProxyRequest, t *target) {
	x := exchangeOf(p.In.Context())
	p.Out.URL.Scheme, p.Out.URL.Host = "http", t.address
	p.Out.URL.RawQuery = p.In.URL.RawQuery
	p.Out.Host = p.In.Host
	// The server fills this very map when it has read the body's end; a clone of it would stay empty.
	p.Out.Trailer = p.In.Trailer
	if x.dep.options.StripPrefix {
		if path, raw, ok := cutPrefix(p.In.URL, x.prefix); ok {
			p.Out.URL.Path, p.Out.URL.RawPath = path, raw
		}
	}
	if t.options.ForwardHeaders {
		if prior := p.In.Header["X-Forwarded-For"]; len(prior) > 0 {
			p.Out.Header["X-Forwarded-For"] = prior
		}
	}
	p.SetXForwarded()
	if t.options.ForwardHeaders {
		for _, name := range []string{"X-Forwarded-Proto", "X-Forwarded-Host"} {
			if v := p.In.Header.Get(name); v != "" {
				p.Out.Header.Set(name, v)
			}
		}
	}
	if name := x.dep.options.ClientIPHeader; name != "" {
		if ip := p.In.Header.Get(name); ip != "" {
			p.Out.Header.Set("X-Forwarded-For", ip)
		}
	}
	if p.In.Header.Get("X-Request-Start") == "" {
		p.Out.Header.Set("X-Request-Start", "t="+strconv.FormatInt(time.Now().UnixMilli(), 10))
	}
	p.Out.Header.Set("X-Kamal-Target", t.name)
}

// takeResponse looks at the target's answer before it is passed on.
func takeResponse(resp *http.Response, t *target) error {
	x := exchangeOf(resp.Request.Context())
	if resp.StatusCode == http.StatusSwitchingProtocols {
		x.upgraded = true
		return nil
	}
	if len(t.options.LogResponseHeaders) > 0 {
		x.respHead = resp.Header
	}
	if t.options.BufferResponses && !isStream(resp) {
		return bufferResponse(resp, t.options)
	}
	return nil
}

// isStream tells answers that never end by themselves, which buffering would withhold for ever.
func isStream(resp *http.Response) bool {
	media, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	return media == "text/event-stream"
}
