package docker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// neverDetach takes the place of the engine's own keys to leave a terminal, ctrl-p and ctrl-q: a console needs those. Nobody types this.
const neverDetach = "ctrl-@,ctrl-@,ctrl-@,ctrl-@,ctrl-@,ctrl-@,ctrl-@,ctrl-@"

// Converse runs a command in a container with streams, and waits for its end.
func (e *Engine) Converse(ctx context.Context, name string, argv []string, env map[string]release.Secret, s state.Streams) (int, error) {
	what := fmt.Sprintf("run %s in container %s", argv[0], name)
	options := client.ExecCreateOptions{Cmd: argv, Env: environment(nil, env), AttachStdin: s.In != nil, AttachStdout: true, AttachStderr: true,
		TTY: s.Terminal != nil, DetachKeys: neverDetach}
	if s.Terminal != nil { // engines of before API 1.42 do not know it: they are told when it runs
		options.ConsoleSize = client.ConsoleSize{Height: uint(s.Terminal.Size.Height), Width: uint(s.Terminal.Size.Width)}
	}
	created, err := e.client.ExecCreate(ctx, name, options)
	if err != nil {
		return 0, e.failure(err, "%s", what)
	}
	attached, err := e.client.ExecAttach(ctx, created.ID, client.ExecAttachOptions{TTY: s.Terminal != nil})
	if err != nil {
		return 0, e.failure(err, "%s", what)
	}
	err = carry(ctx, attached.HijackedResponse, s, func(ctx context.Context, size state.Size) error {
		_, err := e.client.ExecResize(ctx, created.ID, client.ExecResizeOptions{Height: uint(size.Height), Width: uint(size.Width)})
		return err
	})
	if err != nil {
		return 0, e.unlessOver(ctx, err, "%s", what)
	}
	code, err := e.exitCode(ctx, created.ID)
	return code, e.unlessOver(ctx, err, "%s", what)
}

// RunThrough starts a container that was made, carries its streams until it ends, and gives its exit code.
func (e *Engine) RunThrough(ctx context.Context, name string, s state.Streams) (int, error) {
	attached, err := e.client.ContainerAttach(ctx, name, client.ContainerAttachOptions{Stream: true, Stdin: s.In != nil, Stdout: true, Stderr: true,
		DetachKeys: neverDetach})
	if err != nil {
		if _, gone := e.Inspect(ctx, name, state.View{}); gone != nil {
			return 0, gone // the refusal of a stream has no words
		}
		return 0, e.unlessOver(ctx, err, "attach to container %s", name)
	}
	waiting, enough := context.WithCancel(ctx)
	defer enough()
	// It may have ended, and be gone, by the time that its streams have: its end is waited for from before its start.
	ended := e.client.ContainerWait(waiting, name, client.ContainerWaitOptions{Condition: container.WaitConditionNextExit})
	if err := e.Start(ctx, name); err != nil {
		attached.Close()
		return 0, err
	}
	err = carry(ctx, attached.HijackedResponse, s, func(ctx context.Context, size state.Size) error {
		_, err := e.client.ContainerResize(ctx, name, client.ContainerResizeOptions{Height: uint(size.Height), Width: uint(size.Width)})
		return err
	})
	if err != nil {
		return 0, e.unlessOver(ctx, err, "run container %s", name)
	}
	select {
	case end := <-ended.Result:
		if end.Error != nil {
			return 0, e.failure(errors.New(end.Error.Message), "wait for the end of container %s", name)
		}
		return int(end.StatusCode), nil
	case err := <-ended.Error:
		return 0, e.unlessOver(ctx, err, "wait for the end of container %s", name)
	}
}

// carry copies what comes either way until the output has ended, and closes the stream.
func carry(ctx context.Context, stream client.HijackedResponse, s state.Streams, resize func(context.Context, state.Size) error) (err error) {
	defer stream.Close()
	defer context.AfterFunc(ctx, stream.Close)() // the stream knows no context
	sized, enough := context.WithCancel(ctx)
	defer enough()
	if s.Terminal != nil {
		go keepSize(sized, *s.Terminal, resize)
	}
	if s.In != nil {
		go func() {
			_, _ = io.Copy(stream.Conn, s.In) // a command that ended reads no more
			_ = stream.CloseWrite()
		}()
	}
	if s.Terminal != nil {
		_, err = io.Copy(output{s.Out}, stream.Reader)
	} else {
		_, err = stdcopy.StdCopy(output{s.Out}, output{s.Err}, stream.Reader)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// output is where a command's output goes. A pipe of ours that broke is not to be taken for the engine's connection.
type output struct{ io.Writer }

// Write implements io.Writer.
func (o output) Write(b []byte) (int, error) {
	n, err := o.Writer.Write(b)
	if err != nil {
		err = fmt.Errorf("%w: %w", state.ErrUnwritten, err)
	}
	return n, err
}

// keepSize has the command's terminal as large as ours. The engine knows none of it for a moment after it has begun.
func keepSize(ctx context.Context, t state.Terminal, resize func(context.Context, state.Size) error) {
	const tries, pause = 20, 50 * time.Millisecond
	size := t.Size
	for {
		for range tries {
			if size == (state.Size{}) || resize(ctx, size) == nil || ctx.Err() != nil {
				break
			}
			time.Sleep(pause)
		}
		select {
		case <-ctx.Done():
			return
		case size = <-t.Resized:
		}
	}
}
