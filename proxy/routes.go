package proxy

import (
	"net"
	"net/url"
	"sort"
	"strings"
)

// route gives the requests below a path prefix to a service.
type route struct {
	prefix  string
	service *service
}

// routeTable maps a host pattern to its routes, longest prefix first. It never changes after it is built.
type routeTable map[string][]route

func buildRoutes(services map[string]*service) routeTable {
	table := routeTable{}
	for _, s := range services {
		dep, _ := s.current()
		if dep == nil {
			continue
		}
		for _, host := range dep.options.Hosts {
			for _, prefix := range dep.options.PathPrefixes {
				table[host] = append(table[host], route{prefix, s})
			}
		}
	}
	for _, routes := range table {
		sort.Slice(routes, func(i, j int) bool { return len(routes[i].prefix) > len(routes[j].prefix) })
	}
	return table
}

// find returns the route of a request. The most exact host pattern that has routes decides alone: a path it does
// not have is nobody's, as in kamal-proxy.
func (t routeTable) find(host string, u *url.URL) (route, bool) {
	for _, r := range t.forHost(host) {
		if _, _, ok := cutPrefix(u, r.prefix); ok {
			return r, true
		}
	}
	return route{}, false
}

// forHost returns the routes of the exact host, else of its one-level wildcard, else of any host.
func (t routeTable) forHost(host string) []route {
	if routes, ok := t[host]; ok && host != "" {
		return routes
	}
	if _, parent, ok := strings.Cut(host, "."); ok {
		if routes, ok := t["*."+parent]; ok {
			return routes
		}
	}
	return t[""]
}

// root returns the service that owns the host's root path, which decides about TLS for the whole host.
func (t routeTable) root(host string) *service {
	for _, r := range t.forHost(host) {
		if r.prefix == "/" {
			return r.service
		}
	}
	return nil
}

// conflict returns the name of the service, host and prefix that options would take away from another service.
func (t routeTable) conflict(name string, o ServiceOptions) (owner, host, prefix string, found bool) {
	for _, host := range o.Hosts {
		for _, prefix := range o.PathPrefixes {
			for _, r := range t[host] {
				if r.prefix == prefix && r.service.name != name {
					return r.service.name, host, prefix, true
				}
			}
		}
	}
	return "", "", "", false
}

// requestHost returns the name in a Host header: without port, in lower case, without the root's dot.
func requestHost(hostport string) string {
	host := hostport
	if strings.IndexByte(hostport, ':') >= 0 { // else the error of splitting would cost more than the rest
		if h, _, err := net.SplitHostPort(hostport); err == nil {
			host = h
		}
	}
	return strings.TrimSuffix(strings.ToLower(strings.Trim(host, "[]")), ".")
}

// cutPrefix returns the decoded and the escaped path below prefix. It works on the escaped form, so that an escaped
// slash is never taken for a separator and every escape below the prefix stays as the client wrote it.
func cutPrefix(u *url.URL, prefix string) (path, rawPath string, ok bool) {
	if prefix == "/" {
		return u.Path, u.RawPath, true
	}
	rest, ok := cutDecoded(u.EscapedPath(), prefix)
	if !ok || (rest != "" && rest[0] != '/') {
		return "", "", false
	}
	if rest == "" {
		rest = "/"
	}
	path, err := url.PathUnescape(rest)
	if err != nil {
		return "", "", false
	}
	return path, rest, true
}

// cutDecoded cuts from an escaped path what decodes to prefix. A slash of the prefix must be a plain slash.
func cutDecoded(raw, prefix string) (rest string, ok bool) {
	for i := range len(prefix) {
		switch {
		case raw == "":
			return "", false
		case raw[0] == prefix[i]:
			raw = raw[1:]
		case raw[0] == '%' && len(raw) >= 3 && prefix[i] != '/':
			c, err := url.PathUnescape(raw[:3])
			if err != nil || c != prefix[i:i+1] {
				return "", false
			}
			raw = raw[3:]
		default:
			return "", false
		}
	}
	return raw, true
}
