package reconcile

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/kamald/kamald/state"
)

// DeadlineError: a remote call got no answer in time. Whether it was carried out is not known.
type DeadlineError struct {
	Call  Call
	After time.Duration
}

func (e *DeadlineError) Error() string {
	return fmt.Sprintf("%s: %s got no answer within %s", e.Call.Host, e.Call.Method, e.After)
}

// Timeout tells that it is one, as errors of the network do.
func (e *DeadlineError) Timeout() bool { return true }

// Unwrap makes it the same as a lost connection: the outcome is read back.
func (e *DeadlineError) Unwrap() error { return state.ErrUnreachable }

// LockedError: another holds the deploy lock.
type LockedError struct {
	Host   string
	Lock   state.Lock
	Path   string
	Waited time.Duration // until the time limit; 0: not waited for
}

func (e *LockedError) Error() string {
	text := fmt.Sprintf("the deploy lock on %s is held by %s", e.Host, e.Lock.By())
	if e.Waited > 0 {
		text += fmt.Sprintf("; waited %s for it", e.Waited.Round(time.Second))
	}
	if e.Lock.Lease == 0 {
		return text + fmt.Sprintf("; it does not expire by itself: when nobody is deploying, run `kamald lock release` (it removes %s)", e.Path)
	}
	return text + fmt.Sprintf("; it is renewed while its owner lives, and can be taken over %s after it stops", e.Lock.Lease)
}

// UnhealthyError: a new container was not proven healthy.
type UnhealthyError struct {
	Host, Role, Container string
	Cause                 string   // the last probe, the exit code, …
	Said                  string   // what it answered, in its own words
	Hints                 []string // what to look at
	Logs                  []string // its last lines
	Blind                 bool     // it could not be looked at in the end: that says nothing of it
}

func (e *UnhealthyError) Error() string {
	var text strings.Builder
	fmt.Fprintf(&text, "%s on %s is not healthy: %s", e.Container, e.Host, e.Cause)
	if e.Said != "" {
		fmt.Fprintf(&text, "\n  it answered: %q", e.Said)
	}
	for _, hint := range e.Hints {
		fmt.Fprintf(&text, "\n  hint: %s", hint)
	}
	if len(e.Logs) > 0 {
		fmt.Fprintf(&text, "\n  %s:", itsLast(len(e.Logs), "log line"))
		for _, line := range e.Logs {
			fmt.Fprintf(&text, "\n  | %s", line)
		}
	}
	return text.String()
}

// itsLast announces lines.
func itsLast(n int, line string) string {
	if n == 1 {
		return "its last " + line
	}
	return fmt.Sprintf("its last %d %ss", n, line)
}

// Brief is an error's text for what is kept: without the application's own lines, which may have anything in them.
func Brief(err error) string {
	text := err.Error()
	var unhealthy *UnhealthyError
	for _, e := range flat(err) {
		if errors.As(e, &unhealthy) {
			short := *unhealthy
			short.Said, short.Logs = "", nil
			text = strings.ReplaceAll(text, unhealthy.Error(), short.Error())
		}
		if hook, is := errors.AsType[*HookError](e); is {
			short := *hook
			short.Lines = nil
			text = strings.ReplaceAll(text, hook.Error(), short.Error())
		}
	}
	return text
}

// flat gives the errors that were joined, at any depth.
func flat(err error) []error {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var all []error
	for _, e := range joined.Unwrap() {
		all = append(all, flat(e)...)
	}
	return all
}
