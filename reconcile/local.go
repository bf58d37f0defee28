package reconcile

import (
	"context"
	"errors"
	"fmt"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// local is what this machine's own engine says of an image, which is carried from there when there is no registry.
type local struct {
	image state.Image // without an ID where it does not have it
	whole bool        // it keeps images as containerd does
	err   error       // it could not be asked
}

// here reaches this machine's own engine.
func (c *Controller) here(ctx context.Context) (*Connection, error) {
	return c.fleet.Connection(ctx, release.Host{Name: release.LocalHost, Address: release.LocalHost})
}

// imageHere looks for an image on this machine.
func (c *Controller) imageHere(ctx context.Context, ref string) (state.Image, error) {
	conn, err := c.here(ctx)
	if err != nil {
		return state.Image{}, err
	}
	image, err := conn.Engine.Image(ctx, ref)
	return image, unless(err, state.ErrNotFound)
}

// askHere asks this machine's engine all that a plan has to know before an image is carried.
func (c *Controller) askHere(ctx context.Context, ref string) (l local) {
	if l.image, l.err = c.imageHere(ctx, ref); l.err != nil || l.image.ID == "" {
		return l
	}
	conn, err := c.here(ctx)
	if err != nil {
		return local{err: err}
	}
	info, err := conn.Engine.Info(ctx)
	l.whole, l.err = info.Containerd, err
	return l
}

// notAskedHere is the problem of a plan whose image only this machine's engine may have, when that cannot be asked.
func notAskedHere(desired release.Release, err error) plan.Problem {
	return plan.Problem{Host: release.LocalHost,
		Summary: fmt.Sprintf("without a registry the image %s is carried from this machine, whose engine cannot be asked for it: %s", desired.Image(), why(err, release.LocalHost)),
		Next:    engineHere + ", or use a registry",
	}
}

// engineHere is what to do about an engine of this machine that does not do what it is asked for.
const engineHere = "see that Docker runs on this machine and that this user may use it (`docker version`), and that DOCKER_HOST is its socket (unix://…) or not set"

// canCarry tells what is in the way of an image from this machine to a host.
func canCarry(planned Planned, on release.Host, here local) []plan.Problem {
	desired, pin := planned.Desired, planned.Plan.Pin
	seen, _ := planned.Snapshot.Host(on.Name)
	switch {
	case here.image.ID != pin.ID:
		return []plan.Problem{{Host: on.Name, Summary: fmt.Sprintf("the image %s (%s) is neither on the host nor on this machine", desired.Image(), pin.ID), Next: elsewhere(planned)}}
	case here.whole != seen.Engine.Containerd:
		return []plan.Problem{mixedStores(on.Name, here.whole)}
	case here.image.Arch == "":
		return nil
	case here.image.Arch == "arm":
		seen.Engine.Variant = "" // which ARM an image is for, no engine's answer has
	}
	return plan.WrongPlatform(desired, planned.Plan.Filter, seen, []string{"linux/" + here.image.Arch})
}

// mixedStores: an image has another ID in either kind of store, so that it cannot be known again.
func mixedStores(host string, here bool) plan.Problem {
	kept := map[bool]string{true: "as containerd does", false: "by a storage driver of its own"}
	return plan.Problem{Host: host,
		Summary: fmt.Sprintf("this machine's engine keeps images %s and the host's %s, where the same image has another ID: it cannot be carried there", kept[here], kept[!here]),
		Next:    "use a registry, or set both engines to the same store (`features` in /etc/docker/daemon.json)"}
}

// asError is a problem that showed only while the plan was carried out.
func asError(p plan.Problem) error { return errors.New(p.Summary + "\n  next: " + p.Next) }
