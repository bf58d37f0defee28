package proxy

import (
	"net/http"
	"net/textproto"
	"net/url"
	"path"
	"strings"
)

// refusedRequest is why a request is answered by the proxy before any service is asked.
type refusedRequest struct {
	status int
	text   string
}

// examine looks for what no service shall see. The server has refused already what is no HTTP.
func examine(r *http.Request) *refusedRequest {
	switch {
	case r.Method == http.MethodConnect:
		return &refusedRequest{http.StatusMethodNotAllowed, "This is no forward proxy."}
	case r.Method == "PRI": // HTTP/2 without TLS; net/http hands its preface on as a request
		return &refusedRequest{http.StatusHTTPVersionNotSupported, "HTTP/2 is served over HTTPS."}
	case len(r.RequestURI) > maxURLBytes:
		return &refusedRequest{http.StatusRequestURITooLong, "The address is too long."}
	case headerLines(r.Header) > maxHeaders:
		return &refusedRequest{http.StatusRequestHeaderFieldsTooLarge, "The request has too many headers."}
	case strings.IndexByte(r.URL.Path, 0) >= 0:
		return &refusedRequest{http.StatusBadRequest, "The path holds a character that no path may hold."}
	}
	return nil
}

func headerLines(h http.Header) (n int) {
	for _, values := range h {
		n += len(values)
	}
	return n
}

// strays says whether a path with . or .. segments leads to another route once they are resolved: what the target would
// take it for is then not what it was routed by.
func (t routeTable) strays(host string, u *url.URL, found route) bool {
	if !strings.Contains(u.Path, "/.") {
		return false
	}
	clean := path.Clean(u.Path)
	if clean == u.Path {
		return false // names such as /.well-known
	}
	resolved, ok := t.find(host, &url.URL{Path: clean})
	return !ok || resolved != found
}

// foreign are headers that a client must not set for the proxy, or by which one message could be taken for another.
// As a trailer, or written with underscores (which CGI, WSGI and Rack make the same name of), none is passed on.
func foreign(name string) bool {
	if strings.HasPrefix(name, "X-Forwarded-") {
		return true
	}
	switch name {
	case "Forwarded", "X-Real-Ip", "X-Request-Id", "X-Request-Start", "X-Kamal-Target",
		"Host", "Content-Length", "Content-Type", "Content-Encoding", "Content-Range", "Transfer-Encoding", "Connection",
		"Te", "Trailer", "Upgrade", "Authorization", "Cookie", "Set-Cookie", "Cache-Control", "Expect", "Max-Forwards",
		"Pragma", "Range", "Proxy-Authorization", "Proxy-Authenticate", "Www-Authenticate", "Location", "Vary", "Age",
		"Expires", "Date", "Retry-After", "Warning":
		return true
	}
	return false
}

// dropForeignTrailers takes from trailers what must not come after a body (RFC 9110, section 6.5.1).
func dropForeignTrailers(trailer http.Header) {
	for name := range trailer {
		if foreign(http.CanonicalHeaderKey(name)) {
			delete(trailer, name)
		}
	}
}

// dropDisguised takes away headers that an app would read as one of the proxy's own.
func dropDisguised(h http.Header) {
	for name := range h {
		if strings.IndexByte(name, '_') >= 0 && foreign(textproto.CanonicalMIMEHeaderKey(strings.ReplaceAll(name, "_", "-"))) {
			delete(h, name)
		}
	}
}

// dropUnsafeUpgrade takes away the wish for an upgrade that would let a client talk to the target past the proxy's
// rules (h2c), or that is none: in HTTP/1.0. One that Connection does not name is taken away by httputil.
func dropUnsafeUpgrade(h http.Header, r *http.Request) {
	h.Del("Http2-Settings")
	for _, line := range r.Header["Upgrade"] {
		for token := range strings.SplitSeq(line, ",") {
			name, _, _ := strings.Cut(strings.ToLower(strings.TrimSpace(token)), "/")
			if name == "h2c" || name == "h2" || name == "http" || name == "tls" || !r.ProtoAtLeast(1, 1) {
				h.Del("Upgrade")
				h.Del("Connection")
				return
			}
		}
	}
}

// cleanRequestID returns an ID that can stand in any log, empty when the client's cannot.
func cleanRequestID(id string) string {
	if len(id) > maxRequestID {
		return ""
	}
	for _, c := range []byte(id) {
		if ('a' > c || c > 'z') && ('A' > c || c > 'Z') && ('0' > c || c > '9') && strings.IndexByte("-_.:/+=@~", c) < 0 {
			return ""
		}
	}
	return id
}
