// Package traefik drives a Traefik that reads its routes from files: one a route, replaced by rename, so that a container takes
// no traffic before it is told to. Labels on containers are read for one thing only: what a server of Kamal 1 routes.
package traefik

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kamald/kamald/state"
)

const (
	// askEvery is how often Traefik is asked whether it has read a file.
	askEvery = 100 * time.Millisecond
	// settle is what Traefik may take from one entry point's routes to the next one's: it changes them one after another.
	settle = 100 * time.Millisecond
	// margin is what putting a file back may take.
	margin = 10 * time.Second
	// removeLimit is how long Traefik may take to drop a route.
	removeLimit = 15 * time.Second
	// gateLimit is how long it may take to serve a route that is stopped or resumed.
	gateLimit = 15 * time.Second
	// reasonLines is how far back Traefik's log is searched for the cause of a file that it does not take.
	reasonLines = 50

	fileMode = fs.FileMode(0o644) // in directories of mode 0700; there is no secret in them
)

// errNotOurs: the Traefik there does not read kamald's files.
var errNotOurs = errors.New("this Traefik does not read kamald's files")

// Engine is what the driver needs of the host's container engine.
type Engine interface {
	Containers(ctx context.Context, f state.Filter) ([]state.Container, error)
	Inspect(ctx context.Context, container string, v state.View) (state.Container, error)
	Exec(ctx context.Context, container string, argv []string) (state.ExecResult, error)
	Logs(ctx context.Context, container string, tail int, since time.Time) ([]string, error)
}

// Files are the host's files. Errors are those of io/fs.
type Files interface {
	Read(ctx context.Context, path string) ([]byte, error)
	Write(ctx context.Context, path string, data []byte, mode fs.FileMode) error
	Remove(ctx context.Context, path string) error
	List(ctx context.Context, path string) ([]string, error)
}

// Prober asks an address as the host sees it; state.ErrDenied where the host's sshd forbids that.
type Prober interface {
	HTTP(ctx context.Context, address, path, hostHeader string) (state.HTTPResult, error)
}

// Driver drives the Traefik of one host. It is safe for concurrent use.
type Driver struct {
	engine Engine
	files  Files
	prober Prober
	dir    string
}

// New makes a driver of the Traefik whose files lie below a run directory.
func New(engine Engine, files Files, prober Prober, runDirectory string) *Driver {
	return &Driver{engine: engine, files: files, prober: prober, dir: strings.TrimSuffix(runDirectory, "/") + "/" + state.TraefikDynamicDir}
}

// Prepare puts the file there that every Traefik of kamald has: a request that no route takes is answered 502, where Traefik
// itself would say 404 (kamal-facts: S-13). It comes before the container: the engine would make the directory its own.
func (d *Driver) Prepare(ctx context.Context) error {
	want := catchAll()
	have, err := d.files.Read(ctx, d.path(catchAllName))
	if err == nil && string(have) == string(want) {
		return nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return d.wrote(err)
	}
	return d.wrote(d.files.Write(ctx, d.path(catchAllName), want, fileMode))
}

// Answers asks once whether Traefik runs and has read its files; nil when it has.
func (d *Driver) Answers(ctx context.Context, container string) error {
	found, err := d.find(ctx, container)
	if err != nil {
		return err
	}
	return d.ask(ctx, found, askPath)
}

// Routes reads the routes from the files, sorted by name, whether Traefik runs or not. A Traefik of Kamal 1 reads no such files:
// where one runs, they are what the labels of running containers say, marked as implied.
func (d *Driver) Routes(ctx context.Context, container string) ([]state.Route, error) {
	if container != "" {
		if _, err := d.find(ctx, container); errors.Is(err, errNotOurs) {
			return d.implied(ctx)
		}
	}
	records, err := d.records(ctx)
	if err != nil {
		return nil, err
	}
	var routes []state.Route
	for _, kept := range records {
		routes = append(routes, kept.Route)
	}
	return routes, nil
}

