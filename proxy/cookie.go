package proxy

import (
	"net/http"
	"strings"
)

// scopeCookies puts the stripped prefix before the Path of the cookies that an app sets for its own host, so that apps
// under prefixes of one host do not see each other's. A cookie without a path gets the prefix, one for another domain
// stays as it is.
func scopeCookies(head http.Header, prefix, host string) {
	if prefix == "/" || prefix == "" {
		return
	}
	for i, line := range head["Set-Cookie"] {
		head["Set-Cookie"][i] = scopeCookie(line, prefix, host)
	}
}

// scopeCookie changes nothing else in the line: what the app wrote may be more than Go's cookies know.
func scopeCookie(line, prefix, host string) string {
	parts := strings.Split(line, ";")
	at := -1
	path := ""
	for i, part := range parts[1:] {
		name, value, _ := strings.Cut(part, "=")
		value = strings.TrimSpace(value)
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "domain":
			if value != "" && !strings.EqualFold(strings.TrimPrefix(value, "."), host) {
				return line
			}
		case "path": // the last one counts (RFC 6265, section 5.3)
			at, path = i+1, value
		}
	}
	if !strings.HasPrefix(path, "/") { // none, or one that clients ignore
		path = ""
	}
	scoped := prefix + strings.TrimSuffix(path, "/")
	if at < 0 {
		return line + "; Path=" + scoped
	}
	parts[at] = " Path=" + scoped
	return strings.Join(parts, ";")
}
