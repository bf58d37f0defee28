// Package proxy drives the proxy container of a host, kamald-proxy or kamal-proxy, by kamal-proxy's own commands and its
// state file, and makes the image of kamald-proxy.
package proxy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"sync/atomic"
	"time"

	"github.com/kamald/kamald/state"
)

const (
	command    = "kamal-proxy"
	configPath = "/home/kamal-proxy/.config/kamal-proxy"
	statePath  = configPath + "/kamal-proxy.state"

	// margin is what a command may take beyond the waiting it was asked for.
	margin = 10 * time.Second
	// tornPause is the time given to a proxy that is writing its state file in place.
	tornPause = 50 * time.Millisecond
	// reasonLines is how far back the proxy's log is searched for the cause of a failed deploy.
	reasonLines = 50
)

// Engine is what the driver needs of the host's container engine.
type Engine interface {
	Exec(ctx context.Context, container string, argv []string) (state.ExecResult, error)
	// ReadFile gives fs.ErrNotExist for a file that is not there.
	ReadFile(ctx context.Context, container, path string) ([]byte, error)
	Logs(ctx context.Context, container string, tail int, since time.Time) ([]string, error)
}

// Driver drives the proxies of one host. It is safe for concurrent use.
type Driver struct {
	engine Engine
	binary func(arch string) (binary, packed []byte, err error) // packed by gzip; nil where it has to be done

	find   func(ctx context.Context, container, path string) (string, error)
	read   func(ctx context.Context, path string) ([]byte, error)
	denied atomic.Bool // the user may not read the engine's volumes
}

// Option changes a driver.
type Option func(*Driver)

// WithBinary gives the proxy's binaries, uncompressed, in place of the embedded ones.
func WithBinary(binary func(arch string) ([]byte, error)) Option {
	return func(d *Driver) {
		d.binary = func(arch string) ([]byte, []byte, error) {
			made, err := binary(arch)
			return made, nil, err
		}
	}
}

// WithHostFiles lets the driver read the state file where its volume lies on the host, when the user may: an engine takes a
// hundred times longer to hand a file out of a container, and keeps the container locked meanwhile. find gives the place of a
// path inside a container, read reads it. Whatever does not work that way goes through the engine.
func WithHostFiles(find func(ctx context.Context, container, path string) (string, error), read func(ctx context.Context, path string) ([]byte, error)) Option {
	return func(d *Driver) { d.find, d.read = find, read }
}

// New makes a driver on an engine.
func New(engine Engine, options ...Option) *Driver {
	d := &Driver{engine: engine, binary: embedded}
	for _, option := range options {
		option(d)
	}
	return d
}

// Routes reads the proxy's state file, sorted by name; none when there is no file yet. kamal-proxy writes its file in place,
// so one that does not parse is read once more.
func (d *Driver) Routes(ctx context.Context, container string) ([]state.Route, error) {
	for attempt := 1; ; attempt++ {
		data, err := d.readConfig(ctx, container, statePath)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read the routes of proxy %s: %w", container, err)
		}
		routes, err := ParseState(data)
		if err == nil {
			return routes, nil
		}
		if attempt == 2 {
			return nil, fmt.Errorf("the state file %s of proxy %s does not read, twice: %w; with such a file the proxy routes nothing "+
				"after its next start: remove the file and apply again", statePath, container, err)
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(tornPause):
		}
	}
}

// Deploy routes to the targets and returns when the proxy has switched and drained. After an error that is not the proxy's
// own answer it may still switch: read Routes.
func (d *Driver) Deploy(ctx context.Context, container string, route state.Route, deploy, drain time.Duration) error {
	if err := validate(route, deploy, drain); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, deploy+drain+margin)
	defer cancel()
	result, err := d.engine.Exec(ctx, container, deployArgs(route, deploy, drain))
	if err != nil {
		return fmt.Errorf("deploy route %s on proxy %s: %w", route.Name, container, err)
	}
	if result.Code == 0 {
		return nil
	}
	message := clean(result)
	if strings.Contains(message, "failed to become healthy") {
		if reason := d.reason(ctx, container, route.Targets); reason != "" {
			message += " (" + reason + ")"
		}
	}
	return fmt.Errorf("proxy %s did not take route %s to %s: %s", container, route.Name, strings.Join(route.Targets, ", "), message)
}

