package console

import (
	"mime"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// policy is what a page of ours may load and do: its own style, script and events, its own forms, and nothing else.
const policy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; " +
	"base-uri 'none'; frame-ancestors 'none'"

// fenced keeps other sites' pages out, whatever is asked for: the host must be one of ours (a name that an attacker points at this machine
// is none), and what changes something must come from our own origin.
func (s *Server) fenced(via Via, within http.Handler) http.Handler {
	origin := http.NewCrossOriginProtection()
	origin.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.fail(&call{w: w, r: r, via: via, page: !isAPI(r)}, failure{status: http.StatusForbidden, text: "this came from a page of another site", next: "use the dashboard's own pages"})
	}))
	within = origin.Handler(within)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Frame-Options", "DENY")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		if via == ViaHTTPS {
			h.Set("Strict-Transport-Security", "max-age=31536000")
		}
		if via != ViaSocket && !s.isOurs(via, r.Host) {
			s.fail(&call{w: w, r: r, via: via}, failure{status: http.StatusMisdirectedRequest, text: "this daemon is not asked under that name",
				next: "ask by its address, by a name of its certificate, or as localhost"})
			return
		}
		within.ServeHTTP(w, r)
	})
}

// isOurs tells whether a request's host is a name of ours. Names are what an attacker can point anywhere, but not those of this machine
// itself; an address is what it is.
func (s *Server) isOurs(via Via, hostport string) bool {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	host = strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return via == ViaHTTPS || ip.IsLoopback()
	}
	return slices.ContainsFunc(s.opts.Hosts, func(ours string) bool { return strings.EqualFold(ours, host) })
}

func isJSON(contentType string) bool {
	kind, _, err := mime.ParseMediaType(contentType)
	return err == nil && kind == "application/json"
}

func isAPI(r *http.Request) bool {
	return strings.HasPrefix(r.URL.Path, "/v1/") || r.URL.Path == "/healthz" || r.URL.Path == "/readyz"
}
