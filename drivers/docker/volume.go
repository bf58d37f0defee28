package docker

import (
	"context"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"
)

// RemoveVolume takes a volume away with what is in it. One that a container has is state.ErrConflict; one that is gone is no error.
func (e *Engine) RemoveVolume(ctx context.Context, name string) error {
	_, err := e.client.VolumeRemove(ctx, name, client.VolumeRemoveOptions{})
	if errdefs.IsNotFound(err) {
		return nil
	}
	return e.failure(err, "remove volume %s", name)
}
