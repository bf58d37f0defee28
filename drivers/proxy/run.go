package proxy

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/kamald/kamald/state"
)

// errNoRoute is the proxy's own answer, which a container that is not there does not give.
var errNoRoute = fmt.Errorf("%w", state.ErrNotFound)

// run has the proxy carry out a command about a route, in the time that it waits and the margin, and gives what it wrote. what says
// the command in errors: state.ErrNotFound when there is no such route, state.ErrNoRollout when it has no rollout.
func (d *Driver) run(ctx context.Context, container, name, what string, waits time.Duration, argv ...string) (string, error) {
	if err := validateName(name); err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, waits+margin)
	defer cancel()
	result, err := d.engine.Exec(ctx, container, append([]string{command}, argv...))
	said := result.Stderr + result.Stdout
	switch {
	case err != nil:
		return "", fmt.Errorf("%s route %s on proxy %s: %w", what, name, container, err)
	case result.Code == 0:
		return result.Stdout, nil
	case strings.Contains(said, "service not found"):
		return "", fmt.Errorf("proxy %s has no route %s: %w", container, name, errNoRoute)
	case strings.Contains(said, "rollout target not set"):
		return "", fmt.Errorf("route %s of proxy %s: %w", name, container, state.ErrNoRollout)
	}
	return "", fmt.Errorf("proxy %s did not %s route %s: %s", container, what, name, clean(result))
}
