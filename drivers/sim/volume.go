package sim

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/kamald/kamald/state"
)

// RemoveVolume takes a volume away; one that a container has is state.ErrConflict, one that is not there state.ErrNotFound.
func (e *Engine) RemoveVolume(ctx context.Context, name string) error {
	return e.mutate(ctx, "Engine.RemoveVolume", name, func(h *host) error {
		for _, c := range h.newestFirst() {
			if slices.Contains(volumesOf(c.spec), name) {
				return fmt.Errorf("volume %s is in use by container %s: %w", name, c.name, state.ErrConflict)
			}
		}
		if !h.volumes[name] {
			return fmt.Errorf("no such volume %s: %w", name, state.ErrNotFound)
		}
		delete(h.volumes, name)
		return nil
	})
}

// Volumes lists the volumes of a host, sorted. An engine makes one with the first container that names it.
func (w *World) Volumes(hostName string) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Sorted(maps.Keys(w.host(hostName).volumes))
}

// volumesOf names the volumes of a container; a path of the host is none.
func volumesOf(spec state.Spec) (names []string) {
	for _, volume := range spec.Volumes {
		if name, _, ok := strings.Cut(volume, ":"); ok && !strings.HasPrefix(name, "/") {
			names = append(names, name)
		}
	}
	return names
}
