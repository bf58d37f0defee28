package sim

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// Registry asks the world's registry from a host.
type Registry struct{ *session }

// Tags lists what was pushed of a repository.
func (r *Registry) Tags(ctx context.Context, repository string, auth release.Auth) (tags []string, err error) {
	err = r.read(ctx, "Registry.Tags", repository, func(*host) error {
		tags, err = r.world.tags(repository, auth)
		return err
	})
	return tags, err
}

func (w *World) tags(repository string, auth release.Auth) (tags []string, err error) {
	if w.username != "" && (auth.Username != w.username || auth.Password.Reveal() != w.password) {
		return nil, fmt.Errorf("the registry refuses %q for %s: %w", auth.Username, repository, state.ErrDenied)
	}
	for ref := range w.registry {
		if tag, ok := strings.CutPrefix(ref, familiar(repository)+":"); ok {
			tags = append(tags, tag)
		}
	}
	if len(tags) == 0 {
		return nil, fmt.Errorf("%s is not known to the registry: %w", repository, state.ErrNotFound)
	}
	slices.Sort(tags)
	return tags, nil
}
