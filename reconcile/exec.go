package reconcile

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// ExecOptions say which command is run in the app's containers, and how.
type ExecOptions struct {
	Argv    []string
	Version string                    // in place of the one that serves; "": that
	Env     map[string]release.Secret // variables beside the role's; their values are shown nowhere
	Reuse   bool                      // in the container that serves, in place of a new one
	Detach  bool                      // do not wait for its end, and leave its container for whoever wants its log
	// Streams gives what a place's input and output are carried between.
	Streams func(Place) state.Streams
}

// Executed is how a command ended in one place.
type Executed struct {
	Place
	Container string `json:"container,omitempty"`
	Version   string `json:"version,omitempty"`
	Code      int    `json:"code"`
	Running   bool   `json:"running,omitempty"` // it goes on in its container, and its end was not waited for
	Error     string `json:"error,omitempty"`   // why it did not run, or its end was not seen
	Err       error  `json:"-"`
}

// Exec runs a command in all places at once, and gives how it ended in each, in their order. What was run, by whom and from where is
// noted in the store before and in the host's audit file, by the command's first word.
func (c *Controller) Exec(ctx context.Context, desired release.Release, places []Place, o ExecOptions) []Executed {
	done := make([]Executed, len(places))
	var all branches
	for i, place := range places {
		all.Go(func() {
			e := &execution{c: c, desired: desired, place: place, o: o}
			done[i] = e.run(ctx)
		})
	}
	all.Wait()
	return done
}

// execution is one command in one place.
type execution struct {
	c       *Controller
	desired release.Release
	place   Place
	o       ExecOptions

	on   release.Host
	role release.Role
	conn *Connection

	container, version string
	code               int
	running            bool
}

func (e *execution) run(ctx context.Context) Executed {
	err := e.prepare(ctx)
	if err == nil && e.o.Reuse {
		err = e.inCurrent(ctx)
	} else if err == nil {
		err = e.inNew(ctx)
	}
	done := Executed{Place: e.place, Container: e.container, Version: e.version, Code: e.code, Running: e.running, Err: err}
	if err != nil {
		done.Error = why(err, e.place.Host)
	}
	return done
}

func (e *execution) prepare(ctx context.Context) (err error) {
	e.on, _ = e.desired.Host(e.place.Host)
	e.role, _ = e.desired.Role(e.place.Role)
	if a, is := e.beside(); is {
		e.role = a.Role()
	}
	e.conn, _, err = standing(ctx, e.c.fleet, e.on)
	return err
}

// inCurrent runs it in the container that serves.
func (e *execution) inCurrent(ctx context.Context) error {
	current, err := e.current(ctx)
	if err != nil {
		return err
	}
	e.container, e.version = current.Name, current.Version()
	streams := e.o.Streams(e.place)
	return e.noted(ctx, "in "+current.Name, func() (err error) {
		e.code, err = e.conn.Engine.Converse(ctx, current.ID, e.o.Argv, e.o.Env, streams)
		over(streams)
		if err != nil && ctx.Err() != nil {
			return fmt.Errorf("it is not waited for any more, and may go on in %s: %w", current.Name, context.Cause(ctx))
		}
		if errors.Is(err, state.ErrUnreachable) {
			return fmt.Errorf("%w; it may go on in %s", err, current.Name)
		}
		return err
	})
}

// current is the container that serves, or the one of a version that runs.
func (e *execution) current(ctx context.Context) (state.Container, error) {
	if a, is := e.beside(); is {
		return e.besideCurrent(ctx, a)
	}
	seen, err := glance(ctx, e.conn, e.desired, e.on.Name)
	if err != nil {
		return state.Container{}, err
	}
	if e.o.Version == "" {
		current, ok := plan.CurrentOf(e.desired.App(), seen, e.role.Name)
		if !ok {
			return current, fmt.Errorf("no container of %s runs here; without --reuse a new one is made for the command", e.role.Name)
		}
		return current, nil
	}
	for _, c := range seen.Containers {
		if c.Name == e.desired.App().ContainerName(e.role.Name, e.o.Version) && c.Running() {
			return c, nil
		}
	}
	return state.Container{}, fmt.Errorf("no container of %s of version %s runs here", e.role.Name, e.o.Version)
}

// inNew runs it in a container of its own, which is gone afterwards.
func (e *execution) inNew(ctx context.Context) error {
	streams := e.o.Streams(e.place)
	spec, err := e.spec(ctx, streams)
	if err != nil {
		return err
	}
	secrets, err := e.secrets(ctx, &spec)
	if err != nil {
		return err
	}
	return e.noted(ctx, "in "+e.container, func() error {
		id, err := e.conn.Engine.Create(ctx, e.container, spec, nil, secrets)
		switch {
		case errors.Is(err, state.ErrConflict):
			return err // it is not ours
		case err != nil:
			return e.leave(ctx, e.container, err)
		case e.o.Detach:
			if err := e.conn.Engine.Start(ctx, id); err != nil {
				return e.leave(ctx, id, e.unstarted(err))
			}
			return nil
		}
		e.code, err = e.conn.Engine.RunThrough(ctx, id, streams)
		over(streams)
		return e.leave(ctx, id, e.unstarted(err))
	})
}

