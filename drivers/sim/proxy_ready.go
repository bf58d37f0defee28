package sim

import (
	"context"
	"errors"
	"time"
)

var errProxySilent = errors.New("it is not ready")

// Prepare puts nothing there: the routes of the simulated proxy are kept beside its container.
func (p *Proxy) Prepare(ctx context.Context) error {
	return p.mutate(ctx, "Proxy.Prepare", "", func(*host) error { return nil })
}

// Answers asks whether the proxy is up.
func (p *Proxy) Answers(ctx context.Context, name string) error {
	return p.read(ctx, "Proxy.Answers", name, func(h *host) error {
		c, err := h.proxy(name)
		if err != nil {
			return err
		}
		b, up := c.image.Behaviour, time.Since(c.started)
		if b.status(up) >= 300 || up < b.Ready {
			return errProxySilent
		}
		return nil
	})
}
