package sim

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"

	"github.com/kamald/kamald/state"
)

// WithoutUpgrade marks an image of the proxy whose program cannot be replaced while it serves.
const WithoutUpgrade = "sim.without-upgrade"

const newProgram = "/usr/local/bin/kamal-proxy.new"

// About is what the proxy says of itself, when it is kamald's own.
func (p *Proxy) About(ctx context.Context, name string) (program state.Program, err error) {
	err = p.read(ctx, "Proxy.About", name, func(h *host) error {
		c, err := h.container(name)
		if err != nil {
			return err
		}
		repository, tag, _ := strings.Cut(c.spec.Image, ":")
		if repository != proxyRepository || c.started.IsZero() {
			return &fs.PathError{Op: "read", Path: "kamald-proxy.json", Err: fs.ErrNotExist}
		}
		program = state.Program{Version: tag, Started: c.started.Add(h.skew), Features: []string{"fence", state.FeatureUpgrade, state.FeatureSides}}
		if c.program != "" {
			program.Version = c.program
		}
		if c.image.Labels[WithoutUpgrade] != "" {
			program.Features = nil
		}
		return nil
	})
	return program, err
}

// Upgrade goes on as the program that was uploaded.
func (p *Proxy) Upgrade(ctx context.Context, name string, _ time.Duration) error {
	return p.mutate(ctx, "Proxy.Upgrade", name, func(h *host) error {
		c, err := h.proxy(name)
		if err != nil {
			return err
		}
		version, there := c.uploads[newProgram+".version"]
		if _, program := c.uploads[newProgram]; !there || !program {
			return fmt.Errorf("proxy %s was not upgraded, and serves as before: there is no %s", name, newProgram)
		}
		c.program = strings.TrimSpace(string(version))
		delete(c.uploads, newProgram)
		delete(c.uploads, newProgram+".version")
		return nil
	})
}

// Program gives an archive of the program of kamald's own proxy. It is no remote call.
func (p *Proxy) Program(ctx context.Context, ref, _ string) (io.ReadCloser, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	repository, tag, _ := strings.Cut(ref, ":")
	if repository != proxyRepository {
		return nil, fmt.Errorf("image %s: %w", ref, fs.ErrNotExist)
	}
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	for name, text := range map[string]string{"kamal-proxy.new": "program", "kamal-proxy.new.version": tag} {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: int64(len(text))}); err != nil {
			return nil, err
		}
		if _, err := w.Write([]byte(text)); err != nil {
			return nil, err
		}
	}
	return io.NopCloser(&archive), w.Close()
}
