//go:build !linux

package proxy

import "errors"

// The variable by which a supervisor tells a worker what it is.
const workerVariable = "KAMALD_PROXY_WORKER"

var errNoSupervisor = errors.New("a supervisor is only built for Linux")

func (in invocation) work(runSettings) error { return errNoSupervisor }

// supervise serves in this process: upgrades in place need Linux.
func (in invocation) supervise(settings runSettings, _ *lineWriter) error {
	return in.serve(settings)
}
