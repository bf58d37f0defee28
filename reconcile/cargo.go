package reconcile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// Spool takes the archive of an image apart, keeps layers of it on this machine's disk, and makes archives of them.
type Spool interface {
	// Fill reads the archive of one image, as Engine.Save gives it, and keeps its configuration and the layers that are wanted, by
	// their diff IDs. Filled again with the same image, it keeps further ones.
	Fill(ctx context.Context, archive io.Reader, wanted []string) error
	// Layers are the image's, lowest first.
	Layers() []state.Layer
	// Archive is the image of the lowest layers up to one, for an engine that has those below another already: with no file for
	// them in it. Up to the last layer it is the image itself, under a reference; else it has these labels and nothing else but the
	// layers.
	Archive(from, to int, ref string, labels map[string]string) (io.Reader, error)
	// Place is the directory whose file system takes what is kept.
	Place() string
	Close() error
}

// What is done at once, and how long this machine may take.
const (
	carriedAtOnce = 4                // hosts that share the line, and with it this machine's memory
	saveLimit     = 15 * time.Minute // for this machine's engine to give an image out
)

// Carried is what was sent of an image from this machine to a host.
type Carried struct {
	Host       string `json:"host"`
	Sent       int64  `json:"sent"`                  // bytes, as they travelled, those of attempts that were cut off too
	Layers     int    `json:"layers"`                // that came
	There      int    `json:"there"`                 // layers that the host had
	ThereBytes int64  `json:"there_bytes,omitempty"` // about, uncompressed
}

// cargo is the image that a run carries from this machine: read once, for all hosts. A nil one carries nothing.
type cargo struct {
	c     *Controller
	id    string
	slots chan struct{} // one for each host at once
	one   chan struct{} // whoever uses this machine's engine

	here  *Connection
	image state.Image // on this machine; without an ID until it was looked at
	whole bool        // this machine's engine keeps images as containerd does
	spool Spool
	from  int // the spool has the layers from here on

	mu     sync.Mutex
	want   int        // the lowest that somebody waits for
	failed *HereError // why this machine did not give the image out; no other host need wait for the same again
	sent   map[string]Carried
}

func newCargo(c *Controller, id string) *cargo {
	return &cargo{c: c, id: id, slots: make(chan struct{}, carriedAtOnce), one: make(chan struct{}, 1), sent: map[string]Carried{}}
}

// close gives back what is kept.
func (g *cargo) close() {
	if g != nil && g.spool != nil {
		_ = g.spool.Close() // it is on nobody's way any more
	}
}

