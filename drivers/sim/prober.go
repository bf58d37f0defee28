package sim

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"syscall"
	"time"

	"github.com/kamald/kamald/state"
)

// Prober asks containers at their own addresses.
type Prober struct{ *session }

// HTTP sends one GET.
func (p *Prober) HTTP(ctx context.Context, address, path, _ string) (result state.HTTPResult, err error) {
	err = p.read(ctx, "Prober.HTTP", address+path, func(h *host) error {
		c, status, err := h.dial(address)
		if err == nil {
			if pathOf(c.image.Behaviour.Location) == path {
				status = http.StatusOK
			}
			result = state.HTTPResult{Status: status, Location: c.image.Behaviour.Location, Body: http.StatusText(status)}
		}
		return err
	})
	return result, err
}

// TCP opens and closes a connection.
func (p *Prober) TCP(ctx context.Context, address string) error {
	return p.read(ctx, "Prober.TCP", address, func(h *host) error {
		_, _, err := h.dial(address)
		return err
	})
}

// dial finds who has an address and whether it listens.
func (h *host) dial(address string) (*container, int, error) {
	ip, text, err := net.SplitHostPort(address)
	if err != nil {
		return nil, 0, err
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		return nil, 0, fmt.Errorf("%s has no port: %w", address, err)
	}
	for _, c := range h.order {
		for _, has := range c.networks {
			if ip == "" || has != ip {
				continue
			}
			if status, ok := c.answers(port, time.Now()); ok {
				return c, status, nil
			}
			return nil, 0, fmt.Errorf("dial %s: %w", address, syscall.ECONNREFUSED)
		}
	}
	return nil, 0, fmt.Errorf("dial %s: %w", address, syscall.EHOSTUNREACH)
}

// pathOf is where in a container a redirect leads.
func pathOf(location string) string {
	u, err := url.Parse(location)
	if err != nil {
		return location
	}
	return u.RequestURI()
}
