//go:build unix

package hooks

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
)

// ownGroup keeps a terminal's Ctrl-C from the command: it is told once, by askGroup.
func ownGroup(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

func askGroup(cmd *exec.Cmd) { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) } // gone already is as good

func killGroup(cmd *exec.Cmd) { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }

func executable(info os.FileInfo) bool { return info.Mode()&0o111 != 0 }

func noProgram(err error) bool { return errors.Is(err, syscall.ENOEXEC) }

// signalOf names the signal that ended a command, "" for none.
func signalOf(err *exec.ExitError) string {
	if status, is := err.Sys().(syscall.WaitStatus); is && status.Signaled() {
		return status.Signal().String()
	}
	return ""
}