// Remove takes the route away; one that is not there is no error.
func (d *Driver) Remove(ctx context.Context, container, name string) error {
	_, err := d.run(ctx, container, name, "remove", 2*margin, "remove", name)
	if errors.Is(err, errNoRoute) {
		return nil
	}
	return err
}

// Image gives a `docker save` archive (compressed with gzip) of kamald-proxy's image for an architecture by Go's name when
// the reference's repository is kamald/proxy; fs.ErrNotExist for every other reference.
func (d *Driver) Image(ctx context.Context, ref, arch string) (io.ReadCloser, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if repository, _ := splitReference(ref); repository != Repository {
		return nil, fmt.Errorf("image %s is not made by kamald, only %s is: %w", ref, Repository, fs.ErrNotExist)
	}
	binary, packed, err := d.binary(arch)
	if err != nil {
		return nil, err
	}
	return archiveOf(ref, arch, binary, packed)
}

// readConfig reads a file of the proxy's volume on the host, else through the engine. What it reads on the host is used only when
// it is whole, so that errors speak of what the engine gives; only a file that lacks lacks there too.
func (d *Driver) readConfig(ctx context.Context, container, file string) ([]byte, error) {
	if d.find != nil && !d.denied.Load() {
		if path, err := d.find(ctx, container, file); err == nil {
			data, err := d.read(ctx, path)
			if err == nil && json.Valid(data) {
				return data, nil
			}
			if errors.Is(err, fs.ErrNotExist) && file == aboutPath {
				return nil, err
			}
			if errors.Is(err, fs.ErrPermission) {
				d.denied.Store(true)
			}
		}
	}
	return d.engine.ReadFile(ctx, container, file)
}

// reason is the last thing that the proxy's own log says about a target's health: its answer never does.
func (d *Driver) reason(ctx context.Context, container string, targets []string) string {
	lines, err := d.engine.Logs(ctx, container, reasonLines, time.Time{})
	if err != nil {
		return "" // the failure itself is reported all the same
	}
	for i := len(lines) - 1; i >= 0; i-- {
		var line struct {
			URL   string `json:"url"`
			Error string `json:"error"`
		}
		if json.Unmarshal([]byte(lines[i]), &line) != nil || line.Error == "" {
			continue
		}
		for _, target := range targets {
			if strings.Contains(line.URL, target) {
				return line.Error
			}
		}
	}
	return ""
}

// clean is the one line that a failed command said.
func clean(result state.ExecResult) string {
	text := strings.TrimSpace(result.Stderr)
	if text == "" {
		text = strings.TrimSpace(result.Stdout)
	}
	for line := range strings.Lines(text) {
		if message, ok := strings.CutPrefix(strings.TrimSpace(line), "Error: "); ok {
			return message
		}
	}
	switch {
	case result.Code == 126 || result.Code == 127:
		return fmt.Sprintf("the container has no %s command (exit code %d): is it a proxy? %s", command, result.Code, text)
	case text == "":
		return fmt.Sprintf("exit code %d and no message", result.Code)
	}
	return text
}

func validate(route state.Route, deploy, drain time.Duration) error {
	o := route.Options
	problem := ""
	switch {
	case len(route.Targets) == 0:
		problem = "it has no target"
	case o.HealthInterval <= 0: // kamal-proxy panics over it and takes every other route down
		problem = fmt.Sprintf("its health check's interval must be more than 0, not %s", o.HealthInterval)
	case o.HealthTimeout <= 0:
		problem = fmt.Sprintf("its health check's timeout must be more than 0, not %s", o.HealthTimeout)
	case deploy <= 0:
		problem = fmt.Sprintf("the deploy timeout must be more than 0, not %s", deploy)
	case drain < 0:
		problem = fmt.Sprintf("the drain timeout must not be negative, not %s", drain)
	}
	if problem != "" {
		return fmt.Errorf("route %s is not deployed: %s", route.Name, problem)
	}
	return validateName(route.Name)
}

func validateName(name string) error {
	if name == "" || strings.HasPrefix(name, "-") {
		return fmt.Errorf("route name %q is invalid: it must not be empty or begin with a dash", name)
	}
	return nil
}
