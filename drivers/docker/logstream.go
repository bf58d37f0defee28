package docker

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"

	"github.com/kamald/kamald/state"
)

// logOpens is how long an engine may take to begin with a log: it answers before there is a line.
const logOpens = 30 * time.Second

// ReadLog tells a container's lines one after another.
func (e *Engine) ReadLog(ctx context.Context, name string, q state.LogQuery, told func(state.LogLine)) error {
	options := client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true, Timestamps: true, Follow: q.Follow}
	if q.Tail > 0 {
		options.Tail = strconv.Itoa(q.Tail)
	}
	if !q.Since.IsZero() {
		options.Since = q.Since.UTC().Format(time.RFC3339Nano)
	}
	stream, err := e.openLog(ctx, name, options)
	if err == nil {
		defer stream.Close()
		source := bufio.NewReaderSize(stream, 32<<10)
		if multiplexed(source) {
			err = readFrames(source, told)
		} else {
			err = readLines(source, told)
		}
	}
	if errdefs.IsNotImplemented(err) {
		return fmt.Errorf("%slog of container %s: %w", e.prefix(), shortened(name), state.ErrNoLog)
	}
	return e.unlessOver(ctx, err, "log of container %s", name)
}

// unlessOver is failure for a call that lasts as long as its caller wants: the end of that is no fault of the engine's.
func (e *Engine) unlessOver(ctx context.Context, err error, format string, args ...any) error {
	if err == nil || ctx.Err() == nil {
		return e.failure(err, format, args...)
	}
	for i, arg := range args {
		args[i] = shortened(arg)
	}
	return fmt.Errorf("%s%s: %w", e.prefix(), fmt.Sprintf(format, args...), context.Cause(ctx))
}

// openLog asks for a log; an engine that does not even begin is not waited for.
func (e *Engine) openLog(ctx context.Context, name string, o client.ContainerLogsOptions) (io.ReadCloser, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	limit := time.AfterFunc(logOpens, func() {
		cancel(fmt.Errorf("the engine did not begin with it within %s: %w", logOpens, context.DeadlineExceeded))
	})
	defer limit.Stop()
	stream, err := e.client.ContainerLogs(ctx, name, o)
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		cancel(nil)
		return nil, err
	}
	return &cancelling{stream, cancel}, nil
}

// cancelling gives what its context holds back when it is closed.
type cancelling struct {
	io.ReadCloser
	cancel context.CancelCauseFunc
}

// Close implements io.Closer.
func (c *cancelling) Close() error {
	c.cancel(nil)
	return c.ReadCloser.Close()
}

// readFrames reads the stream of a container without a terminal: a frame has a line, or a part of a long one, behind its own time.
func readFrames(source *bufio.Reader, told func(state.LogLine)) error {
	out, errs := &lineJoiner{told: told}, &lineJoiner{told: told, stderr: true}
	defer errs.end()
	defer out.end()
	var head [8]byte
	var frame []byte
	for {
		if _, err := io.ReadFull(source, head[:]); err != nil {
			return unlessEnded(err)
		}
		size := int64(binary.BigEndian.Uint32(head[4:]))
		if head[1] != 0 || head[2] != 0 || head[3] != 0 || head[0] > 3 {
			return fmt.Errorf("the engine sends something else than a log: % x", head)
		}
		kept := min(size, state.LogLineLimit+128)
		frame = append(frame[:0], make([]byte, kept)...)
		if _, err := io.ReadFull(source, frame); err != nil {
			return noEnd(err)
		}
		if _, err := io.CopyN(io.Discard, source, size-kept); err != nil {
			return noEnd(err)
		}
		switch head[0] {
		case 1, 0:
			out.frame(frame, size > kept)
		case 2:
			errs.frame(frame, size > kept)
		default:
			return fmt.Errorf("the engine could not go on: %s", bytes.TrimSpace(frame))
		}
	}
}

// readLines reads the stream of a container with a terminal.
func readLines(source *bufio.Reader, told func(state.LogLine)) error {
	out := &lineJoiner{told: told}
	defer out.end()
	for {
		part, err := source.ReadSlice('\n')
		if len(part) > 0 {
			if out.open {
				out.add(part)
			} else {
				out.frame(part, false)
			}
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return unlessEnded(err)
		}
	}
}

// unlessEnded: a log that has come to its end ends between two frames.
func unlessEnded(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// noEnd: an end in the middle is none.
func noEnd(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// lineJoiner makes lines of what comes of one stream: the engine cuts long ones, and puts its time before each part.
type lineJoiner struct {
	told   func(state.LogLine)
	stderr bool
	open   bool // a line has begun
	at     time.Time
	text   []byte
	cut    bool
}

// frame takes a part that begins with a time.
func (j *lineJoiner) frame(b []byte, cut bool) {
	stamp, rest, found := bytes.Cut(b, []byte(" "))
	at, err := time.Parse(time.RFC3339Nano, string(stamp))
	if !found || err != nil {
		at, rest = j.at, b
	}
	if !j.open {
		j.at = at.UTC()
	}
	j.add(rest)
	if j.cut = j.cut || cut; cut {
		j.end()
	}
}

// add takes a part of a line, or the rest of it.
func (j *lineJoiner) add(b []byte) {
	for len(b) > 0 {
		line, rest, ended := bytes.Cut(b, []byte("\n"))
		j.open = true
		room := max(0, state.LogLineLimit-len(j.text))
		j.text, j.cut = append(j.text, line[:min(len(line), room)]...), j.cut || len(line) > room
		if !ended {
			return
		}
		j.end()
		b = rest
	}
}

// end tells the line that has begun.
func (j *lineJoiner) end() {
	if !j.open {
		return
	}
	text := string(bytes.TrimSuffix(j.text, []byte("\r")))
	if j.cut {
		text += state.LogLineCut
	}
	j.open, j.cut, j.text = false, false, j.text[:0]
	j.told(state.LogLine{At: j.at, Stderr: j.stderr, Text: text})
}
