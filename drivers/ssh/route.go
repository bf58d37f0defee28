package ssh

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/kamald/kamald/release"
)

// reach connects to the host by its own way: straight, through jump hosts, or through a command. The hops that stay open for
// it come back too, innermost last.
func (d *dialer) reach(ctx context.Context, h release.Host) (w *wire, hops []*wire, err error) {
	t, err := resolveHost(d.options, d.configs, h)
	if err != nil {
		return nil, nil, &Error{Host: h.Name, Stage: StageConfig, Err: err}
	}
	defer func() {
		if err != nil {
			closeAll(hops)
			hops = nil
		}
	}()
	for _, text := range t.jumps {
		jump, err := resolveJump(d.options, d.configs, text)
		if err != nil {
			return nil, hops, &Error{Host: h.Name, Stage: StageConfig, Err: err}
		}
		jump.label = h.Name + " by way of " + jump.label
		hop, err := d.connect(ctx, jump, d.opener(jump, hops))
		if err != nil {
			return nil, hops, err
		}
		hops = append(hops, hop)
	}
	if t.command != "" {
		w, err = d.connect(ctx, t, func(ctx context.Context) (net.Conn, error) { return startCommand(t) })
		return w, hops, err
	}
	w, err = d.connect(ctx, t, d.opener(t, hops))
	return w, hops, err
}

// opener dials straight, or through the innermost hop.
func (d *dialer) opener(t target, hops []*wire) opener {
	if len(hops) == 0 {
		return func(ctx context.Context) (net.Conn, error) {
			dialer := net.Dialer{KeepAlive: 15 * time.Second} // TCP_NODELAY is Go's default
			conn, err := dialer.DialContext(ctx, "tcp", t.address())
			if err != nil {
				return nil, err
			}
			d.bytes.connections.Add(1)
			return quickAck(conn), nil
		}
	}
	through := hops[len(hops)-1]
	return func(ctx context.Context) (net.Conn, error) {
		conn, err := through.DialContext(ctx, "tcp", t.address())
		if err != nil {
			return nil, fmt.Errorf("the jump host cannot reach it: %w", err)
		}
		return conn, nil
	}
}

func closeAll(hops []*wire) {
	for i := len(hops) - 1; i >= 0; i-- {
		hops[i].raw.Close()
		hops[i].Close()
	}
}
