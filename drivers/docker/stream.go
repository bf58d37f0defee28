package docker

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/client"

	"github.com/kamald/kamald/state"
)

// What is read of streams at most.
const (
	execLimit = 1 << 20 // each of stdout and stderr; more is read and dropped
	fileLimit = 4 << 20
	logLimit  = 8 << 20 // of the asked lines, before they are split
)

// Logs gives the last lines of stdout and stderr, in their order.
func (e *Engine) Logs(ctx context.Context, name string, tail int, since time.Time) ([]string, error) {
	if tail <= 0 {
		return nil, nil
	}
	options := client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true, Tail: strconv.Itoa(tail)}
	if !since.IsZero() {
		options.Since = since.UTC().Format(time.RFC3339Nano)
	}
	stream, err := e.client.ContainerLogs(ctx, name, options)
	if err != nil {
		return nil, e.failure(err, "logs of container %s", name)
	}
	defer stream.Close()
	var lines lineCollector
	out, errs := lines.writer(), lines.writer()
	source := bufio.NewReader(io.LimitReader(stream, logLimit))
	if multiplexed(source) {
		_, err = stdcopy.StdCopy(out, errs, source)
	} else {
		_, err = io.Copy(out, source)
	}
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) { // the limit may cut a frame
		return nil, e.failure(err, "logs of container %s", name)
	}
	out.flush()
	errs.flush()
	return lines.last(tail), nil
}

// Exec runs a command in a container and waits for its end.
func (e *Engine) Exec(ctx context.Context, name string, argv []string) (state.ExecResult, error) {
	what := fmt.Sprintf("run %s in container %s", strings.Join(argv[:min(2, len(argv))], " "), name)
	created, err := e.client.ExecCreate(ctx, name, client.ExecCreateOptions{Cmd: argv, AttachStdout: true, AttachStderr: true})
	if err != nil {
		return state.ExecResult{}, e.failure(err, "%s", what)
	}
	attached, err := e.client.ExecAttach(ctx, created.ID, client.ExecAttachOptions{})
	if err != nil {
		return state.ExecResult{}, e.failure(err, "%s", what)
	}
	defer attached.Close()
	defer context.AfterFunc(ctx, attached.Close)() // the stream knows no context
	var out, errs capped
	if _, err := stdcopy.StdCopy(&out, &errs, attached.Reader); err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return state.ExecResult{}, e.failure(err, "%s", what)
	}
	if ctx.Err() != nil {
		return state.ExecResult{}, e.failure(context.Cause(ctx), "%s", what)
	}
	code, err := e.exitCode(ctx, created.ID)
	if err != nil {
		return state.ExecResult{}, e.failure(err, "%s", what)
	}
	return state.ExecResult{Code: code, Stdout: out.String(), Stderr: errs.String()}, nil
}

// ReadFile reads one regular file out of a container; it follows no link.
func (e *Engine) ReadFile(ctx context.Context, name, path string) ([]byte, error) {
	r, err := e.client.CopyFromContainer(ctx, name, client.CopyFromContainerOptions{SourcePath: path})
	if err != nil {
		if errdefs.IsNotFound(err) && !strings.Contains(err.Error(), "No such container") {
			return nil, fmt.Errorf("%sread %s in container %s: %w", e.prefix(), path, name, fs.ErrNotExist)
		}
		return nil, e.failure(err, "read %s in container %s", path, name)
	}
	defer r.Content.Close()
	archive := tar.NewReader(r.Content)
	header, err := archive.Next()
	if err != nil {
		return nil, e.failure(err, "read %s in container %s", path, name)
	}
	if header.Typeflag != tar.TypeReg {
		return nil, fmt.Errorf("%sread %s in container %s: it is no regular file (%s): %w", e.prefix(), path, name, header.FileInfo().Mode(), fs.ErrInvalid)
	}
	if header.Size > fileLimit {
		return nil, fmt.Errorf("%sread %s in container %s: it has %d bytes, and %d are read at most", e.prefix(), path, name, header.Size, fileLimit)
	}
	data, err := io.ReadAll(archive)
	if err != nil {
		return nil, e.failure(err, "read %s in container %s", path, name)
	}
	// What follows is the archive's padding; reading it lets the connection be used again.
	_, _ = io.CopyN(io.Discard, r.Content, 16<<10)
	return data, nil
}

