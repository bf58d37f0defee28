package docker

import (
	"context"

	"github.com/moby/moby/client"
)

// RemoveVolume takes a volume away with what is in it. One that a container has is state.ErrConflict; one that is not there is
// state.ErrNotFound.
func (e *Engine) RemoveVolume(ctx context.Context, name string) error {
	_, err := e.client.VolumeRemove(ctx, name, client.VolumeRemoveOptions{})
	return e.failure(err, "remove volume %s", name)
}
