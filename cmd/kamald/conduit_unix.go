//go:build unix

package main

import (
	"os"
	"os/signal"
	"syscall"

	"github.com/kamald/kamald/state"
)

// terminalSizes gives each size that a terminal is given from now on, until the function is called.
func terminalSizes(file *os.File) (<-chan state.Size, func()) {
	changed, sizes, ended := make(chan os.Signal, 1), make(chan state.Size, 1), make(chan struct{})
	signal.Notify(changed, syscall.SIGWINCH)
	go func() {
		for {
			select {
			case <-ended:
				return
			case <-changed:
			}
			select {
			case <-sizes: // one that nobody has taken is none any more
			default:
			}
			sizes <- terminalSize(file)
		}
	}()
	return sizes, func() {
		signal.Stop(changed)
		close(ended)
	}
}
