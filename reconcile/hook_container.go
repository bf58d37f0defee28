package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

const (
	// hookFirst is the first pause between two looks at a hook's container, doubled until it is hookEvery.
	hookFirst = 50 * time.Millisecond
	hookEvery = time.Second
	// hookAgain is the pause before a call is made again whose reply was lost.
	hookAgain = 500 * time.Millisecond
	// hookLines is how many of its last lines are shown of a hook's container.
	hookLines = 200
)

// A hook in a container runs once. Whatever becomes of a reply, of a connection or of this process, its container is there, by a name
// that is known before, until the release has ended: whoever comes next finds it, waits for its end where it still runs, and takes what
// it has done as done. Nothing takes back what it did.

// hookRun is one hook in a container under way.
type hookRun struct {
	*run
	s      plan.Step
	spec   state.Spec
	values map[string]release.Secret
	began  time.Time
}

// hookMade is a hook's container that has done its work.
type hookMade struct{ host, id, name string }

// errHookLate: a hook's time is over.
var errHookLate = errors.New("its time is over")

// containerHook runs a step's hook in a container of the new image on the step's host.
func (r *run) containerHook(ctx context.Context, s plan.Step) error {
	bounded, cancel := context.WithTimeoutCause(ctx, s.Hook.Timeout, errHookLate)
	defer cancel()
	h := &hookRun{run: r, s: s, spec: *s.Spec, began: r.c.now()}
	id, err := h.begin(bounded)
	switch {
	case errors.Is(err, errHookLate):
		return &HookError{Hook: s.Name, Cause: fmt.Sprintf("it could not begin within %s: %v", s.Hook.Timeout, err), why: err}
	case err != nil || id == "":
		return err
	}
	return h.follow(bounded, id)
}

// begin makes the container and starts it; "" where there is nothing to do any more.
func (h *hookRun) begin(ctx context.Context) (id string, err error) {
	err = h.again(ctx, func(conn *Connection) (err error) {
		h.spec = *h.s.Spec
		h.values, err = h.secretsFor(ctx, conn, h.s.Host, h.s.Role, &h.spec)
		return err
	})
	if err != nil {
		return "", err
	}
	if done, err := h.earlier(ctx); err != nil || done {
		return "", err
	}
	if id, err = h.create(ctx); err != nil {
		return "", err
	}
	return id, h.start(ctx, id)
}

// earlier looks for what runs that were interrupted have left of this hook. One that still runs is waited for, whatever it is of: two at
// once would be worse. One of the same image, command and environment that has ended well has done it; all others make way.
func (h *hookRun) earlier(ctx context.Context) (done bool, err error) {
	var left []state.Container
	labels := map[string]string{state.LabelService: h.record.App.Service, state.LabelDestination: h.record.App.Destination, state.LabelHook: h.s.Name}
	err = h.again(ctx, func(conn *Connection) (err error) {
		left, err = conn.Engine.Containers(ctx, state.Filter{Labels: labels})
		return err
	})
	if err != nil {
		return false, err
	}
	for _, c := range left { // the newest first
		seen, err := h.end(ctx, c.ID, c.Running() || c.Status == state.StatusRestarting)
		switch {
		case errors.Is(err, state.ErrNotFound):
			continue
		case errors.Is(err, errHookLate):
			return false, fmt.Errorf("%s of release %d, which was interrupted, still runs: %w", c.Name, c.Release, err)
		case err != nil:
			return false, err
		}
		if h.hasDone(seen) && !done {
			done = true
			h.c.report(Progress{Kind: "warn", Host: h.s.Host, Role: h.s.Role, Step: h.s.ID,
				Message: fmt.Sprintf("%s has run already: release %d was interrupted, and its %s ended with exit code 0", hookTitle(*h.s.Hook), seen.Release, seen.Name)})
			h.note(seen)
			h.ended(seen)
			continue
		}
		if err := h.again(ctx, func(conn *Connection) error { return conn.Engine.Remove(ctx, c.ID) }); err != nil {
			return false, err
		}
	}
	return done, nil
}

