package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"
)

// errInterrupted is why a context ended.
var errInterrupted = errors.New("a signal asked to stop")

// interrupt turns the first Ctrl-C, SIGTERM or SIGHUP into the end of a context, and the second into the end of the program.
type interrupt struct {
	signals chan os.Signal
	ended   chan struct{}
	seen    atomic.Bool
	hangups atomic.Bool // SIGHUP means something else

	mu   sync.Mutex
	left func() []string // what would be left behind; nil: nothing has begun
	last func()          // is done before the program leaves at once; nil: nothing
	back func()          // is done when the program goes on after Ctrl-Z; nil: nothing
	text interruptText
}

// interruptText is what is said of a signal in the middle of a change.
type interruptText struct {
	first string   // the first one
	left  []string // the second one, after what is left behind
}

var whileReleasing = interruptText{
	first: "interrupted: what has begun is finished or undone, then the lock is given back; interrupt again to leave at once",
	left: []string{
		"  the deploy lock: the next run from this machine takes it over at once, others when its lease has passed",
		"next: `kamald plan` shows where the servers stand, `kamald apply` brings them to one version",
	},
}

func watchInterrupts(ctx context.Context, out *terminal) (context.Context, *interrupt) {
	ctx, cancel := context.WithCancelCause(ctx)
	i := &interrupt{signals: make(chan os.Signal, 2), ended: make(chan struct{}), text: whileReleasing}
	signal.Notify(i.signals, os.Interrupt, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) { // nohup means it
		signal.Notify(i.signals, syscall.SIGHUP)
	}
	// A reader of our output that goes away must not end us in the middle of a change: a write to it fails instead.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	again := make(chan os.Signal, 1)
	signal.Notify(again, syscall.SIGCONT)
	go func() {
		defer signal.Stop(again)
		for {
			select {
			case <-i.ended:
				cancel(nil)
				return
			case <-again:
				i.goOn()
			case got := <-i.signals:
				if got == syscall.SIGHUP && i.hangups.Load() {
					continue
				}
				if i.seen.Swap(true) {
					if got == syscall.SIGHUP {
						continue // a terminal that goes away says so more than once; nobody asked to leave at once
					}
					i.sayLeft(out)
					i.doLast()
					os.Exit(exitInterrupted)
				}
				if text := i.underWay(); text != "" {
					_, _ = fmt.Fprintln(out.prose(), out.freshLine()+text)
				}
				cancel(errInterrupted)
			}
		}
	}()
	return ctx, i
}

func (i *interrupt) stop() {
	signal.Stop(i.signals)
	close(i.ended)
}

func (i *interrupt) happened() bool { return i.seen.Load() }

// leaveHangups has SIGHUP end nothing from here on: who calls it takes that signal.
func (i *interrupt) leaveHangups() { i.hangups.Store(true) }

// mutating says how to find out what would be left behind, once something is being changed.
func (i *interrupt) mutating(left func() []string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.left = left
}

// before has something done when the program leaves at once.
func (i *interrupt) before(last func()) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.last = last
}

// whenContinued has something done each time that the program goes on after it was suspended.
func (i *interrupt) whenContinued(back func()) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.back = back
}

func (i *interrupt) goOn() {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.back != nil {
		i.back()
	}
}

func (i *interrupt) doLast() {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.last != nil {
		i.last()
	}
}

// says changes what is said of a signal from here on.
func (i *interrupt) says(text interruptText) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.text = text
}

// underWay is what to say of a first signal; "" while nothing is being changed.
func (i *interrupt) underWay() string {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.left == nil {
		return ""
	}
	return i.text.first
}

func (i *interrupt) sayLeft(out *terminal) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.left == nil {
		return
	}
	_, _ = fmt.Fprintln(out, out.freshLine()+"left behind as it is:")
	for _, line := range i.left() {
		_, _ = fmt.Fprintln(out.prose(), "  "+line)
	}
	for _, line := range i.text.left {
		_, _ = fmt.Fprintln(out.prose(), line)
	}
}
