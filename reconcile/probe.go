package reconcile

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

const (
	// probeTries is how often a container that serves is asked before it is called unwell, and probePause the time between: one answer
	// that does not come in a busy second says nothing.
	probeTries = 3
	probePause = time.Second
)

// probe asks what serves of a release whether it is well, all at once, and gives those that are not with why. It costs a
// call for each that is. Whoever does not serve on purpose, is about to, or cannot be asked is taken to be well.
func (c *Controller) probe(ctx context.Context, desired release.Release, snapshot state.Snapshot) map[string]string {
	var (
		mu      sync.Mutex
		failing = map[string]string{}
		asking  branches
	)
	for _, p := range c.probed(desired, snapshot) {
		asking.Go(func() {
			if why := p.unwell(ctx); why != "" {
				mu.Lock()
				defer mu.Unlock()
				failing[lifeOf(p.current)] = why
			}
		})
	}
	asking.Wait()
	return failing
}

// probed are the containers to ask: the current ones, but where somebody has a part stand still.
func (c *Controller) probed(desired release.Release, snapshot state.Snapshot) (list []*proof) {
	shut := map[string]bool{} // host/role, and host/ for all of a host
	for _, gate := range plan.Gates(desired, snapshot, c.now()) {
		shut[gate.Host+"/"+gate.Role] = true
	}
	for _, host := range snapshot.Hosts {
		on, wanted := desired.Host(host.Name)
		if !wanted || host.Unreachable != "" || host.Lock != nil {
			continue
		}
		for _, role := range desired.Roles {
			current, serves := plan.CurrentOf(desired.App(), host, role.Name)
			proxied := role.Proxy != nil && shut[host.Name+"/"]
			if !serves || !asks(role) || !slices.Contains(role.Places(), host.Name) || proxied || shut[host.Name+"/"+role.Name] || !grown(current, host, desired, c.now()) {
				continue
			}
			list = append(list, &proof{reach: func(ctx context.Context) (*Connection, error) { return c.fleet.Connection(ctx, on) },
				desired: desired, role: role, host: host.Name, container: current.ID, name: current.Name, current: current})
		}
	}
	return list
}

// asks tells whether a role says how it is asked again and again: what it logs at its start it says once, and Docker's own check is seen
// without asking.
func asks(role release.Role) bool {
	if role.Health != nil {
		return role.Health.Log == ""
	}
	return role.Proxy != nil
}

// grown tells whether a container runs for so long that it has to be well, by its host's own clock where that is known.
func grown(c state.Container, host state.Host, desired release.Release, now time.Time) bool {
	if clock := host.Engine.Clock; !clock.IsZero() {
		now = clock
	}
	return c.Status == state.StatusRunning && now.Sub(c.Started) >= desired.DeployTimeout
}

// unwell asks until the container says that it is well, a few times at most, and gives why it did not. A host that cannot be reached says
// nothing about it, and neither does a container that has ended meanwhile: that is another drift.
func (p *proof) unwell(ctx context.Context) string {
	var err error
	if p.conn, err = p.reach(ctx); err != nil {
		return ""
	}
	for try := range probeTries {
		if try > 0 && sleep(ctx, probePause) != nil {
			return ""
		}
		if well, err := p.ask(ctx, p.current); well || err != nil {
			return ""
		}
	}
	now, err := p.conn.Engine.Inspect(ctx, p.container, state.View{})
	if err != nil || now.Status != state.StatusRunning || !now.Started.Equal(p.current.Started) {
		return ""
	}
	return fmt.Sprintf("it runs, and was asked %d times: %s", probeTries, p.last)
}

// lifeOf names one run of a container: once it was started again, what was found of it says nothing any more.
func lifeOf(c state.Container) string { return fmt.Sprintf("%s@%d", c.ID, c.Started.UnixNano()) }

// marked is a snapshot in which containers that are not well say why. What is given is not changed.
func marked(snapshot state.Snapshot, failing map[string]string) state.Snapshot {
	if len(failing) == 0 {
		return snapshot
	}
	snapshot.Hosts = slices.Clone(snapshot.Hosts)
	for i, host := range snapshot.Hosts {
		snapshot.Hosts[i].Containers = slices.Clone(host.Containers)
		for j, c := range host.Containers {
			snapshot.Hosts[i].Containers[j].Failing = failing[lifeOf(c)]
		}
	}
	return snapshot
}

// failingIn is what marked was given, as far as it is still there.
func failingIn(snapshot state.Snapshot) map[string]string {
	failing := map[string]string{}
	for _, host := range snapshot.Hosts {
		for _, c := range host.Containers {
			if c.Failing != "" {
				failing[lifeOf(c)] = c.Failing
			}
		}
	}
	return failing
}