// Download gives a directory of a container as a tar archive whose first entry is the directory; a link at its path is followed.
func (e *Engine) Download(ctx context.Context, name, dir string) (io.ReadCloser, error) {
	r, err := e.client.CopyFromContainer(ctx, name, client.CopyFromContainerOptions{SourcePath: strings.TrimSuffix(dir, "/") + "/."})
	if errdefs.IsNotFound(err) && !strings.Contains(err.Error(), "No such container") {
		return nil, fmt.Errorf("%sread %s in container %s: %w", e.prefix(), dir, name, fs.ErrNotExist)
	}
	if err != nil {
		return nil, e.failure(err, "read %s in container %s", dir, name)
	}
	return r.Content, nil
}

// Upload unpacks a tar archive into a directory of a container; files that are there are replaced.
func (e *Engine) Upload(ctx context.Context, name, dir string, archive io.Reader) error {
	_, err := e.client.CopyToContainer(ctx, name, client.CopyToContainerOptions{DestinationPath: dir, Content: archive, CopyUIDGID: true})
	if errdefs.IsNotFound(err) && !strings.Contains(err.Error(), "No such container") {
		return fmt.Errorf("%scopy into %s of container %s: %w", e.prefix(), dir, name, fs.ErrNotExist)
	}
	if err != nil {
		return e.failure(err, "copy into %s of container %s", dir, name)
	}
	return nil
}

// HostPath is where a path inside a container lies on its host; fs.ErrNotExist when it is on none of its mounts.
func (e *Engine) HostPath(ctx context.Context, name, inside string) (string, error) {
	r, err := e.client.ContainerInspect(ctx, name, client.ContainerInspectOptions{})
	if err != nil {
		return "", e.failure(err, "inspect container %s", name)
	}
	found, depth := "", -1
	for _, mount := range r.Container.Mounts {
		rest, below := strings.CutPrefix(inside, strings.TrimSuffix(mount.Destination, "/")+"/")
		if below && mount.Source != "" && len(mount.Destination) > depth {
			found, depth = path.Join(mount.Source, rest), len(mount.Destination)
		}
	}
	if found == "" {
		return "", fmt.Errorf("%s%s in container %s is on no mount: %w", e.prefix(), inside, name, fs.ErrNotExist)
	}
	return found, nil
}

// exitCode waits for the engine to note the end of a command whose streams have ended; that can be a moment later.
func (e *Engine) exitCode(ctx context.Context, id string) (int, error) {
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		r, err := e.client.ExecInspect(ctx, id, client.ExecInspectOptions{})
		if err != nil {
			return 0, err
		}
		if !r.Running {
			return r.ExitCode, nil
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		}
	}
}

// multiplexed tells a stream of frames from a terminal's plain bytes: a frame's header is a stream's number and three zeros.
func multiplexed(r *bufio.Reader) bool {
	head, err := r.Peek(4)
	return err != nil || head[0] <= 3 && head[1] == 0 && head[2] == 0 && head[3] == 0
}

// capped keeps the first MiB of what is written to it.
type capped struct{ bytes.Buffer }

// Write implements io.Writer.
func (c *capped) Write(b []byte) (int, error) {
	c.Buffer.Write(b[:min(len(b), execLimit-c.Len())])
	return len(b), nil
}

// lineCollector gathers lines of two streams in the order in which they end.
type lineCollector struct{ lines []string }

func (c *lineCollector) writer() *lineWriter { return &lineWriter{to: c} }

func (c *lineCollector) last(n int) []string { return c.lines[max(0, len(c.lines)-n):] }

type lineWriter struct {
	to      *lineCollector
	partial []byte
}

// Write implements io.Writer.
func (w *lineWriter) Write(b []byte) (int, error) {
	n := len(b)
	for {
		line, rest, found := bytes.Cut(b, []byte("\n"))
		w.partial = append(w.partial, line...)
		if !found {
			return n, nil
		}
		w.to.lines = append(w.to.lines, strings.TrimSuffix(string(w.partial), "\r"))
		w.partial, b = w.partial[:0], rest
	}
}

func (w *lineWriter) flush() {
	if len(w.partial) > 0 {
		w.to.lines = append(w.to.lines, string(w.partial))
	}
}
