package proxy

import (
	"io"
	"log"
	"mime"
	"net/http"
	"net/http/httputil"
	"sync"
)

// copyBuffer is the bytes of a body that one read and one write move at most.
const copyBuffer = 64 << 10

// copyBuffers are shared by all targets.
var copyBuffers = bufferPool{sync.Pool{New: func() any { return new([copyBuffer]byte) }}}

type bufferPool struct{ pool sync.Pool }

func (p *bufferPool) Get() []byte  { return p.pool.Get().(*[copyBuffer]byte)[:] }
func (p *bufferPool) Put(b []byte) { p.pool.Put((*[copyBuffer]byte)(b)) }

// newReverseProxy returns the engine that passes requests to one target.
func newReverseProxy(t *target) *httputil.ReverseProxy {
	return &httputil.ReverseProxy{
		Transport:      t.transport,
		FlushInterval:  0, // answers of no known length, server-sent events among them, are passed on as they come; others by promptly
		BufferPool:     &copyBuffers,
		ErrorLog:       log.New(io.Discard, "", 0), // failures reach our own log through the exchange
		Rewrite:        func(p *httputil.ProxyRequest) { rewriteRequest(p, t) },
		ModifyResponse: func(resp *http.Response) error { return takeResponse(resp, t) },
		ErrorHandler: func(_ http.ResponseWriter, r *http.Request, err error) {
			exchangeOf(r.Context()).failure = err
		},
	}
}

// rewriteRequest makes the target's request from the client's: same host, same escapes, same query.
func rewriteRequest(p *httputil.ProxyRequest, t *target) {
	x := exchangeOf(p.In.Context())
	p.Out.URL.Scheme, p.Out.URL.Host = "http", t.address
	p.Out.URL.RawQuery = p.In.URL.RawQuery
	p.Out.Host = p.In.Host
	// The server fills this very map when it has read the body's end; a clone of it would stay empty.
	p.Out.Trailer = p.In.Trailer
	dropForeignTrailers(p.Out.Trailer)
	if x.dep.options.StripPrefix {
		if path, raw, ok := cutPrefix(p.In.URL, x.prefix); ok {
			p.Out.URL.Path, p.Out.URL.RawPath = path, raw
		}
	}
	dropUnsafeUpgrade(p.Out.Header, p.In)
	setForwarded(p, x, t)
}

// takeResponse looks at the target's answer before it is passed on.
func takeResponse(resp *http.Response, t *target) error {
	x := exchangeOf(resp.Request.Context())
	if resp.StatusCode == http.StatusSwitchingProtocols {
		if err := checkSwitch(resp, x); err != nil {
			return err
		}
		x.upgraded = true
		x.tunnel = newTunnel(resp, x)
		resp.Body = x.tunnel
		return nil
	}
	x.choice.mark(resp, t, x.dep.options)
	if len(t.options.LogResponseHeaders) > 0 {
		x.respHead = resp.Header
	}
	if t.options.ScopeCookiePaths && x.dep.options.StripPrefix {
		scopeCookies(resp.Header, x.prefix, requestHost(resp.Request.Host))
	}
	if t.options.BufferResponses && !isStream(resp) {
		return bufferResponse(resp, t.options, x.buffers)
	}
	if resp.ContentLength > 0 {
		resp.Body = promptly(resp.Body, x)
	}
	return nil
}

// isStream tells answers that never end by themselves, which buffering would withhold for ever.
func isStream(resp *http.Response) bool {
	media, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	return media == "text/event-stream"
}
