package traefik

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/kamald/kamald/state"
)

// kamal1Port is where Kamal 1 let Traefik reach an app when no label said otherwise.
const kamal1Port = "80"

var (
	ruleLabel = regexp.MustCompile(`\Atraefik\.http\.routers\.([^.]+)\.rule\z`)
	portLabel = regexp.MustCompile(`\Atraefik\.http\.services\.[^.]+\.loadbalancer\.server\.port\z`)
	quoted    = regexp.MustCompile("`([^`]*)`|\"([^\"]*)\"")
	matcher   = regexp.MustCompile(`(Host|PathPrefix)\(([^()]*)\)`)
)

// implied is what a Traefik of Kamal 1 routes: running containers whose labels say so, of services that Kamal named.
func (d *Driver) implied(ctx context.Context) ([]state.Route, error) {
	all, err := d.engine.Containers(ctx, state.Filter{})
	if err != nil {
		return nil, fmt.Errorf("list what Traefik may route by labels: %w", err)
	}
	found := map[string]state.Route{}
	for _, c := range all { // the newest first
		if !c.Running() || c.Service == "" || c.Role == "" {
			continue
		}
		app := state.App{Service: c.Service, Destination: c.Destination}
		name := app.RouteName(c.Role)
		if _, there := found[name]; there {
			continue
		}
		inspected, err := d.engine.Inspect(ctx, c.ID, state.View{})
		if errors.Is(err, state.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if route, ok := labelled(name, inspected); ok {
			found[name] = route
		}
	}
	var routes []state.Route
	for _, route := range found {
		routes = append(routes, route)
	}
	slices.SortFunc(routes, func(a, b state.Route) int { return strings.Compare(a.Name, b.Name) })
	return routes, nil
}

// labelled reads the hosts and prefixes of the rules in a container's labels. Rules of other matchers, or ones that negate, are
// read as far as they name hosts and prefixes.
func labelled(name string, c state.Container) (state.Route, bool) {
	port, there := kamal1Port, false
	options := state.RouteOptions{ForwardHeaders: true}
	for key, value := range c.Live.Labels {
		switch {
		case ruleLabel.MatchString(key):
			there = true
			hosts, paths := ruleParts(value)
			options.Hosts, options.PathPrefixes = append(options.Hosts, hosts...), append(options.PathPrefixes, paths...)
		case portLabel.MatchString(key):
			port = value
		}
	}
	if !there {
		return state.Route{}, false
	}
	for _, list := range []*[]string{&options.Hosts, &options.PathPrefixes} {
		slices.Sort(*list)
		*list = slices.Compact(*list)
	}
	return state.Route{Name: name, Targets: []string{c.ShortID() + ":" + port}, Options: canonical(options), Implied: true}, true
}

func ruleParts(rule string) (hosts, paths []string) {
	for _, m := range matcher.FindAllStringSubmatch(rule, -1) {
		for _, q := range quoted.FindAllStringSubmatch(m[2], -1) {
			if m[1] == "Host" {
				hosts = append(hosts, q[1]+q[2])
			} else {
				paths = append(paths, q[1]+q[2])
			}
		}
	}
	return hosts, paths
}
