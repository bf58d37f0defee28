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

	mu   sync.Mutex
	left func() []string // what would be left behind; nil: nothing has begun
}

func watchInterrupts(ctx context.Context, out *terminal) (context.Context, *interrupt) {
	ctx, cancel := context.WithCancelCause(ctx)
	i := &interrupt{signals: make(chan os.Signal, 2), ended: make(chan struct{})}
	signal.Notify(i.signals, os.Interrupt, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) { // nohup means it
		signal.Notify(i.signals, syscall.SIGHUP)
	}
	// A reader of our output that goes away must not end us in the middle of a change: a write to it fails instead.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	go func() {
		for {
			select {
			case <-i.ended:
				cancel(nil)
				return
			case got := <-i.signals:
				if i.seen.Swap(true) {
					if got == syscall.SIGHUP {
						continue // a terminal that goes away says so more than once; nobody asked to leave at once
					}
					i.sayLeft(out)
					os.Exit(exitInterrupted)
				}
				if i.underWay() {
					_, _ = fmt.Fprintln(out, out.freshLine()+"interrupted: what has begun is finished or undone, then the lock is given back; interrupt again to leave at once")
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

// mutating says how to find out what would be left behind, once something is being changed.
func (i *interrupt) mutating(left func() []string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.left = left
}

func (i *interrupt) underWay() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.left != nil
}

func (i *interrupt) sayLeft(out *terminal) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.left == nil {
		return
	}
	_, _ = fmt.Fprintln(out, out.freshLine()+"left behind as it is:")
	for _, line := range i.left() {
		_, _ = fmt.Fprintln(out, "  "+line)
	}
	_, _ = fmt.Fprintln(out, "  the deploy lock: the next run from this machine takes it over at once, others when its lease has passed")
	_, _ = fmt.Fprintln(out, "next: `kamald plan` shows where the servers stand, `kamald apply` brings them to one version")
}
