package reconcile

import (
	"errors"
	"strings"

	"github.com/kamald/kamald/release"
)

// HereError: what went wrong is on the machine that kamald runs on, its engine or its disk, and on no host. What is behind it is not
// unwrapped: a connection that is lost here and a disk that is full here are nothing that a host could be blamed or tried again for.
type HereError struct {
	what string // what this machine did not do
	next string // what to do about it
	why  error  // nil: there is no more to say
}

func (e *HereError) Error() string {
	text := e.what
	if e.why != nil {
		text += ": " + strings.TrimPrefix(e.why.Error(), release.LocalHost+": ")
	}
	return text + "\n  next: " + e.next
}

func isHere(err error) bool {
	_, is := errors.AsType[*HereError](err)
	return is
}
