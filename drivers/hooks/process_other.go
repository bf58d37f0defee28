//go:build !unix

package hooks

import (
	"os"
	"os/exec"
)

// ownGroup does nothing where there are no process groups.
func ownGroup(*exec.Cmd) {}

func askGroup(cmd *exec.Cmd) { _ = cmd.Process.Kill() } // gone already is as good

func killGroup(cmd *exec.Cmd) { _ = cmd.Process.Kill() }

func executable(os.FileInfo) bool { return true }

func noProgram(error) bool { return false }

func signalOf(*exec.ExitError) string { return "" }
