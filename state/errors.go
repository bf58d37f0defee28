package state

import "errors"

// Errors of the drivers that others decide on; test with errors.Is.
var (
	// ErrNotFound: the container, image or network is not there.
	ErrNotFound = errors.New("not found")
	// ErrConflict: the name is taken, or the thing is in use.
	ErrConflict = errors.New("conflict")
	// ErrDirectory: a directory lies where a file was to be read.
	ErrDirectory = errors.New("it is a directory")
	// ErrUnreachable: the connection to the host could not be made or was lost. Whether the call was carried out is not known.
	ErrUnreachable = errors.New("unreachable")
	// ErrNoLog: the container's log goes where the engine cannot read it.
	ErrNoLog = errors.New("its log driver keeps no log that could be read")
	// ErrUnwritten: what a command says could not be written here. Its host has no part in that.
	ErrUnwritten = errors.New("the output cannot be written here")
	// ErrNotLeader: the store refused what came from a bastion that does not lead, or not any more. Nothing was written.
	ErrNotLeader = errors.New("this bastion does not lead")
	// ErrDenied: the registry or the host refused who asked.
	ErrDenied = errors.New("denied")
)

// EngineTrouble is why a host that can be reached has no engine to talk to.
type EngineTrouble string

// The troubles.
const (
	EngineMissing   EngineTrouble = "missing"   // Docker is not installed
	EngineStopped   EngineTrouble = "stopped"   // it is installed, and nothing listens
	EngineForbidden EngineTrouble = "forbidden" // the user may not use it
	EngineOld       EngineTrouble = "old"       // it speaks an API that is too old
)

// EngineError says that the host was reached and its engine was not, and why.
type EngineError struct {
	Trouble EngineTrouble
	Err     error
}

// Error implements error.
func (e *EngineError) Error() string { return e.Err.Error() }

// Unwrap implements errors.Is and errors.As.
func (e *EngineError) Unwrap() error { return e.Err }
