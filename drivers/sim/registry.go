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

// Size gives half of what the image takes on a host: as the registry holds it, it is compressed.
func (r *Registry) Size(ctx context.Context, ref, _ string, auth release.Auth) (size int64, err error) {
	err = r.read(ctx, "Registry.Size", ref, func(*host) error {
		image, err := r.world.fetch(ref, auth)
		size = image.Size / 2
		return err
	})
	return size, err
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
