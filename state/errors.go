package state

import "errors"

// Errors of the drivers that others decide on; test with errors.Is.
var (
	// ErrNotFound: the container, image or network is not there.
	ErrNotFound = errors.New("not found")
	// ErrConflict: the name is taken, or the thing is in use.
	ErrConflict = errors.New("conflict")
	// ErrUnreachable: the connection to the host could not be made or was lost. Whether the call was carried out is not known.
	ErrUnreachable = errors.New("unreachable")
	// ErrDenied: the registry or the host refused who asked.
	ErrDenied = errors.New("denied")
)
