package console

import (
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// errNobody: it is not known who asks.
var errNobody = failure{status: http.StatusUnauthorized, text: "it is not known who asks", next: "send the token as `Authorization: Bearer …`"}

// principal finds out who asks; nobody is no error, a wrong token is.
func (s *Server) principal(via Via, r *http.Request) (Principal, error) {
	if via == ViaSocket {
		p, ok := peerOf(r.Context())
		if !ok {
			return Principal{}, nil
		}
		by := s.opts.Owner.principal(p, s.machine)
		if by.Role == RoleNone {
			return Principal{}, failure{status: http.StatusForbidden, text: by.Name + " may not use the daemon's socket",
				next: "become root or the daemon's user; to only look, be in its group"}
		}
		return by, nil
	}
	if header := r.Header.Get("Authorization"); header != "" {
		scheme, shown, _ := strings.Cut(header, " ")
		if !strings.EqualFold(scheme, "Bearer") {
			return Principal{}, errNobody
		}
		token, err := s.token(r, strings.TrimSpace(shown))
		return token, err
	}
	return s.browser(via, r), nil
}

// token knows who has a token. Whoever has shown too many wrong ones waits, whatever they show now.
func (s *Server) token(r *http.Request, shown string) (Principal, error) {
	from, now := addressOf(r), s.now()
	if wait := s.attempts.wait(from, now); wait > 0 {
		seconds := int(wait/time.Second) + 1
		return Principal{}, failure{status: http.StatusTooManyRequests, retry: seconds,
			text: "too many wrong tokens came from " + from, next: "try again in " + strconv.Itoa(seconds) + " seconds"}
	}
	token, ok := s.keys.find(shown)
	if !ok {
		s.attempts.failed(from, now)
		s.opts.Log.Warn().Str("where", from).Msg("a wrong token")
		return Principal{}, failure{status: http.StatusUnauthorized, text: "no such token is known",
			next: "`kamald store token` makes one; its hash belongs in kamald.hcl"}
	}
	return principalOf(token, from), nil
}

func principalOf(token Token, from string) Principal {
	return Principal{Name: token.Name, Where: from, Role: token.Role, Apps: token.Apps}
}

// browser knows who is logged in. A request that another site's page has the browser make is nobody's, but where it is to show a page:
// following a link is no harm.
func (s *Server) browser(via Via, r *http.Request) Principal {
	cookie, err := r.Cookie(cookieName(via))
	if err != nil {
		return Principal{}
	}
	if !ownRequest(r) {
		return Principal{}
	}
	name, key, ok := s.sessions.use(cookie.Value, s.now())
	if !ok {
		return Principal{}
	}
	token, ok := s.keys.named(name)
	if !ok {
		return Principal{}
	}
	by := principalOf(token, addressOf(r))
	by.session = key
	return by
}

// ownRequest tells whether a page of ours made the request, or a person. Browsers say (Fetch Metadata); what says nothing is no browser
// of these years, and its cookie is SameSite=Strict.
func ownRequest(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "same-origin", "none":
		return true
	}
	return r.Method == http.MethodGet && r.Header.Get("Sec-Fetch-Mode") == "navigate" && r.Header.Get("Sec-Fetch-Dest") == "document"
}

// lasting tells whether somebody who was let in still would be: a session may have ended.
func (s *Server) lasting(by Principal) bool {
	return by.session == "" || s.sessions.lasts(by.session, s.now())
}

// cookieName: over HTTPS the browser itself sees to it that no other name of the domain has set it.
func cookieName(via Via) string {
	if via == ViaHTTPS {
		return "__Host-kamald"
	}
	return "kamald"
}

func setCookie(c *call, name, value string, seconds int) {
	http.SetCookie(c.w, &http.Cookie{Name: name, Value: value, Path: "/", MaxAge: seconds, HttpOnly: true,
		Secure: c.via == ViaHTTPS, SameSite: http.SameSiteStrictMode})
}

func addressOf(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}
