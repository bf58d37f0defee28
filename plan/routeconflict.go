package plan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kamald/kamald/state"
)

// checkProxies finds, on every host where some tenant is proxied, what of the proxy and of the routes of others there forbids the plan.
func (b *builder) checkProxies(tenants func(host string) []*slot) {
	for _, on := range b.in.Desired.Hosts {
		host, seen := b.hosts[on.Name]
		proxied := slices.DeleteFunc(tenants(on.Name), func(s *slot) bool { return s.role.Proxy == nil })
		if !seen || len(proxied) == 0 {
			continue
		}
		b.checkProxy(host)
		for _, s := range proxied {
			b.checkRoute(s)
			b.checkMount(s)
		}
	}
}

// checkRoute finds a route of another service that has the same name and path, which the proxy would refuse at the switch. TLS
// settings cannot conflict: they are the root path's, for which ssl is validated, and one route has that.
func (b *builder) checkRoute(s *slot) {
	want := state.Route{Name: s.routed, Options: b.in.Desired.RouteOptions(s.role)}
	for _, other := range s.host.Proxy.Routes {
		if other.Name == want.Name || b.ownRoute(other.Name) {
			continue
		}
		if name, path, both := claimedTwice(want.Options, other.Options); both {
			b.problem(s.host.Name, s.role.Name, fmt.Sprintf("route %s has %s there already", other.Name, routePlace(name, path)),
				fmt.Sprintf("give this one other proxy hosts or path_prefixes; or take the other away, where it is deployed from or by `docker exec %s kamal-proxy remove %s`", s.host.Proxy.Name, other.Name))
		}
	}
}

// ownRoute tells whether a route is one that this release has on the way to what it asks for.
func (b *builder) ownRoute(name string) bool {
	if b.routes == nil {
		b.routes = map[string]bool{}
		for _, role := range b.in.Desired.Proxied() {
			b.routes[b.in.Desired.RouteName(role.Name)] = true
		}
	}
	return b.routes[name]
}

// checkMount: a certificate that the proxy's container does not have is none.
func (b *builder) checkMount(s *slot) {
	proxy := s.host.Proxy
	if len(s.role.CertificateSecrets()) == 0 || proxy.ID == "" || s.route == nil {
		return
	}
	wanted := appsConfigOf(s.host)
	switch proxy.Apps {
	case wanted:
	case "":
		b.problem(s.host.Name, s.role.Name, fmt.Sprintf("the proxy %s has no directory for certificates", proxy.Name), "run `kamald proxy reboot`, which makes it anew with one")
	default:
		b.problem(s.host.Name, s.role.Name, fmt.Sprintf("the proxy %s has its certificates from %s, and this SSH user's are in %s", proxy.Name, proxy.Apps, wanted),
			"use the SSH user that the proxy was made with, or set run_directory to that absolute path")
	}
}

// claimedTwice gives a name and a path that two routes both have.
func claimedTwice(a, b state.RouteOptions) (name, path string, both bool) {
	for _, name := range namesOf(a) {
		for _, path := range pathsOf(a) {
			if slices.Contains(namesOf(b), name) && slices.Contains(pathsOf(b), path) {
				return name, path, true
			}
		}
	}
	return "", "", false
}

// namesOf are a route's hosts as the proxy compares them, "" for any.
func namesOf(o state.RouteOptions) []string {
	if len(o.Hosts) == 0 {
		return []string{""}
	}
	names := make([]string, len(o.Hosts))
	for i, name := range o.Hosts {
		names[i] = strings.ToLower(name)
	}
	return names
}

func pathsOf(o state.RouteOptions) []string {
	if len(o.PathPrefixes) == 0 {
		return []string{"/"}
	}
	return o.PathPrefixes
}

func routePlace(name, path string) string { return fmt.Sprintf("path %q of %s", path, nameOr(name)) }

func nameOr(name string) string {
	if name == "" {
		return "any name"
	}
	return name
}
