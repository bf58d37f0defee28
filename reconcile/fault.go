package reconcile

import (
	"errors"
	"strings"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/state"
)

// ownFault tells whether a release failed since the version is broken: its container ended, was not healthy, could not be started, a hook in one failed, or
// answered with more 5xx than the old one. A server that cannot be reached, a full disk, a registry or an interruption say nothing of
// a version.
func ownFault(outcome state.Outcome, failure error) bool {
	if outcome != state.OutcomeFailed {
		return false
	}
	for _, err := range flat(failure) {
		unhealthy, is := errors.AsType[*UnhealthyError](err)
		hook, isHook := errors.AsType[*HookError](err)
		canary, judged := errors.AsType[*CanaryError](err)
		switch {
		case isHook && hook.OwnFault:
			return true
		case is && !unhealthy.Blind:
			return true
		case judged && canary.Host == "": // by its answers on all hosts, and not by what became of one
			return true
		case cannotStart(err):
			return true
		}
	}
	return false
}

// cannotStart tells whether an engine found nothing in the image that it could run. It says so only in words.
func cannotStart(err error) bool {
	failed, is := errors.AsType[*namedError](err)
	if !is || !strings.HasPrefix(failed.what, "start ") || errors.Is(err, state.ErrUnreachable) {
		return false
	}
	return saysNoProgram(err)
}

// saysNoProgram tells an engine's words about an image in which there is nothing to run.
func saysNoProgram(err error) bool {
	text := err.Error()
	return strings.Contains(text, "executable file not found") || strings.Contains(text, "exec format error") || strings.Contains(text, "exec: ")
}

// sayChoice tells a person which version was chosen, and why.
func (c *Controller) sayChoice(choice *plan.Choice) {
	if choice == nil || choice.Version == "" { // what is waited for says it
		return
	}
	kind := "planned"
	if choice.Unasked != "" {
		kind = "warn"
	}
	c.report(Progress{Kind: kind, Message: choice.String()})
	for _, note := range choice.Notes() {
		c.report(Progress{Kind: "warn", Message: note})
	}
}
