package sim

import (
	"context"
	"fmt"

	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// Connection has the parts of a server's connection. Whoever wires the simulator builds the real form from them.
type Connection struct {
	Engine   *Engine
	Files    *Files
	Prober   *Prober
	Proxy    *Proxy
	Environ  *Environ
	Registry *Registry

	Installer *Installer
	Shell     *Shell
	Close     func() error
}

// Connector reaches the world's hosts.
type Connector struct {
	world *World
	by    string
}

// Connector gives what reaches the hosts.
func (w *World) Connector() *Connector { return &Connector{world: w} }

// As is the connector of somebody: all calls over its connections are theirs.
func (c *Connector) As(by string) *Connector { return &Connector{world: c.world, by: by} }

// Connect reaches a host by its address, or by its name. One that is cut off, or that there is not, is state.ErrUnreachable.
func (c *Connector) Connect(ctx context.Context, on release.Host) (*Connection, error) {
	w := c.world
	w.mu.Lock()
	h, ok := w.hosts[on.Address]
	if !ok {
		h, ok = w.hosts[on.Name]
	}
	if !ok {
		w.mu.Unlock()
		return nil, fmt.Errorf("%s: there is no such host: %w", on.Name, state.ErrUnreachable)
	}
	s := &session{world: w, by: c.by, host: h, life: h.lives}
	w.mu.Unlock()
	if err := s.read(ctx, "Connect", "", func(*host) error { return nil }); err != nil {
		return nil, err
	}
	return &Connection{
		Engine: &Engine{s}, Files: &Files{s}, Prober: &Prober{s}, Proxy: &Proxy{session: s}, Environ: &Environ{s}, Registry: &Registry{s}, Installer: &Installer{s}, Shell: &Shell{s},
		Close: func() error {
			w.mu.Lock()
			defer w.mu.Unlock()
			s.closed = true
			h.drop(errClosed, func(waiting *waiter) bool { return waiting.session == s })
			h.wake()
			return nil
		},
	}, nil
}