// unstarted says what to do about a program that the image does not have.
func (e *execution) unstarted(err error) error {
	if err == nil || errors.Is(err, state.ErrUnreachable) || !saysNoProgram(err) {
		return err
	}
	return fmt.Errorf("%w\n  next: the image has no program %q that can be run: name another, or its whole path where it is not in the image's PATH", err, e.o.Argv[0])
}

// spec is that of the container, with the streams that it gets.
func (e *execution) spec(ctx context.Context, s state.Streams) (spec state.Spec, err error) {
	if a, is := e.beside(); is {
		spec, err = e.besideSpec(ctx, a)
	} else {
		spec, err = e.roleSpec(ctx)
	}
	if err != nil {
		return spec, err
	}
	spec.Passing = !e.o.Detach
	if spec.Options == nil {
		spec.Options = map[string][]string{}
	}
	if s.In != nil {
		spec.Options["interactive"] = []string{"true"}
	}
	if s.Terminal != nil {
		spec.Options["tty"] = []string{"true"}
	}
	return spec, nil
}

// roleSpec is that of a container like the role's.
func (e *execution) roleSpec(ctx context.Context) (state.Spec, error) {
	var seen state.Host
	var home string
	var environ map[string]string
	group, grouped := crewWithin(ctx)
	group.Go(func() (err error) { seen, err = glance(grouped, e.conn, e.desired, e.on.Name); return err })
	group.Go(func() (err error) { home, err = e.conn.Files.Home(grouped); return err })
	if names := e.desired.HostVariables(e.on); len(names) > 0 {
		group.Go(func() (err error) { environ, err = e.conn.Environ.Variables(grouped, names); return err })
	}
	if err := group.Wait(); err != nil {
		return state.Spec{}, err
	}
	seen.Home, seen.Environ = home, environ
	image, ref, version, err := e.image(seen)
	if err != nil {
		return state.Spec{}, err
	}
	suffix := make([]byte, 3)
	_, _ = rand.Read(suffix) // it never fails
	e.version, e.container = version, e.desired.App().ExecName(e.role.Name, version, hex.EncodeToString(suffix))
	spec, missing := plan.ExecSpec(e.desired, seen, e.on, e.role, image, ref, version, e.container, e.o.Argv)
	if len(missing) > 0 {
		return state.Spec{}, fmt.Errorf("host_env: the SSH user's environment there has no %s", strings.Join(missing, ", "))
	}
	return spec, nil
}

// image is what the container is made from.
func (e *execution) image(seen state.Host) (id, ref, version string, err error) {
	if version = e.o.Version; version != "" {
		id, ref, ok := plan.Brought(e.desired, seen, version)
		if !ok {
			return "", "", "", fmt.Errorf("no image of version %s is here, and none is brought for a command: without --version it is the one that serves", version)
		}
		return id, ref, version, nil
	}
	id, ref, version, ok := plan.Serving(e.desired, seen, e.role.Name)
	if !ok {
		return "", "", "", fmt.Errorf("no image here is tagged %s: nothing was released to this host yet; `kamald apply` does", e.desired.App().LatestTag())
	}
	return id, ref, version, nil
}

// secrets are the values that the container gets: those that lie on the host for the role, and those of this command, which win.
func (e *execution) secrets(ctx context.Context, spec *state.Spec) (map[string]release.Secret, error) {
	values := map[string]release.Secret{}
	if len(spec.Secrets) > 0 {
		have, err := readEnv(ctx, e.conn.Files, layoutOf(e.desired), e.role.Name)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, errors.New("the host has no secrets file for the role: run `kamald env push`")
		}
		if err != nil {
			return nil, err
		}
		for name := range spec.Secrets {
			value, ok := have[name]
			if _, given := e.o.Env[name]; !ok && !given {
				return nil, fmt.Errorf("the host's secrets file lacks %s: run `kamald env push`", name)
			}
			values[name] = value
		}
	}
	for name, value := range e.o.Env {
		delete(spec.Env, name)
		if spec.Secrets == nil {
			spec.Secrets = map[string]string{}
		}
		spec.Secrets[name], values[name] = "", value
	}
	return values, nil
}

// noted does what is noted: in the store before it, and meanwhile in the host's audit file.
func (e *execution) noted(ctx context.Context, where string, do func() error) error {
	word := e.o.Argv[0]
	d := deed{kind: "exec", host: e.on.Name, role: e.role.Name, step: "exec/" + e.on.Name + "/" + e.role.Name, message: "run " + word + " " + where}
	return e.c.notedOn(ctx, e.conn, e.desired, d, "Executed "+word+" "+where, do)
}

// notedOn notes a person's command in the store, does it, and notes how it ended; the host's audit file gets a line beside it.
func (c *Controller) notedOn(ctx context.Context, conn *Connection, desired release.Release, d deed, line string, do func() error) error {
	var audit branches
	err := c.noted(desired.App(), d, func() error {
		audit.Go(func() { c.auditOn(context.WithoutCancel(ctx), conn, desired, d.role, line) })
		return do()
	})
	audit.Wait()
	return err
}
