package traefik

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"github.com/kamald/kamald/state"
)

// About gives fs.ErrNotExist: Traefik is not kamald-proxy.
func (d *Driver) About(context.Context, string) (state.Program, error) {
	return state.Program{}, fmt.Errorf("a Traefik says nothing of itself: %w", fs.ErrNotExist)
}

// Upgrade is refused: Traefik's program cannot be replaced while it serves.
func (d *Driver) Upgrade(_ context.Context, container string, _ time.Duration) error {
	return errors.New("the proxy " + container + " is Traefik, whose program cannot be replaced while it serves")
}

// Program gives fs.ErrNotExist: kamald makes no program of Traefik.
func (d *Driver) Program(_ context.Context, ref, _ string) (io.ReadCloser, error) {
	return nil, fmt.Errorf("the program of image %s is not made by kamald: %w", ref, fs.ErrNotExist)
}