// hasDone tells whether a container has done what this hook is to do, in a release of which nobody has seen the end.
func (h *hookRun) hasDone(c state.Container) bool {
	held := newestRecord(h.seen)
	since := held == nil || c.Release > held.Number
	return since && !c.Started.IsZero() && c.Status == state.StatusExited && c.ExitCode == 0 && !c.OOMKilled && c.Asked != nil && c.Asked.Hash() == h.spec.Hash()
}

// create makes the container, and finds it where the reply was lost.
func (h *hookRun) create(ctx context.Context) (id string, err error) {
	name := h.record.App.HookName(h.s.Name, h.record.Number)
	labels := map[string]string{
		state.LabelHook:     h.s.Name,
		state.LabelSpec:     h.spec.JSON(),
		state.LabelSpecHash: h.spec.Hash(),
		state.LabelRelease:  strconv.Itoa(h.record.Number),
		state.LabelFence:    strconv.Itoa(h.record.Fence),
		state.LabelRunDir:   h.runDir(h.s.Host),
	}
	err = h.again(ctx, func(conn *Connection) (err error) {
		id, err = conn.Engine.Create(ctx, name, h.spec, labels, h.values)
		if !errors.Is(err, state.ErrConflict) && !errors.Is(err, state.ErrUnreachable) {
			return err
		}
		there, looked := conn.Engine.Inspect(ctx, name, state.View{})
		if looked == nil && there.Asked != nil && there.Asked.Hash() == h.spec.Hash() {
			id = there.ID
			return nil
		}
		return err
	})
	return id, err
}

// start starts the container once. Where the reply was lost, the container itself says whether it has begun: it is asked again a while
// later before it is started again.
func (h *hookRun) start(ctx context.Context, id string) error {
	for {
		conn, err := h.connection(ctx, h.s.Host)
		if err == nil {
			err = conn.Engine.Start(ctx, id)
		}
		switch {
		case err == nil || errors.Is(err, ErrLeaseLost):
			return err
		case !errors.Is(err, state.ErrUnreachable):
			return &HookError{Hook: h.s.Name, Cause: err.Error(), OwnFault: saysNoProgram(err), why: err}
		}
		for range 2 {
			if sleep(ctx, hookAgain) != nil {
				return late(ctx, err)
			}
			var seen state.Container
			if err := h.again(ctx, func(conn *Connection) (err error) { seen, err = conn.Engine.Inspect(ctx, id, state.View{}); return err }); err != nil {
				return err
			}
			if seen.Status != state.StatusCreated || !seen.Started.IsZero() {
				return nil
			}
		}
	}
}

// follow waits for the container's end, and says how it was.
func (h *hookRun) follow(ctx context.Context, id string) error {
	seen, err := h.end(ctx, id, true)
	out := h.c.listenTo(*h.s.Hook, h.s.ID, h.s.Host, h.values)
	after, cancel := context.WithTimeout(context.WithoutCancel(ctx), h.s.Grace+40*time.Second)
	defer cancel()
	switch {
	case errors.Is(err, errHookLate):
		return h.tooLong(after, id, out)
	case errors.Is(err, state.ErrNotFound):
		return &HookError{Hook: h.s.Name, Cause: "its container was removed while it ran, so nobody knows how far it came", Next: "look at what it was to do before you go on", why: err}
	case err != nil:
		return err
	}
	h.listen(after, id, out)
	h.note(seen)
	if seen.ExitCode == 0 && !seen.OOMKilled && seen.Error == "" && !seen.Started.IsZero() {
		h.ended(seen)
		return nil
	}
	return &HookError{Hook: h.s.Name, Cause: fmt.Sprintf("%s on %s ended: %s", seen.Name, h.s.Host, endOf(seen)), Lines: out.last(), OwnFault: true,
		Next: fmt.Sprintf("it is not undone; mend it and release again. Its container stays for its logs: `docker logs %s` on %s", seen.Name, h.s.Host)}
}

