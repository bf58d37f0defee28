package group

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/kamald/kamald/state"
)

// balance hands apps over one by one, while this daemon leads more than another that would, until the context ends.
func (g *Group) balance(ctx context.Context) error {
	ticker := time.NewTicker(g.o.Balance)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		for _, app := range surplus(g.o.Board.Standing(), g.o.Name) {
			if g.loop.Leads(app) && g.loop.Yield(app) {
				break // the next when that has come about
			}
		}
	}
}

// surplus are the apps of which one is to be led by another daemon, the best to hand over first; none where that would not make it more
// even. Two daemons of one name are one here.
func surplus(standing map[state.App][]string, name string) []state.App {
	leads := map[string]int{}
	for _, names := range standing {
		for _, each := range names {
			leads[each] += 0
		}
		if len(names) > 0 {
			leads[names[0]]++
		}
	}
	var list []state.App
	for app, names := range standing {
		if len(names) == 0 || names[0] != name {
			continue
		}
		next := slices.IndexFunc(names, func(other string) bool { return other != name }) // who leads it then
		if next > 0 && leads[name]-leads[names[next]] >= 2 {
			list = append(list, app)
		}
	}
	slices.SortFunc(list, func(a, b state.App) int {
		return cmp.Or(cmp.Compare(b.Service, a.Service), cmp.Compare(b.Destination, a.Destination))
	})
	return list
}
