package proxy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/kamald/kamald/state"
)

// RolloutDeploy puts targets beside a route's own. After an error that is not the proxy's own answer they may be there all the same:
// read Routes.
func (d *Driver) RolloutDeploy(ctx context.Context, container, name string, targets []string, deploy, drain time.Duration) error {
	if len(targets) == 0 || deploy <= 0 || drain < 0 {
		return fmt.Errorf("the rollout of route %s is not deployed: it needs a target, a deploy timeout above 0 and a drain timeout of 0 or more, not %v within %s, drain %s",
			name, targets, deploy, drain)
	}
	return d.rollout(ctx, container, name, "deploy", deploy+drain, "--target="+strings.Join(targets, ","),
		"--deploy-timeout="+deploy.String(), "--drain-timeout="+drain.String())
}

// RolloutSet gives the rollout a share of the route's requests; kamald-proxy keeps a client on its side by a cookie of its own.
func (d *Driver) RolloutSet(ctx context.Context, container, name string, percent int) error {
	if percent < 0 || percent > 100 { // kamal-proxy takes any number
		return fmt.Errorf("the rollout of route %s is not set: its share is from 0 to 100, not %d", name, percent)
	}
	return d.rollout(ctx, container, name, "set", 2*margin, fmt.Sprintf("--percent=%d", percent))
}

// RolloutStop ends the rollout; what is not there needs no end.
func (d *Driver) RolloutStop(ctx context.Context, container, name string, drain time.Duration) error {
	if drain < 0 {
		return fmt.Errorf("the rollout of route %s is not stopped: the drain timeout must not be negative, not %s", name, drain)
	}
	err := d.rollout(ctx, container, name, "stop", drain)
	if errors.Is(err, state.ErrNotFound) {
		return nil
	}
	return err
}

// Sides reads what the proxy has counted of a route's rollout.
func (d *Driver) Sides(ctx context.Context, container, name string) (state.Sides, error) {
	said, err := d.run(ctx, container, name, "inspect", margin, "inspect", name)
	if err != nil {
		return state.Sides{}, err
	}
	return parseSides(container, name, said)
}

func parseSides(container, name, text string) (state.Sides, error) {
	var inspected struct {
		Sides *struct {
			Active  state.Side `json:"active"`
			Rollout state.Side `json:"rollout"`
		} `json:"sides"`
		Rollout *struct {
			Targets []listedTarget `json:"targets"`
		} `json:"rollout"`
	}
	if err := json.Unmarshal([]byte(text), &inspected); err != nil {
		return state.Sides{}, fmt.Errorf("what proxy %s says of route %s cannot be read: %w", container, name, err)
	}
	if inspected.Rollout == nil {
		return state.Sides{}, fmt.Errorf("route %s of proxy %s: %w", name, container, state.ErrNoRollout)
	}
	if inspected.Sides == nil {
		return state.Sides{}, fmt.Errorf("proxy %s does not count the sides of a rollout: it is older than this kamald; `kamald apply` upgrades it", container)
	}
	sides := state.Sides{Active: inspected.Sides.Active, Rollout: inspected.Sides.Rollout, Targets: []state.LiveTarget{}}
	for _, t := range inspected.Rollout.Targets {
		sides.Targets = append(sides.Targets, t.live())
	}
	return sides, nil
}

// rollout runs one of the commands.
func (d *Driver) rollout(ctx context.Context, container, name, verb string, waits time.Duration, flags ...string) error {
	_, err := d.run(ctx, container, name, verb+" the rollout of", waits, append([]string{"rollout", verb, name}, flags...)...)
	return err
}
