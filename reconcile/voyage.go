package reconcile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/state"
)

// DamagedError: a layer is not on the host what it was here. The engine has refused it, and keeps nothing of it.
type DamagedError struct {
	Layers []string // that one of which it is
	why    error
}

func (e *DamagedError) Error() string {
	which := "the layer " + brief(e.Layers[0])
	if len(e.Layers) > 1 {
		which = fmt.Sprintf("one of the %d layers from %s to %s", len(e.Layers), brief(e.Layers[0]), brief(e.Layers[len(e.Layers)-1]))
	}
	return fmt.Sprintf("%s was damaged on the way, and the engine has refused it: %v\n  next: the same again sends it again; when that happens twice, look at the memory and the disk of this machine and of the host", which, e.why)
}

// Unwrap gives what the engine said.
func (e *DamagedError) Unwrap() error { return e.why }

func brief(id string) string { return state.ShortID(strings.TrimPrefix(id, "sha256:")) }

// voyage is one attempt to bring an image to a host.
type voyage struct {
	r      *run
	step   plan.Step
	to     Engine
	spared int64 // bytes that did not have to travel, uncompressed

	mu    sync.Mutex
	sent  int64
	total int64     // 0: not known
	about bool      // more or less may come than that
	said  time.Time // when a word was said about it
}

// layers sends the layers from one on, in stages, and notes under which tags they wait for each other.
func (v *voyage) layers(ctx context.Context, from int, waiting *[]string) error {
	g := v.r.cargo
	layers, err := g.keep(ctx, from)
	if err != nil {
		return err
	}
	size := g.c.StageBytes
	if size == 0 {
		size = stageBytes
	}
	v.spared = g.image.Size
	var total int64
	for _, layer := range layers[from:] {
		v.spared = max(0, v.spared-layer.Size)
		total += layer.Packed
	}
	v.begin(total, false)
	for _, end := range stages(layers, from, size) {
		ref := v.step.Name
		if end < len(layers) {
			ref = v.r.desired.ImageName() + ":" + v.r.desired.App().CarriedTag(g.image.Layers[:end])
			*waiting = append(*waiting, ref)
		}
		archive, err := g.spool.Archive(from, end, ref, map[string]string{carriedLabel: v.r.desired.App().String()})
		if err != nil {
			return g.blame(ctx, g.unready(), diskHere, err)
		}
		if err := v.load(ctx, archive); err != nil {
			return damaged(err, from, g.image.Layers[:end])
		}
		from = end
	}
	return nil
}

// whole sends the image as this machine's engine gives it out. How large that is, only the image's own size tells, and not well.
func (v *voyage) whole(ctx context.Context, conn *Connection) error {
	g := v.r.cargo
	archive, err := g.save(ctx)
	if err != nil {
		return err
	}
	v.begin(g.image.Size, true)
	err = v.load(ctx, archive)
	_ = archive.Close() // what it was for has ended
	if err != nil {
		return damaged(err, 0, g.image.Layers)
	}
	return conn.Engine.Tag(ctx, g.id, v.step.Name)
}

// begin counts from nothing.
func (v *voyage) begin(total int64, about bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.sent, v.total, v.about, v.said = 0, total, about, v.r.c.now()
}

// load gives an archive to the host's engine, within the limit for all hosts, and counts. What this machine did not give to send is
// no fault of the host, whatever its engine makes of an archive that ends too early.
func (v *voyage) load(ctx context.Context, archive io.Reader) error {
	g, f := v.r.cargo, &flow{from: archive, throttle: v.r.c.Throttle, moved: v.moved}
	err := load(ctx, v.to, f)
	stalled, still := errors.AsType[*StalledError](err)
	switch {
	case err == nil:
		return nil
	case f.why() != nil:
		return g.blame(ctx, fmt.Sprintf("after %d bytes this machine could not read on what it was sending", f.sent.Load()), diskHere, f.why())
	case still && stalled.on == forSource:
		return g.blame(ctx, stalled.Error(), engineHere, nil)
	}
	return err
}

// moved counts bytes, and says so now and then.
func (v *voyage) moved(bytes int) {
	v.r.cargo.note(v.step.Host, func(sum *Carried) { sum.Sent += int64(bytes) })
	v.mu.Lock()
	v.sent += int64(bytes)
	sent, total, about, now := v.sent, max(v.total, v.sent), "", v.r.c.now()
	if v.about {
		about = "about "
	}
	due := now.Sub(v.said) >= bytesEvery
	if due {
		v.said = now
	}
	of := ""
	if v.total > 0 {
		of = " of " + about + plan.Size(total)
	} else {
		total = 0
	}
	v.mu.Unlock()
	if due {
		v.r.c.report(Progress{Kind: "bytes", Host: v.step.Host, Role: v.step.Role, Step: v.step.ID, Phase: v.step.Phase.String(), Bytes: sent, Total: total,
			Message: describe(v.step) + ": " + plan.Size(sent) + of})
	}
}

// wrongLayer is how an engine names the layer whose contents do not have its digest, counted from 0.
var wrongLayer = regexp.MustCompile(`invalid diffID for layer (\d+)`)

// broken is in what engines say of a layer or an archive that does not unpack.
var broken = []string{"invalid diffid", "checksum", "corrupt", "invalid tar header", "unexpected eof", "invalid header", "gzip: invalid"}

// damaged tells of an engine's error which layer did not arrive as it was; any other error stays as it is.
func damaged(err error, from int, layers []string) error {
	if err == nil || isHere(err) || errors.Is(err, state.ErrUnreachable) || len(layers) == from {
		return err
	}
	text := strings.ToLower(err.Error())
	for _, words := range broken {
		if !strings.Contains(text, words) {
			continue
		}
		found := &DamagedError{Layers: layers[from:], why: err}
		if named := wrongLayer.FindStringSubmatch(err.Error()); named != nil {
			if n, err := strconv.Atoi(named[1]); err == nil && n < len(layers) {
				found.Layers = layers[n : n+1]
			}
		}
		return found
	}
	return err
}
