package docker

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"syscall"
	"testing"

	"github.com/moby/moby/client"

	"github.com/kamald/kamald/state"
)

// closed is a pipe that nobody reads.
type closed struct{}

func (closed) Write([]byte) (int, error) { return 0, syscall.EPIPE }

// A pipe of ours that broke looks as an engine's connection that did.
func TestOutputThatCannotBeWrittenIsNoLostConnection(t *testing.T) {
	e := New(func(context.Context, string, string) (net.Conn, error) { return nil, io.EOF }, Options{Host: "web-1"})
	for name, s := range map[string]state.Streams{
		"output":     {Out: closed{}, Err: io.Discard},
		"complaints": {Out: io.Discard, Err: closed{}},
		"a terminal": {Out: closed{}, Terminal: &state.Terminal{}},
	} {
		here, there := net.Pipe()
		go func() { _, _ = io.WriteString(there, framed(1, "one\n")+framed(2, "two\n")) }() // it ends with the stream
		resize := func(context.Context, state.Size) error { return nil }
		err := e.failure(carry(t.Context(), client.HijackedResponse{Conn: here, Reader: bufio.NewReader(here)}, s, resize), "run container shop")
		if !errors.Is(err, state.ErrUnwritten) || !errors.Is(err, syscall.EPIPE) || errors.Is(err, state.ErrUnreachable) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
