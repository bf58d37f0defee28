//go:build !unix

package bootstrap

import "os/exec"

// ownSession has nothing to do where there are no sessions: there is no shell to install anything by either.
func ownSession(*exec.Cmd) {}
