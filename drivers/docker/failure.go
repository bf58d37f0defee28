package docker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"

	"github.com/kamald/kamald/state"
)

// failure is a call's error: what was asked, the engine's own words, and which of state's errors it is. nil stays nil.
func (e *Engine) failure(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	what := e.prefix() + fmt.Sprintf(format, args...)
	var dial *dialFailure
	if errors.As(err, &dial) {
		if errors.Is(dial.cause, state.ErrUnreachable) {
			return fmt.Errorf("%s: %w", what, dial.cause)
		}
		return fmt.Errorf("%s: engine socket: %w: %w", what, state.ErrUnreachable, dial.cause)
	}
	if kind := kindOf(err); kind != nil {
		return fmt.Errorf("%s: %w: %w", what, kind, plain{err})
	}
	return fmt.Errorf("%s: %w", what, plain{err})
}

func (e *Engine) prefix() string {
	if e.host == "" {
		return ""
	}
	return e.host + ": "
}

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
	case errdefs.IsNotFound(err), strings.Contains(text, "manifest unknown"):
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
	return false
}

// plain takes the words away that say nothing.
type plain struct{ error }

// Error implements error.
func (p plain) Error() string {
	return strings.TrimPrefix(p.error.Error(), "Error response from daemon: ")
}

// Unwrap implements errors.Is and errors.As.
func (p plain) Unwrap() error { return p.error }
