package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// bench is the application and what stands in front of it.
type bench struct {
	settings settings
	report   bytes.Buffer
	out      io.Writer // prints and keeps the report
	dir      string
	app      *process
	appAt    string
}

// newBench starts the application.
func newBench(ctx context.Context, s settings) (*bench, error) {
	if s.cores == 0 {
		s.cores = runtime.NumCPU()
	}
	for _, name := range s.contenders {
		if !slices.Contains([]string{"bare", "kamald-proxy", "nginx", "caddy"}, name) {
			return nil, fmt.Errorf("-contenders: %q is none of bare, kamald-proxy, nginx, caddy", name)
		}
		if name == "nginx" || name == "caddy" {
			if _, err := exec.LookPath(name); err != nil {
				return nil, fmt.Errorf("%s is not here: install the distribution's package (apt-get install %s), or leave it out with -contenders", name, name)
			}
		}
	}
	dir, err := os.MkdirTemp("", "proxyload-")
	if err != nil {
		return nil, err
	}
	b := &bench{settings: s, dir: dir}
	b.out = io.MultiWriter(os.Stdout, &b.report)
	if s.binary == "" {
		b.settings.binary = filepath.Join(dir, "kamal-proxy")
		build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", b.settings.binary, "./cmd/kamald-proxy")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			return nil, errors.Join(fmt.Errorf("building cmd/kamald-proxy: %w: %s", err, out), b.close())
		}
	}
	if b.appAt, err = freeAddress(); err != nil {
		return nil, errors.Join(err, b.close())
	}
	self, err := os.Executable()
	if err != nil {
		return nil, errors.Join(err, b.close())
	}
	if b.app, err = b.begin("application", nil, self, appCommand, b.appAt); err == nil {
		err = b.app.answers(ctx, b.appAt)
	}
	if err != nil {
		return nil, errors.Join(err, b.close())
	}
	return b, nil
}

func (b *bench) close() error {
	if b.app != nil {
		b.app.end()
	}
	return os.RemoveAll(b.dir)
}

// machine says on what the figures were taken, and how busy it is.
func machine(b *bench) string {
	load := "unknown"
	if text, err := os.ReadFile("/proc/loadavg"); err == nil {
		load, _, _ = strings.Cut(string(text), " ")
	}
	return fmt.Sprintf("machine: %s/%s, %d CPUs, load %s; %d processors for each proxy; %d rounds of %s\n", runtime.GOOS, runtime.GOARCH,
		runtime.NumCPU(), load, b.settings.cores, b.settings.rounds, b.settings.length)
}
