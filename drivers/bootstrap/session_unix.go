//go:build unix

package bootstrap

import (
	"os/exec"
	"syscall"
)

// ownSession keeps from a command what a terminal, or its end, says to the processes of this session.
func ownSession(command *exec.Cmd) { command.SysProcAttr = &syscall.SysProcAttr{Setsid: true} }
