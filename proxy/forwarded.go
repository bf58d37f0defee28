package proxy

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// setForwarded says in the target's request who asked, by which scheme and host, as far as that is to be believed:
// what stands in the client's own X-Forwarded headers only with --forward-headers, else what the proxy sees itself.
func setForwarded(p *httputil.ProxyRequest, x *exchange, t *target) {
	trusted := t.options.ForwardHeaders
	dropDisguised(p.Out.Header)
	if !trusted {
		dropClaims(p.Out.Header)
	}
	if prior := p.In.Header["X-Forwarded-For"]; trusted && len(prior) > 0 {
		p.Out.Header["X-Forwarded-For"] = prior
	}
	p.SetXForwarded()
	if trusted {
		for _, name := range []string{"X-Forwarded-Proto", "X-Forwarded-Host"} {
			if v := p.In.Header.Get(name); v != "" {
				p.Out.Header.Set(name, v)
			}
		}
	}
	if ip, ok := namedClient(p.In, x.dep.options.ClientIPHeader); ok {
		p.Out.Header.Set("X-Forwarded-For", ip)
	}
	x.remote, _, _ = strings.Cut(p.Out.Header.Get("X-Forwarded-For"), ",")
	x.remote = strings.TrimSpace(x.remote)
	if start := p.In.Header.Get("X-Request-Start"); trusted && start != "" {
		p.Out.Header.Set("X-Request-Start", start)
	} else {
		p.Out.Header.Set("X-Request-Start", "t="+strconv.FormatInt(time.Now().UnixMilli(), 10))
	}
	// Set here and not only on the way in: a client may have named them in Connection, which takes them away.
	p.Out.Header.Set("X-Request-Id", x.requestID)
	asked := t.name
	if prior := p.In.Header.Get("X-Kamal-Target"); trusted && prior != "" { // that of a kamal-proxy in front
		asked = prior + ", " + asked
	}
	p.Out.Header.Set("X-Kamal-Target", asked)
}

// dropClaims takes away all by which a client could say that it is somebody else. httputil does so for four of them.
func dropClaims(h http.Header) {
	for name := range h {
		if strings.HasPrefix(name, "X-Forwarded-") || name == "X-Real-Ip" {
			delete(h, name)
		}
	}
}

// namedClient returns the address in the header that --client-ip-header names. What is no address does not count.
func namedClient(r *http.Request, header string) (string, bool) {
	if header == "" {
		return "", false
	}
	text := strings.TrimSpace(r.Header.Get(header))
	if host, _, err := net.SplitHostPort(text); err == nil {
		text = host
	}
	addr, err := netip.ParseAddr(strings.Trim(text, "[]"))
	if err != nil {
		return "", false
	}
	return addr.String(), true
}

func validateClientIPHeader(name string) error {
	for _, c := range []byte(name) {
		if c <= ' ' || c >= 0x7f || strings.IndexByte("()<>@,;:\\\"/[]?={}", c) >= 0 {
			return fmt.Errorf("client-ip-header %q is no header's name", name)
		}
	}
	return nil
}
