package ssh

import (
	"context"
	"fmt"
	"io"
	"sync"

	"github.com/kamald/kamald/state"
)

// gates are where the two streams of a command go.
type gates struct {
	out, complaint *gate
	failed         chan error
}

func newGates(out, complaint io.Writer) *gates {
	failed := make(chan error, 1)
	return &gates{out: &gate{to: out, failed: failed}, complaint: &gate{to: complaint, failed: failed}, failed: failed}
}

// wait waits for a command's end, and gives how it ended. given is why it is not waited for any more: ctx has ended, or what it says cannot
// be written.
func (g *gates) wait(ctx context.Context, ended <-chan error) (err, given error) {
	select {
	case err = <-ended:
		select {
		case given = <-g.failed: // it lacks a part of what it said
		default:
		}
	case given = <-g.failed:
	case <-ctx.Done():
		given = context.Cause(ctx)
	}
	return err, given
}

// shut lets nothing through from here on.
func (g *gates) shut() {
	g.out.shut()
	g.complaint.shut()
}

// gate lets writes through until it is shut, or one fails: a command that nobody waits for any more may still say something. That is taken
// and dropped, for what is not read any more keeps a command from its end.
type gate struct {
	mu     sync.Mutex
	to     io.Writer
	off    bool
	failed chan<- error // takes the first that fails
}

// Write implements io.Writer.
func (g *gate) Write(b []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.off {
		return len(b), nil
	}
	if _, err := g.to.Write(b); err != nil {
		g.off = true
		select {
		case g.failed <- fmt.Errorf("%w: %w", state.ErrUnwritten, err):
		default: // the other stream's did before
		}
	}
	return len(b), nil
}

func (g *gate) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.off = true
}
