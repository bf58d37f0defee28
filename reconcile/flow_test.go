package reconcile

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kamald/kamald/state"
)

// taker is an engine that takes an archive in its own way.
type taker struct {
	Engine
	take func(ctx context.Context, archive io.Reader) error
}

func (e taker) Load(ctx context.Context, archive io.Reader) error { return e.take(ctx, archive) }

func TestSendingEndsWhenNothingMovesAndNotBefore(t *testing.T) {
	hang := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	for _, c := range []struct {
		name  string
		from  io.Reader
		slow  time.Duration // what a chunk waits for its share of the line
		take  func(ctx context.Context, archive io.Reader) error
		says  string // "": it ends well
		after time.Duration
	}{
		{name: "a host that takes a chunk every 50 seconds", after: 10 * 50 * time.Second, take: func(_ context.Context, archive io.Reader) error {
			b := make([]byte, chunk)
			for range 10 {
				time.Sleep(50 * time.Second)
				if _, err := archive.Read(b); err != nil {
					return err
				}
			}
			return nil
		}},
		{name: "a line on which every 8 KiB wait for an hour", slow: time.Hour, after: 41 * time.Hour, take: func(_ context.Context, archive io.Reader) error {
			_, err := io.Copy(io.Discard, archive)
			return err
		}},
		{name: "a host that stops taking", says: "was taken for 1m0s, after 32768 bytes", after: time.Minute, take: func(ctx context.Context, archive io.Reader) error {
			_, _ = archive.Read(make([]byte, chunk))
			return hang(ctx)
		}},
		{name: "an engine that does not answer", says: "did not answer within 15m0s", after: 15 * time.Minute, take: func(ctx context.Context, archive io.Reader) error {
			_, _ = io.Copy(io.Discard, archive)
			return hang(ctx)
		}},
		{name: "an engine that refuses", says: "refused", take: func(context.Context, io.Reader) error { return errors.New("refused") }},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				f := &flow{from: strings.NewReader(strings.Repeat("x", 10*chunk+1))}
				if c.slow > 0 {
					f.throttle = func(ctx context.Context, _ int) error { return sleep(ctx, c.slow) }
				}
				err := load(t.Context(), taker{take: c.take}, f)
				if c.says == "" && err != nil || c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)) {
					t.Errorf("got %v, want %q", err, c.says)
				}
				if stalled := strings.Contains(c.says, "within") || strings.Contains(c.says, "taken"); stalled && (!errors.Is(err, state.ErrUnreachable) || cutOff(err)) {
					t.Errorf("%v: what stands still is no cut line, and not known to have failed", err)
				}
				if took := time.Since(began); took != c.after {
					t.Errorf("it took %s, want %s", took, c.after)
				}
			})
		})
	}
}

func TestADamagedLayerIsToldFromAnotherFailure(t *testing.T) {
	layers := []string{"sha256:" + strings.Repeat("a", 64), "sha256:" + strings.Repeat("b", 64), "sha256:" + strings.Repeat("c", 64)}
	for _, c := range []struct {
		engine string
		from   int
		names  string // the layers that are named; "": it is not about a layer
	}{
		{`invalid diffID for layer 2: expected "x", got "y"`, 1, "the layer cccccccccccc was"},
		{"Error processing tar file(flate: corrupt input before offset 81): ", 2, "the layer cccccccccccc was"},
		{"gzip: invalid checksum", 1, "one of the 2 layers from bbbbbbbbbbbb to cccccccccccc was"},
		{"open /var/lib/docker/tmp/x/layer.tar: no such file or directory", 1, ""},
		{"write /x: no space left on device", 1, ""},
		{"gzip: invalid checksum", 3, ""}, // there was no layer in it
	} {
		err := damaged(errors.New(c.engine), c.from, layers)
		var found *DamagedError
		if is := errors.As(err, &found); is != (c.names != "") || !strings.Contains(err.Error(), c.names) || !strings.Contains(err.Error(), c.engine) {
			t.Errorf("%s: %v", c.engine, err)
		}
		if again := refused(t.Context(), err); again != strings.HasPrefix(c.engine, "open ") && c.from < 3 {
			t.Errorf("%s: is all of it sent again? %v", c.engine, again)
		}
	}
	if damaged(state.ErrUnreachable, 0, layers) != state.ErrUnreachable || damaged(nil, 0, layers) != nil {
		t.Error("what is no error of the engine has become one")
	}
}

func TestPartsOfAnImageEndBehindLargeLayers(t *testing.T) {
	sized := func(sizes ...int64) (layers []state.Layer) {
		for _, size := range sizes {
			layers = append(layers, state.Layer{Packed: size})
		}
		return layers
	}
	for _, c := range []struct {
		layers []state.Layer
		from   int
		want   []int
	}{
		{sized(), 0, []int{0}},
		{sized(5), 0, []int{1}},
		{sized(5), 1, []int{1}},
		{sized(10, 1, 2, 10, 1), 0, []int{1, 4, 5}},
		{sized(0, 6, 6, 1), 1, []int{3, 4}},
		{sized(20, 20), 0, []int{1, 2}},
		{sized(1, 1, 20), 0, []int{3}},
	} {
		if got := stages(c.layers, c.from, 10); len(got) != len(c.want) || got[len(got)-1] != c.want[len(c.want)-1] || got[0] != c.want[0] {
			t.Errorf("%v from %d: %v, want %v", c.layers, c.from, got, c.want)
		}
	}
}
