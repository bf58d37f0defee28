package build

import (
	"os"
	"os/exec"
	"sync"
)

// running is what must not outlive this process, also when it has no time to wait: builders, and directories with a password.
var running struct {
	sync.Mutex
	commands    map[*exec.Cmd]bool
	directories map[string]bool
}

// Abandon kills every builder of this process with all its children, and takes passwords away. It is for a program that leaves at
// once: whoever waits for a builder is told that it was killed.
func Abandon() {
	running.Lock()
	defer running.Unlock()
	for cmd := range running.commands {
		killGroup(cmd)
	}
	for dir := range running.directories {
		_ = os.RemoveAll(dir) // there is nobody left to tell
	}
}

// hold notes a builder until the returned function is called.
func hold(cmd *exec.Cmd) (done func()) {
	running.Lock()
	defer running.Unlock()
	if running.commands == nil {
		running.commands = map[*exec.Cmd]bool{}
	}
	running.commands[cmd] = true
	return func() {
		running.Lock()
		defer running.Unlock()
		delete(running.commands, cmd)
	}
}

// holdDirectory notes a directory until the returned function is called.
func holdDirectory(dir string) (done func()) {
	running.Lock()
	defer running.Unlock()
	if running.directories == nil {
		running.directories = map[string]bool{}
	}
	running.directories[dir] = true
	return func() {
		running.Lock()
		defer running.Unlock()
		delete(running.directories, dir)
	}
}
