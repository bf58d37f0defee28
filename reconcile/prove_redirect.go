package reconcile

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/kamald/kamald/state"
)

// mostRedirects is how many redirects a check follows, as the proxy does.
const mostRedirects = 10

// follow asks a container, and for a role behind the proxy goes on where it redirects to within itself: the proxy follows redirects too,
// so to be stricter would fail what it takes. It is a warning: a page behind a redirect, such as a login, says little about health. What
// is redirected elsewhere is not healthy, also where the proxy would get an answer from there: it is known only at the switch, when the
// barrier has been open and old containers have stopped.
func (p *proof) follow(ctx context.Context, address, path, host string) (state.HTTPResult, error) {
	asked := path
	for n := 0; ; n++ {
		result, err := p.conn.Prober.HTTP(ctx, address, path, host)
		if err != nil || p.role.Proxy == nil || p.role.Health != nil || result.Status < 300 || result.Status > 399 || n == mostRedirects {
			if err == nil && n > 0 && result.Status >= 200 && result.Status < 300 {
				p.redirected = fmt.Sprintf("its health path %s is redirected to %s, which the proxy follows: let %s itself answer 200", asked, path, asked)
			}
			return result, err
		}
		next, own := redirectWithin(result.Location, append([]string{address, host}, p.role.Proxy.Options.Hosts...))
		if !own {
			return result, nil
		}
		path = next
	}
}

// redirectWithin gives the path that a redirect leads to, when it leads to where it came from: to no other name than the one asked, or one
// of the route's.
func redirectWithin(location string, names []string) (path string, ok bool) {
	u, err := url.Parse(location)
	if err != nil || u.Scheme == "https" || !strings.HasPrefix(u.Path, "/") {
		return "", false
	}
	own := u.Host == "" || slices.ContainsFunc(names, func(name string) bool {
		return name != "" && (u.Host == name || strings.EqualFold(u.Hostname(), name))
	})
	return u.RequestURI(), own
}
