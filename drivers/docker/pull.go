package docker

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/moby/moby/api/types/jsonstream"
	"github.com/moby/moby/client"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// How long a pull may go on without getting any further.
const (
	pullSilence   = 2 * time.Minute
	unpackSilence = 15 * time.Minute // with everything there: not every engine says how far it has unpacked
)

// Pull fetches a reference; of a list, what there is for a platform, and without one the engine's own. It takes as long as it gets any
// further, however slowly.
func (e *Engine) Pull(ctx context.Context, ref, platform string, auth release.Auth) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	heard := listen(cancel)
	heard.told = state.TellPulled(ctx)
	defer heard.end()
	o := client.ImagePullOptions{RegistryAuth: encode(auth)}
	if p := platformOf(platform); p != nil {
		o.Platforms = []ocispec.Platform{*p}
	}
	stream, err := e.client.ImagePull(ctx, ref, o)
	if err == nil {
		err = progress(stream, heard.message)
		_ = stream.Close() // it was read to its end, or is given up
	}
	if silent, ok := errors.AsType[*silentPull](context.Cause(ctx)); ok && err != nil {
		return e.stalled(silent, ref)
	}
	return e.registryFailure(err, ref, "pull %s", ref)
}

// stalled is the error of a pull that was given up.
func (e *Engine) stalled(silent *silentPull, ref string) error {
	err := fmt.Errorf("%spull %s: %w", e.prefix(), ref, silent)
	if silent.unpacking {
		return err // the registry has given all of it
	}
	return &state.RegistryError{Fault: state.FaultStalled, Registry: registryOf(ref), Err: err}
}

// silentPull is why a pull was given up that did not get any further.
type silentPull struct {
	unpacking bool  // everything had come
	bytes     int64 // that had come
}

// Error implements error.
func (s *silentPull) Error() string {
	switch {
	case s.unpacking:
		return fmt.Sprintf("everything has come, and the engine has said nothing for %s while it unpacks: look at its disk and its log (journalctl -u docker) there, then do the same again", unpackSilence)
	case s.bytes == 0:
		return fmt.Sprintf("nothing of it came within %s", pullSilence)
	}
	return fmt.Sprintf("nothing more of it came for %s, after %d bytes", pullSilence, s.bytes)
}

// listening is for a pull to be given up that is silent. Engines that keep images as containerd does repeat how far they are while
// nothing comes: only what changes is heard.
type listening struct {
	watch  *time.Timer
	layers map[string]*pulled
	cancel context.CancelCauseFunc
	told   state.Pulled
}

// pulled is what was last heard of a layer.
type pulled struct {
	status  string
	current int64
	bytes   int64 // that have come
	total   int64 // of the layer; 0: not known yet
}

func listen(cancel context.CancelCauseFunc) *listening {
	l := &listening{layers: map[string]*pulled{}, cancel: cancel, told: func(int64, int64) {}}
	l.await(&silentPull{}, pullSilence)
	return l
}

// await gives the next word its time.
func (l *listening) await(otherwise *silentPull, within time.Duration) {
	l.end()
	l.watch = time.AfterFunc(within, func() { l.cancel(otherwise) })
}

func (l *listening) end() {
	if l.watch != nil {
		l.watch.Stop()
	}
}

// message hears one of the engine.
func (l *listening) message(m jsonstream.Message) {
	layer, known := l.layers[m.ID]
	if !known {
		layer = &pulled{}
		l.layers[m.ID] = layer
	}
	var current, total int64
	if m.Progress != nil {
		current, total = m.Progress.Current, m.Progress.Total
	}
	if known && m.ID != "" && layer.status == m.Status && layer.current == current {
		return
	}
	layer.status, layer.current = m.Status, current
	if m.Status == "Downloading" {
		layer.bytes, layer.total = max(layer.bytes, current), max(layer.total, total)
	}
	if m.Status == "Download complete" {
		layer.bytes = max(layer.bytes, layer.total)
	}
	silent := &silentPull{}
	whole, sized := int64(0), true
	layers, coming := 0, 0
	for id, layer := range l.layers {
		if id == "" || strings.HasPrefix(layer.status, "Pulling from") {
			continue
		}
		layers++
		silent.bytes += layer.bytes
		if layer.comes() {
			coming++
		}
		whole += layer.total
		sized = sized && (layer.total > 0 || !layer.comes())
	}
	if silent.bytes > 0 {
		if !sized {
			whole = 0 // it would grow with every layer that begins
		}
		l.told(silent.bytes, whole)
	}
	within := pullSilence
	if layers > 0 && coming == 0 {
		silent.unpacking, within = true, unpackSilence
	}
	l.await(silent, within)
}

// comes tells whether the layer is still to come from the registry.
func (p *pulled) comes() bool {
	return p.status == "Pulling fs layer" || p.status == "Waiting" || p.status == "Downloading" || strings.HasPrefix(p.status, "Retrying")
}