// tooLong ends a container whose time is over.
func (h *hookRun) tooLong(ctx context.Context, id string, out *hookOutput) error {
	name := h.record.App.HookName(h.s.Name, h.record.Number)
	err := h.again(ctx, func(conn *Connection) error { return stop(ctx, conn, id, h.s.Grace) })
	h.listen(ctx, id, out)
	failed := &HookError{Hook: h.s.Name, Cause: fmt.Sprintf("it did not end within %s, and was stopped", h.s.Hook.Timeout), Lines: out.last(),
		Next: fmt.Sprintf("look at how far it came: `docker logs %s` on %s; nothing of it is undone. timeout in its block gives it longer", name, h.s.Host)}
	if err != nil {
		failed.Cause = fmt.Sprintf("it did not end within %s, and could not be stopped: %v; it may still run, and the next release waits for it", h.s.Hook.Timeout, err)
	}
	return failed
}

// listen takes what the container has written.
func (h *hookRun) listen(ctx context.Context, id string, out *hookOutput) {
	var written []string
	err := h.again(ctx, func(conn *Connection) (err error) {
		written, err = conn.Engine.Logs(ctx, id, hookLines, time.Time{})
		return err
	})
	if err != nil {
		written = append(written, fmt.Sprintf("(what it wrote cannot be read: %v)", err))
	}
	for _, line := range written {
		out.say(line)
	}
}

// end looks at a container until it has ended; one that nobody waits for is looked at once. A connection that is lost may come back.
func (h *hookRun) end(ctx context.Context, id string, wait bool) (seen state.Container, err error) {
	pause := hookFirst
	for {
		err = h.again(ctx, func(conn *Connection) (err error) { seen, err = conn.Engine.Inspect(ctx, id, state.View{}); return err })
		over := seen.Status != state.StatusRunning && seen.Status != state.StatusRestarting && seen.Status != state.StatusPaused
		if err != nil || over || !wait && seen.Status == state.StatusCreated {
			return seen, err
		}
		if sleep(ctx, pause) != nil {
			return seen, context.Cause(ctx)
		}
		pause = min(2*pause, hookEvery)
	}
}

// again makes a call by whatever connection there is, and once more as long as no answer comes and there is time.
func (h *hookRun) again(ctx context.Context, call func(conn *Connection) error) error {
	for {
		conn, err := h.connection(ctx, h.s.Host)
		if err == nil {
			err = call(conn)
		}
		switch {
		case err == nil || errors.Is(err, ErrLeaseLost):
			return err
		case ctx.Err() != nil:
			return late(ctx, err)
		case !errors.Is(err, state.ErrUnreachable):
			return err
		}
		if sleep(ctx, hookAgain) != nil {
			return late(ctx, err)
		}
	}
}

// late says that there is no more waiting, and how the last call failed.
func late(ctx context.Context, err error) error {
	return fmt.Errorf("%w; the last that was heard: %w", context.Cause(ctx), err)
}

// note puts how it ended into the release's record.
func (h *hookRun) note(c state.Container) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.record.Hooks = append(h.record.Hooks, state.HookRun{Name: h.s.Name, Host: h.s.Host, Spec: h.spec.Hash(), Began: h.began, Ended: h.c.now(), ExitCode: c.ExitCode})
}

// ended notes a container that is not needed any more once the release has ended.
func (h *hookRun) ended(c state.Container) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.hooked = append(h.hooked, hookMade{h.s.Host, c.ID, c.Name})
}

// tidyHooks removes the containers of hooks that have ended well, when the release has ended and its record says so. Best effort: the next
// release removes what stays.
func (r *run) tidyHooks(ctx context.Context) {
	for _, made := range slices.Clone(r.hooked) {
		conn, err := r.connection(ctx, made.host)
		if err == nil {
			err = conn.Engine.Remove(ctx, made.id)
		}
		if err != nil {
			r.c.report(Progress{Kind: "warn", Host: made.host, Message: fmt.Sprintf("%s, in which a hook has run, stays until the next release: %v", made.name, err), Err: err})
		}
	}
}
