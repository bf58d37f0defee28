package ssh

import (
	"fmt"
	"time"

	"github.com/kamald/kamald/state"
)

// Stage is how far a connection got.
type Stage string

// The stages of connecting.
const (
	StageConfig  Stage = "settings"
	StageResolve Stage = "name resolution"
	StageDial    Stage = "dial"
	StageHostKey Stage = "host key"
	StageShake   Stage = "handshake"
	StageAuth    Stage = "authentication"
	StageLost    Stage = "connection lost"
)

// Error says at which stage a host could not be reached. It is state.ErrUnreachable; one of authentication is
// state.ErrDenied too.
type Error struct {
	Host  string // the host's name in the release, or "jump host <address>"
	Stage Stage
	Err   error
}

// Error implements error.
func (e *Error) Error() string { return fmt.Sprintf("%s: %s: %v", e.Host, e.Stage, e.Err) }

// Unwrap implements errors.Is and errors.As.
func (e *Error) Unwrap() []error {
	if e.Stage == StageAuth {
		return []error{state.ErrUnreachable, state.ErrDenied, e.Err}
	}
	return []error{state.ErrUnreachable, e.Err}
}

// silentError: an attempt to connect got no answer within its time.
type silentError time.Duration

// Error implements error.
func (e silentError) Error() string { return fmt.Sprintf("no answer within %s", time.Duration(e)) }

// Timeout tells that it is one, as errors of the network do.
func (silentError) Timeout() bool { return true }
