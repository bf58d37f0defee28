package docker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"

	"github.com/kamald/kamald/state"
)

// failure is a call's error: what was asked, the engine's own words, and which of state's errors it is. nil stays nil.
func (e *Engine) failure(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	for i, arg := range args {
		args[i] = shortened(arg)
	}
	what := e.prefix() + fmt.Sprintf(format, args...)
	if errors.Is(err, state.ErrUnwritten) {
		return fmt.Errorf("%s: %w", what, err)
	}
	var dial *dialFailure
	if errors.As(err, &dial) {
		if errors.Is(dial.cause, state.ErrUnreachable) {
			return fmt.Errorf("%s: %w", what, &trimmed{dial.cause, e.prefix()})
		}
		return fmt.Errorf("%s: engine socket: %w: %w", what, state.ErrUnreachable, dial.cause)
	}
	if why := e.whyBroken(err); why != nil {
		return fmt.Errorf("%s: %w: the connection to the engine ended: %w", what, state.ErrUnreachable, why)
	}
	if old := tooNew.FindStringSubmatch(err.Error()); old != nil {
		return fmt.Errorf("%s: %w: %w", what, state.ErrUnreachable, trouble(state.EngineOld,
			"the engine speaks the API up to %s, and kamald needs %s, which Docker has since 19.03: %w", old[1], client.MinAPIVersion, plain{err}))
	}
	if kind := kindOf(err); kind != nil {
		return fmt.Errorf("%s: %w: %w", what, kind, plain{err})
	}
	return fmt.Errorf("%s: %w", what, plain{err})
}

// tooNew is how an engine refuses a client that none of its versions is old enough for.
var tooNew = regexp.MustCompile(`client version [0-9.]+ is too new\. Maximum supported API version is ([0-9.]+)`)

func (e *Engine) prefix() string {
	if e.host == "" {
		return ""
	}
	return e.host + ": "
}

// broken is how the end of a connection under a call shows itself.
func broken(err error) bool {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return false
	}
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// whyBroken finds out why a connection ended under a call, which shows as no more than its end: what refuses the next one has
// ended this one. nil: it is another kind of failure.
func (e *Engine) whyBroken(err error) error {
	if !broken(err) || e.dialer.stdio.Load() { // a command says it by itself
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), askWhy) // the call's own may have ended
	defer cancel()
	conn, why := e.dialer.dial(ctx)
	if why == nil {
		_ = conn.Close() // it was a chance to be told why
		return errors.New("it answers again, and may have been restarted")
	}
	if dial := (*dialFailure)(nil); errors.As(why, &dial) {
		why = dial.cause
	}
	return &trimmed{why, e.prefix()}
}

// askWhy bounds finding out why a connection ended.
const askWhy = 2 * time.Second

// trimmed is an error that says its host no second time.
type trimmed struct {
	error
	prefix string
}

// Error implements error.
func (t *trimmed) Error() string { return strings.TrimPrefix(t.error.Error(), t.prefix) }

// Unwrap implements errors.Is and errors.As.
func (t *trimmed) Unwrap() error { return t.error }

// shortened is a container's whole ID as people know it; anything else stays as it is.
func shortened(arg any) any {
	if id, ok := arg.(string); ok && containerID.MatchString(id) {
		return state.ShortID(id)
	}
	return arg
}

var containerID = regexp.MustCompile(`^[0-9a-f]{64}$`)

// kindOf finds the one of state's errors that decides; nil when it is none.
func kindOf(err error) error {
	text := strings.ToLower(err.Error())
	switch {
	case errors.Is(err, context.Canceled):
		return nil
	case errors.Is(err, context.DeadlineExceeded), client.IsErrConnectionFailed(err),
		errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed):
		return state.ErrUnreachable
	case errdefs.IsUnauthorized(err), errdefs.IsPermissionDenied(err), saysDenied(text):
		return state.ErrDenied
	case errdefs.IsConflict(err):
		return state.ErrConflict
	case errdefs.IsNotFound(err), strings.Contains(text, "manifest unknown"), strings.Contains(text, "does not exist locally with the tag"):
		return state.ErrNotFound
	}
	return nil
}

// saysDenied knows the words in which engines pass on a registry's refusal; the status code of those answers is 404 or 500.
func saysDenied(text string) bool {
	for _, words := range []string{"unauthorized:", "authentication required", "no basic auth credentials", "pull access denied", "denied: requested access", "401 unauthorized", "403 forbidden"} {
		if strings.Contains(text, words) {
			return true
		}
	}
	return text == "unauthorized"
}

// plain takes the words away that say nothing.
type plain struct{ error }

// Error implements error.
func (p plain) Error() string {
	return strings.TrimPrefix(p.error.Error(), "Error response from daemon: ")
}

// Unwrap implements errors.Is and errors.As.
func (p plain) Unwrap() error { return p.error }