// Deploy writes the route's file, waits (at most deploy) until Traefik serves by it, and gives the requests that the old target
// has in flight the time of drain: Traefik does not tell when they are done. Whether the target is healthy Traefik does not
// ask before it routes there: the caller has proven it. A file that Traefik does not take is put back. A route that was
// stopped stays so.
func (d *Driver) Deploy(ctx context.Context, container string, route state.Route, deploy, drain time.Duration) error {
	if err := validate(route, deploy, drain); err != nil {
		return err
	}
	found, err := d.find(ctx, container)
	if err != nil {
		return fmt.Errorf("deploy route %s on Traefik %s: %w", route.Name, container, err)
	}
	before, old, err := d.kept(ctx, route.Name)
	if err != nil {
		return err
	}
	route.Stopped = old.Stopped
	if err := d.taken(ctx, route); err != nil {
		return err
	}
	if err := d.serve(ctx, found, route, before, deploy); err != nil {
		return err
	}
	if len(old.Targets) == 0 || slices.Equal(old.Targets, route.Targets) {
		return nil
	}
	return pause(ctx, drain)
}

// Remove takes the route's file away and waits until Traefik has dropped the route; its hosts are answered 502 from then on. One
// that is not there is no error.
func (d *Driver) Remove(ctx context.Context, container, name string) error {
	if err := validateName(name); err != nil {
		return err
	}
	data, err := d.files.Read(ctx, d.path(fileName(name)))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("remove route %s from Traefik %s: %w", name, container, err)
	}
	if err := d.files.Remove(ctx, d.path(fileName(name))); err != nil {
		return fmt.Errorf("remove route %s from Traefik %s: %w", name, container, err)
	}
	found, err := d.find(ctx, container)
	if err != nil {
		return nil // it does not run: at its next start the route is not there
	}
	kept, ours, err := parse(data)
	if err != nil || !ours {
		return nil // nothing to ask by
	}
	ctx, cancel := context.WithTimeout(ctx, removeLimit)
	defer cancel()
	for d.ask(ctx, found, kept.Mark) == nil {
		if err := pause(ctx, askEvery); err != nil {
			return fmt.Errorf("proxy %s (Traefik) still has route %s, whose file is gone: %w%s", container, name, err, d.reason(ctx, container))
		}
	}
	return nil
}

// Image gives fs.ErrNotExist: Traefik's image is pulled.
func (d *Driver) Image(_ context.Context, ref, _ string) (io.ReadCloser, error) {
	return nil, fmt.Errorf("image %s is not made by kamald: %w", ref, fs.ErrNotExist)
}

// serve writes a route and waits until Traefik has it; when it does not come to that, what was there before is put back.
func (d *Driver) serve(ctx context.Context, found traefik, route state.Route, before []byte, limit time.Duration) error {
	data, mark, err := render(route, found.major)
	if err != nil {
		return fmt.Errorf("route %s is not deployed: %w", route.Name, err)
	}
	path := d.path(fileName(route.Name))
	if err := d.files.Write(ctx, path, data, fileMode); err != nil {
		return d.wrote(err)
	}
	waiting, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var said error
	for {
		err := d.ask(waiting, found, mark)
		if err == nil {
			return pause(ctx, settle)
		}
		if waiting.Err() != nil && said != nil {
			err = said // what it said when there was time for an answer
		}
		said = err
		if pause(waiting, askEvery) == nil {
			continue
		}
		failure := fmt.Errorf("proxy %s (Traefik) did not take route %s to %s within %s: %w%s", found.Name, route.Name,
			strings.Join(route.Targets, ", "), limit, err, d.reason(context.WithoutCancel(ctx), found.Name))
		return errors.Join(failure, d.putBack(ctx, path, before))
	}
}

func (d *Driver) putBack(ctx context.Context, path string, before []byte) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), margin)
	defer cancel()
	err := error(nil)
	if before == nil {
		err = d.files.Remove(ctx, path)
	} else {
		err = d.files.Write(ctx, path, before, fileMode)
	}
	if err != nil {
		return fmt.Errorf("what %s was before could not be put back: %w", path, err)
	}
	return nil
}

