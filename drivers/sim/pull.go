package sim

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// pullSilence is how long the driver waits for a pull that does not get any further.
const pullSilence = 2 * time.Minute

var errSilent = fmt.Errorf("nothing more of it came for %s", pullSilence)

// Pull fetches a reference from the world's registry. An image comes steadily; a call that hangs is given up, as the driver does.
func (e *Engine) Pull(ctx context.Context, ref, platform string, auth release.Auth) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watch := time.AfterFunc(pullSilence, func() { cancel(errSilent) })
	defer watch.Stop()
	w, h := e.world, e.host
	var image Image
	var chosen string
	call := Call{Method: "Engine.Pull", Args: ref, Mutates: true}
	err := e.call(ctx, call, func(*host) (err error) {
		if image, err = w.fetch(ref, auth); err == nil {
			chosen, err = image.choose(platform, h.arch, ref)
		}
		return err
	}, func(ctx context.Context) error {
		watch.Stop()
		w.pulls(1)
		told := tellSteadily(ctx, image)
		err := sleep(ctx, image.PullTakes)
		told()
		w.pulls(-1)
		watch.Reset(pullSilence)
		if err != nil {
			return err
		}
		return w.pulled(h, image, chosen, ref)
	})
	if err != nil && errors.Is(context.Cause(ctx), errSilent) {
		return &state.RegistryError{Fault: state.FaultStalled, Registry: registryOf(ref), Err: e.failure(call, errSilent)}
	}
	return err
}

// tellSteadily says every second how much of an image has come, until it is ended.
func tellSteadily(ctx context.Context, image Image) (end func()) {
	told, began := state.TellPulled(ctx), time.Now()
	var next *time.Timer
	var mu sync.Mutex
	mu.Lock()
	defer mu.Unlock()
	next = time.AfterFunc(time.Second, func() {
		mu.Lock()
		defer mu.Unlock()
		if passed := time.Since(began); next != nil && passed < image.PullTakes {
			told(int64(float64(image.Size)*passed.Seconds()/image.PullTakes.Seconds()), image.Size)
			next.Reset(time.Second)
		}
	})
	return func() {
		mu.Lock()
		defer mu.Unlock()
		next.Stop()
		next = nil
	}
}

// pulled puts what has come into the host's store.
func (w *World) pulled(h *host, image Image, platform, ref string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	m, err := h.bring(image, ref)
	if err != nil {
		return err
	}
	m.platform = platform
	repository, _, pinned := strings.Cut(familiar(ref), "@")
	if !pinned {
		repository = repository[:strings.LastIndex(repository, ":")]
	}
	m.digests = addOnce(m.digests, repository+"@"+image.digest)
	h.tellImage(state.ActionPull, familiar(ref))
	return nil
}

// choose gives the platform of the image that a pull takes: of a list that which is asked for, or else the host's own; an image that
// is in no list is taken whatever it is for.
func (m Image) choose(asked, arch, ref string) (string, error) {
	if len(m.Platforms) == 1 {
		return m.Platforms[0], nil
	}
	wanted := []string{asked}
	if asked == "" {
		wanted = []string{"linux/" + arch}
		if arch == "amd64" {
			wanted = append(wanted, "linux/386")
		}
	}
	for _, want := range wanted {
		for _, platform := range m.Platforms {
			if strings.HasPrefix(platform+"/", want+"/") {
				return platform, nil
			}
		}
	}
	return "", &state.RegistryError{Fault: state.FaultPlatform, Registry: registryOf(ref),
		Err: fmt.Errorf("no matching manifest for %s in the manifest list entries", wanted[0])}
}

// registryOf is the registry of a reference, as the driver names it.
func registryOf(ref string) string {
	if server := release.ServerOf(ref); server != "" {
		return server
	}
	return "docker.io"
}
