package reconcile

import (
	"context"
	"io/fs"
	"net/netip"
	"slices"
	"strings"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// examine adds to a plan what is in the way of carrying it out, so that all of it, of all hosts, is seen at once and before anything is
// changed. It asks only what the steps depend on: all hosts at once, and each host all of it at once. What the ignored checks find it only
// warns of.
func (c *Controller) examine(ctx context.Context, planned *Planned, ignore []plan.Check) {
	if planned.Plan.Empty() {
		return
	}
	flight := plan.NewPreflight(&planned.Plan, planned.Desired, planned.Snapshot, ignore)
	var asking branches
	hosts := reachable(*planned)
	answers := make([]answer, len(hosts))
	for i, on := range hosts {
		seen, _ := planned.Snapshot.Host(on.Name)
		asking.Go(func() { answers[i] = c.inquire(ctx, flight, planned, on, seen) })
	}
	planned.registry.preflight(ctx, planned, flight)
	asking.Wait()
	facts := map[string]plan.Facts{}
	for i, on := range hosts {
		facts[on.Name] = answers[i].facts
		if proxy := answers[i].proxy; proxy.Summary != "" {
			flight.Object(proxy)
		}
		for _, problem := range answers[i].beside {
			flight.Object(problem)
		}
		if err := answers[i].unknown; err != nil {
			flight.Warn("%s: who holds which of its ports is not known: %s", on.Name, why(err, on.Name))
		}
	}
	flight.Finish(facts)
}

// answer is what a host says to a plan.
type answer struct {
	facts   plan.Facts
	unknown error          // why its ports are not, or not all
	proxy   plan.Problem   // with the proxy's image; the zero Problem when there is none
	beside  []plan.Problem // with accessories' images
}

// inquire puts the questions of a plan to a host.
func (c *Controller) inquire(ctx context.Context, flight *plan.Preflight, planned *Planned, on release.Host, seen state.Host) (a answer) {
	var asking branches
	var proxy plan.Problem
	var beside []plan.Problem
	registry := planned.registry
	asking.Go(func() { beside = c.canGetBeside(ctx, planned, on, seen) })
	if flight.MakesProxy(seen) && !plan.OwnProxy(registry.desired.ProxyServer.Image) {
		asking.Go(func() { proxy = c.canGetProxy(ctx, registry, on, seen) })
	}
	if protocols := flight.TakesPorts(seen); len(protocols) > 0 {
		a.facts, a.unknown = c.askPorts(ctx, on, seen, protocols, flight.AsksProxy(seen))
	}
	asking.Wait()
	a.proxy, a.beside = proxy, beside
	return a
}

// askPorts asks a host who holds its ports: the engine for its containers, the kernel for all processes. What one of them does not say
// is the error; what the others said is there all the same.
func (c *Controller) askPorts(ctx context.Context, on release.Host, seen state.Host, protocols []string, proxy bool) (facts plan.Facts, err error) {
	conn, err := c.fleet.Connection(ctx, on)
	if err != nil {
		return facts, err
	}
	group := newCrew() // without a context of its own: one question's failure leaves the others their answers
	group.Go(func() (err error) { facts.Held, err = conn.Engine.Ports(ctx); return })
	if proxy {
		group.Go(func() error {
			made, err := conn.Engine.Inspect(ctx, seen.Proxy.ID, state.View{})
			if err == nil {
				facts.Proxy = &made.Live
			}
			return unless(err, state.ErrNotFound)
		})
	}
	var tables []string
	for _, protocol := range protocols {
		if listens[protocol] != "" {
			tables = append(tables, protocol, protocol+"6")
		}
	}
	found := make([][]state.Port, len(tables))
	for i, table := range tables {
		group.Go(func() error {
			data, err := conn.Files.Read(ctx, "/proc/net/"+table)
			protocol, six := strings.CutSuffix(table, "6")
			found[i] = parseSockets(protocol, data)
			if six {
				err = unless(err, fs.ErrNotExist) // the kernel has no IPv6
			}
			return err
		})
	}
	err = group.Wait()
	facts.Listening = slices.DeleteFunc(slices.Concat(found...), func(socket state.Port) bool {
		return slices.ContainsFunc(facts.Held, func(held state.Port) bool { return publishes(held, socket) })
	})
	return facts, err
}

// publishes tells whether a socket is the engine's own for what a container publishes.
func publishes(held, socket state.Port) bool {
	same := held.Address.Unmap() == socket.Address || held.Address == netip.IPv6Unspecified() && !socket.Address.IsValid()
	return same && held.Number == socket.Number && held.Protocol == socket.Protocol
}
