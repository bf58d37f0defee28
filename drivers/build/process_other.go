//go:build !unix

package build

import "os/exec"

// ownGroup does nothing where there are no process groups.
func ownGroup(*exec.Cmd) {}

func interruptGroup(cmd *exec.Cmd) { _ = cmd.Process.Kill() } // gone already is as good

func killGroup(cmd *exec.Cmd) { _ = cmd.Process.Kill() }
