package reconcile

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// beside is the accessory whose place it is; false for a role's.
func (e *execution) beside() (release.Accessory, bool) {
	name, is := state.AccessoryOf(e.place.Role)
	if !is {
		return release.Accessory{}, false
	}
	return e.desired.Accessory(name)
}

// besideThere finds the accessory's container there, with what was asked for when it was made.
func (e *execution) besideThere(ctx context.Context, a release.Accessory) (state.Container, error) {
	list, err := e.conn.Engine.Containers(ctx, state.Filter{Labels: map[string]string{state.LabelService: a.Service}})
	if err != nil {
		return state.Container{}, err
	}
	c, there := plan.AccessoryOn(a, state.Host{Name: e.on.Name, Containers: list})
	if !there {
		return c, fmt.Errorf("there is no container %s; `kamald accessory boot %s` makes it", a.Service, a.Name)
	}
	if owner := c.Accessory; owner != "" && !a.Shared && owner != e.desired.App().OwnedAs(a.Name) {
		return c, fmt.Errorf("the container %s belongs to the accessory %s: nothing is run in it, or with what it has", a.Service, plan.Printable(owner))
	}
	return e.conn.Engine.Inspect(ctx, c.ID, state.View{})
}

// besideCurrent is the accessory's container where it runs.
func (e *execution) besideCurrent(ctx context.Context, a release.Accessory) (state.Container, error) {
	c, err := e.besideThere(ctx, a)
	if err == nil && c.Status != state.StatusRunning {
		err = fmt.Errorf("the container %s does not run (%s); `kamald accessory start %s` starts it, and without --reuse a new one is made for the command", c.Name, c.Status, a.Name)
	}
	return c, err
}

// besideSpec is that of a container like the accessory's that is there: its image, and all that it has mounted, is there, too.
func (e *execution) besideSpec(ctx context.Context, a release.Accessory) (state.Spec, error) {
	like, err := e.besideThere(ctx, a)
	if err != nil {
		return state.Spec{}, err
	}
	seen := state.Host{Name: e.on.Name}
	if like.Asked == nil { // Kamal made it: what it is like, the file says
		if seen.Home, err = e.conn.Files.Home(ctx); err != nil {
			return state.Spec{}, err
		}
		if names := e.desired.HostVariables(e.on); len(names) > 0 {
			if seen.Environ, err = e.conn.Environ.Variables(ctx, names); err != nil {
				return state.Spec{}, err
			}
		}
	}
	spec, missing := plan.AccessoryExecSpec(e.desired, seen, e.on, a, like, e.o.Argv)
	if len(missing) > 0 {
		return state.Spec{}, fmt.Errorf("host_env: the SSH user's environment there has no %s", strings.Join(missing, ", "))
	}
	if err := e.besideImage(ctx, like, &spec); err != nil {
		return state.Spec{}, err
	}
	if err := e.besideFiles(ctx, a, spec); err != nil {
		return state.Spec{}, err
	}
	suffix := make([]byte, 3)
	_, _ = rand.Read(suffix) // it never fails
	e.container = a.Service + "-exec-" + hex.EncodeToString(suffix)
	return spec, nil
}

// besideImage has the container made from the image that the accessory runs, by its reference where that still means it.
func (e *execution) besideImage(ctx context.Context, like state.Container, spec *state.Spec) error {
	image, err := e.conn.Engine.Image(ctx, spec.Image)
	if unless(err, state.ErrNotFound) != nil {
		return err
	}
	if err != nil || image.ID != like.ImageID {
		spec.Image = like.ImageID
	}
	return nil
}

// besideFiles wants the files there that are mounted.
func (e *execution) besideFiles(ctx context.Context, a release.Accessory, spec state.Spec) error {
	err := filesThere(ctx, e.conn.Files, a, spec)
	if errors.Is(err, errFileGone) {
		return fmt.Errorf("%w, and --reuse needs none", err)
	}
	return err
}