// enter waits for a place on the line.
func (g *cargo) enter(ctx context.Context) (leave func(), err error) {
	select {
	case g.slots <- struct{}{}:
		return func() { <-g.slots }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// turn waits until nobody else uses this machine's engine.
func (g *cargo) turn(ctx context.Context) (end func(), err error) {
	select {
	case g.one <- struct{}{}:
		return func() { <-g.one }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// look finds the image on this machine, once for the run.
func (g *cargo) look(ctx context.Context) (state.Image, error) {
	end, err := g.turn(ctx)
	if err != nil {
		return state.Image{}, err
	}
	defer end()
	if g.image.ID != "" {
		return g.image, nil
	}
	if err := g.failure(); err != nil {
		return state.Image{}, err
	}
	if g.c.NewSpool == nil {
		return state.Image{}, errors.New("there is no registry, and images cannot be carried from here")
	}
	const carried = "without a registry the image is carried from this machine, "
	here, err := g.c.here(ctx)
	if err != nil {
		return state.Image{}, g.blame(ctx, carried+"whose engine is not there", engineHere, err)
	}
	info, err := here.Engine.Info(ctx)
	if err != nil {
		return state.Image{}, g.blame(ctx, carried+"whose engine does not answer", engineHere, err)
	}
	image, err := here.Engine.Image(ctx, g.id)
	if errors.Is(err, state.ErrNotFound) {
		return state.Image{}, g.blame(ctx, fmt.Sprintf("the image %s is not on this machine any more, from which it is carried without a registry", g.id), "build it again and plan again", nil)
	}
	if err != nil {
		return state.Image{}, g.blame(ctx, carried+"whose engine does not answer", engineHere, err)
	}
	g.here, g.whole, g.from, g.want, g.spool = here, info.Containerd, len(image.Layers), len(image.Layers), g.c.NewSpool()
	g.image = image
	return image, nil
}

// keep has the image's layers from one on in the spool. Those who wait for it at one time are served by one reading.
func (g *cargo) keep(ctx context.Context, from int) ([]state.Layer, error) {
	g.mu.Lock()
	g.want = min(g.want, from)
	g.mu.Unlock()
	end, err := g.turn(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	if layers := g.spool.Layers(); len(layers) > 0 && from >= g.from {
		return layers, nil
	}
	if err := g.failure(); err != nil {
		return nil, err
	}
	g.mu.Lock()
	want := g.want
	g.mu.Unlock()
	if err := g.fill(ctx, want); err != nil {
		return nil, err
	}
	g.from = want
	return g.spool.Layers(), nil
}

// fill reads the image from this machine's engine into the spool, from a layer on.
func (g *cargo) fill(ctx context.Context, from int) error {
	within, cancel := context.WithTimeoutCause(ctx, saveLimit, errSaveLimit)
	defer cancel()
	archive, err := g.here.Engine.Save(within, g.id)
	if err != nil {
		return g.blame(ctx, notGivenOut, engineHere, because(within, err))
	}
	err = g.spool.Fill(within, archive, g.image.Layers[from:g.from])
	err = errors.Join(err, archive.Close())
	switch {
	case err == nil:
		return nil
	case noRoom(err):
		return g.blame(ctx, fmt.Sprintf("this machine has no room in %s for the layers that are to travel", g.spool.Place()),
			fmt.Sprintf("make room there (`df -h %s`), or set TMPDIR to a directory that has it", g.spool.Place()), err)
	}
	return g.blame(ctx, g.unready(), diskHere, because(within, err))
}

// save has this machine's engine give the image out as it is. Only the wait for that to begin has a limit: how long the rest takes
// the line decides (flow).
func (g *cargo) save(ctx context.Context) (io.ReadCloser, error) {
	if err := g.failure(); err != nil {
		return nil, err
	}
	within, cancel := context.WithCancelCause(ctx)
	limit := time.AfterFunc(saveLimit, func() { cancel(errSaveLimit) })
	archive, err := g.here.Engine.Save(within, g.id)
	limit.Stop()
	if err != nil {
		defer cancel(nil)
		return nil, g.blame(ctx, notGivenOut, engineHere, because(within, err))
	}
	return saved{archive, cancel}, nil
}

// saved is an archive that this machine's engine gives out.
type saved struct {
	io.ReadCloser
	cancel context.CancelCauseFunc
}

// Close implements io.Closer.
func (s saved) Close() error {
	defer s.cancel(nil)
	return s.ReadCloser.Close()
}

var errSaveLimit = fmt.Errorf("it took longer than %s", saveLimit)

const (
	notGivenOut = "this machine's engine did not give the image out"
	diskHere    = "look at the engine of this machine and at its disk, and do the same again"
)

// unready says that the layers did not get into the spool, or not out of it.
func (g *cargo) unready() string {
	return fmt.Sprintf("this machine did not get the layers ready that are to travel, in %s", g.spool.Place())
}

// because is why something failed whose time was up, which says itself no more than that it was.
func because(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// blame says that this machine is at fault, to this host and to all that come after it: none would fare better. When nobody waits
// any more, it says why that is.
func (g *cargo) blame(ctx context.Context, what, next string, why error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.failed == nil {
		g.failed = &HereError{what: what, next: next, why: why}
	}
	return g.failed
}

// failure is what this machine is at fault for already, nil for nothing.
func (g *cargo) failure() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.failed == nil {
		return nil
	}
	return g.failed
}

// note adds what was sent to a host.
func (g *cargo) note(host string, change func(*Carried)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	sum := g.sent[host]
	sum.Host = host
	change(&sum)
	g.sent[host] = sum
}

// carried lists what was sent, in the order of the hosts.
func (g *cargo) carried(hosts []release.Host) (list []Carried) {
	if g == nil {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, host := range hosts {
		if sum, ok := g.sent[host.Name]; ok {
			list = append(list, sum)
		}
	}
	return slices.Clip(list)
}