// kept is the route's file and what it says; nil when it is not there.
func (d *Driver) kept(ctx context.Context, name string) ([]byte, state.Route, error) {
	path := d.path(fileName(name))
	data, err := d.files.Read(ctx, path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, state.Route{}, nil
	}
	if err != nil {
		return nil, state.Route{}, fmt.Errorf("read the route in %s: %w", path, err)
	}
	kept, ours, err := parse(data)
	if err != nil || !ours {
		return nil, state.Route{}, fmt.Errorf("the file %s was not written by kamald and has the name of its route %s: move it away and apply again", path, name)
	}
	return data, kept.Route, nil
}

// taken refuses a host and path that another route has: of two equal rules Traefik would choose one by its name.
func (d *Driver) taken(ctx context.Context, route state.Route) error {
	records, err := d.records(ctx)
	if err != nil {
		return err
	}
	for _, kept := range records {
		other := kept.Route
		if other.Name != route.Name && overlap(other.Options, route.Options) {
			return fmt.Errorf("route %s is not deployed: host settings conflict with another service (%s)", route.Name, other.Name)
		}
	}
	return nil
}

// traefik is the container that was found.
type traefik struct {
	state.Container
	address string // of its entry point for questions
	major   int
}

func (d *Driver) find(ctx context.Context, container string) (traefik, error) {
	c, err := d.engine.Inspect(ctx, container, state.View{})
	if err != nil {
		return traefik{}, err
	}
	if !c.Running() {
		return traefik{}, fmt.Errorf("the container %s is not running: %w", container, state.ErrConflict)
	}
	if !slices.ContainsFunc(c.Live.Volumes, func(v string) bool { return strings.Contains(v, ":"+state.TraefikMount) }) {
		return traefik{}, fmt.Errorf("the container %s: %w: it was made by Kamal 1, or by hand; `kamald proxy switch` replaces it", container, errNotOurs)
	}
	major, err := Major(c.Live.Image)
	if err != nil {
		return traefik{}, err
	}
	found := traefik{Container: c, major: major}
	for _, ip := range c.IPs {
		if ip != "" {
			found.address = net.JoinHostPort(ip, strconv.Itoa(state.TraefikAskPort))
		}
	}
	return found, nil
}

// ask wants a 200 from the entry point that is not published: from the host, or from within the container where sshd forbids that.
func (d *Driver) ask(ctx context.Context, found traefik, path string) error {
	if found.address != "" {
		result, err := d.prober.HTTP(ctx, found.address, path, "")
		switch {
		case err == nil && result.Status == 200:
			return nil
		case err == nil:
			return fmt.Errorf("it answers %d where it would answer 200", result.Status)
		case !errors.Is(err, state.ErrDenied):
			return err
		}
	}
	url := fmt.Sprintf("http://127.0.0.1:%d%s", state.TraefikAskPort, path)
	result, err := d.engine.Exec(ctx, found.ID, []string{"wget", "-q", "-O", "/dev/null", url})
	if err == nil && result.Code != 0 {
		err = fmt.Errorf("asked within its container: %s", strings.TrimSpace(result.Stderr+result.Stdout))
	}
	return err
}

// reason is the last error in Traefik's own log, for a message's end.
func (d *Driver) reason(ctx context.Context, container string) string {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), margin)
	defer cancel()
	lines, err := d.engine.Logs(ctx, container, reasonLines, time.Time{})
	if err != nil {
		return "" // the failure itself is reported all the same
	}
	for _, line := range slices.Backward(lines) {
		if text := strings.TrimSpace(line); strings.Contains(text, `"level":"error"`) || strings.Contains(text, "level=error") || strings.Contains(text, " ERR ") {
			return "; its log says: " + text
		}
	}
	return ""
}

func (d *Driver) path(name string) string { return d.dir + "/" + name }

// wrote says of a refusal what is the usual reason.
func (d *Driver) wrote(err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%w: %s must belong to the SSH user; the engine has made a directory above it: change its owner there", err, d.dir)
	}
	return err
}

func pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
