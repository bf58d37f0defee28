package docker

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"github.com/kamald/kamald/state"
)

// Engines before uniqueNames make a second network of a name where two runs make it at once, and then refuse whatever names it.

// labelNetwork is on the networks that kamald makes: no other is ever removed.
const labelNetwork = "kamald.network"

const (
	// unambiguousWithin is how long it is waited for another run to take its own twin away: it does so in its next two calls.
	unambiguousWithin = 5 * time.Second
	unambiguousEvery  = 50 * time.Millisecond
)

var saysTwins = regexp.MustCompile(`network (\S+) is ambiguous`)

// unambiguous does something that names a network, and again when twins of that name were in its way.
func (e *Engine) unambiguous(ctx context.Context, do func() error) error {
	limit := time.Now().Add(unambiguousWithin)
	for {
		err := do()
		if err == nil {
			return nil
		}
		found := saysTwins.FindStringSubmatch(err.Error())
		if found == nil {
			return err
		}
		if settled := e.settle(ctx, found[1]); settled != nil {
			return fmt.Errorf("%w: %w", err, settled)
		}
		if time.Now().After(limit) {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(unambiguousEvery):
		}
	}
}

// settle takes twins of a network away until there is one: those that kamald has made and no container has. Whoever settles them decides
// the same, and what an engine finds in use by then it does not remove.
func (e *Engine) settle(ctx context.Context, name string) error {
	var last error
	for range 5 {
		twins, err := e.twinsNamed(ctx, name)
		if err != nil || len(twins) < 2 {
			return err
		}
		spare := superfluous(twins)
		if len(spare) == 0 {
			return fmt.Errorf("%d networks are named %s, and none of them is kamald's to remove: take away those that nothing uses, by `docker network rm`: %s: %w",
				len(twins), name, strings.Join(idsOf(twins), ", "), state.ErrConflict)
		}
		last = nil
		for _, t := range spare {
			if _, err := e.client.NetworkRemove(ctx, t.ID, client.NetworkRemoveOptions{}); err != nil && !errdefs.IsNotFound(err) {
				last = err // it came into use: they are looked at again
			}
		}
	}
	return last
}

// twin is one of several networks of a name.
type twin struct {
	network.Summary
	used bool // a container has it, running or not
}

func (t twin) ours() bool { return t.Labels[labelNetwork] != "" }

func (e *Engine) twinsNamed(ctx context.Context, name string) ([]twin, error) {
	same, err := e.networksNamed(ctx, name)
	if err != nil || len(same) < 2 {
		return nil, err
	}
	var twins []twin
	for _, n := range same {
		on, err := e.client.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: client.Filters{}.Add("network", n.ID)})
		if err != nil {
			return nil, err
		}
		twins = append(twins, twin{n, len(on.Items) > 0})
	}
	return twins, nil
}

// superfluous are the twins to remove: kamald's that nothing uses; where all are such, all but the oldest.
func superfluous(twins []twin) []twin {
	spare := slices.DeleteFunc(slices.Clone(twins), func(t twin) bool { return t.used || !t.ours() })
	if len(spare) < len(twins) {
		return spare
	}
	slices.SortFunc(spare, func(a, b twin) int { return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID)) })
	return spare[1:]
}

func idsOf(twins []twin) (ids []string) {
	for _, t := range twins {
		ids = append(ids, state.ShortID(t.ID))
	}
	return ids
}
