package sim

import (
	"context"
	"fmt"
	"time"

	"github.com/kamald/kamald/state"
)

// installTakes is how long Docker's script is at work.
const installTakes = 20 * time.Second

// Bare takes Docker off a host, as one is that was just rented.
func (w *World) Bare(hostName string) {
	w.at(hostName, func(h *host) { h.noEngine = state.EngineMissing })
}

// noEngineError is why an engine that does not run gives no answer.
func noEngineError(trouble state.EngineTrouble) error {
	text := "Docker is installed, and its engine is not running"
	if trouble == state.EngineMissing {
		text = "Docker is not installed"
	}
	return fmt.Errorf("%w: %w", state.ErrUnreachable, &state.EngineError{Trouble: trouble, Err: fmt.Errorf("there is no socket /var/run/docker.sock: %s", text)})
}

// Installer makes a bare host ready; its SSH user is root.
type Installer struct{ *session }

// Look tells what is there.
func (i *Installer) Look(ctx context.Context) (state.Ground, error) {
	ground := state.Ground{User: "root", Groups: []string{"root"}, Become: state.RootItself}
	err := i.read(ctx, "Installer.Look", "", func(h *host) error {
		ground.Engine = h.noEngine != state.EngineMissing
		ground.Client, ground.Socket = ground.Engine, h.noEngine == ""
		return nil
	})
	return ground, err
}

// Install puts Docker there; its engine does not run yet.
func (i *Installer) Install(ctx context.Context, fromDistro bool, say func(line string)) error {
	return i.call(ctx, Call{Method: "Installer.Install", Args: fmt.Sprint(fromDistro), Mutates: true}, func(h *host) error {
		if h.noEngine == state.EngineMissing {
			h.noEngine = state.EngineStopped
		}
		return nil
	}, func(ctx context.Context) error {
		say("# Executing docker install script")
		select {
		case <-time.After(installTakes):
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	})
}

// Start starts the engine.
func (i *Installer) Start(ctx context.Context, _ func(line string)) error {
	return i.mutate(ctx, "Installer.Start", "", func(h *host) error {
		if h.noEngine == state.EngineMissing {
			return fmt.Errorf("the engine cannot be started: docker: unrecognized service")
		}
		h.noEngine = ""
		return nil
	})
}

// Admit has nothing to do for root.
func (i *Installer) Admit(ctx context.Context) error {
	return i.mutate(ctx, "Installer.Admit", "", func(*host) error { return nil })
}

// Said gives the last lines that the engine has logged: none.
func (i *Installer) Said(ctx context.Context) (lines []string, err error) {
	return nil, i.read(ctx, "Installer.Said", "", func(*host) error { return nil })
}
