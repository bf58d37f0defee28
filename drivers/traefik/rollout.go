package traefik

import (
	"context"
	"fmt"
	"time"

	"github.com/kamald/kamald/state"
)

// RolloutDeploy is refused: Traefik keeps no client on its side of a split, and counts none.
func (d *Driver) RolloutDeploy(_ context.Context, container, name string, _ []string, _, _ time.Duration) error {
	return noRollout(container, name)
}

// RolloutSet is refused.
func (d *Driver) RolloutSet(_ context.Context, container, name string, _ int) error {
	return noRollout(container, name)
}

// RolloutStop has nothing to end.
func (d *Driver) RolloutStop(context.Context, string, string, time.Duration) error { return nil }

// Sides are never there.
func (d *Driver) Sides(_ context.Context, container, name string) (state.Sides, error) {
	return state.Sides{}, fmt.Errorf("route %s of Traefik %s: %w", name, container, state.ErrNoRollout)
}

func noRollout(container, name string) error {
	return fmt.Errorf("route %s gets no rollout: Traefik %s has none that kamald could judge; a canary needs kamald's own proxy (`kamald proxy switch`)", name, container)
}
