package reconcile

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// proxyServer boots the proxy of a host: its image, its container, attached and started, and answering.
func (r *run) proxyServer(ctx context.Context, conn *Connection, s plan.Step) error {
	seen, _ := r.seen.Host(s.Host)
	if s.NewName != "" {
		return r.upgradeProxy(ctx, s)
	}
	if s.Container == "" {
		if err := r.makeProxy(ctx, conn, seen, s.Name); err != nil {
			return err
		}
	} else if !slices.Contains(seen.Proxy.Networks, r.desired.Network) {
		if err := conn.Engine.ConnectNetwork(ctx, r.desired.Network, s.Name, nil); err != nil {
			return err
		}
	}
	if err := conn.Engine.Start(ctx, s.Name); err != nil {
		return fmt.Errorf("%w%s", err, portHint(err, r.desired.ProxyServer))
	}
	if err := proxyAnswers(ctx, conn, s.Name); err != nil {
		return err
	}
	return r.routesAreBack(ctx, conn, seen)
}

// portHint: the usual reason that a proxy does not start is another server on its ports.
func portHint(err error, server release.ProxyServer) string {
	if text := err.Error(); strings.Contains(text, "already allocated") || strings.Contains(text, "already in use") {
		return fmt.Sprintf("; something else listens on port %d or %d: stop it, or set proxy_server.http_port and https_port", server.HTTPPort, server.HTTPSPort)
	}
	return ""
}

// proxyAnswers waits until the proxy says that it is there.
func proxyAnswers(ctx context.Context, conn *Connection, name string) error {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	for {
		err := conn.Proxy.Answers(ctx, name)
		if err == nil {
			return nil
		}
		if sleep(ctx, probeEvery) != nil {
			return fmt.Errorf("the proxy started and does not answer: %w", err)
		}
	}
}

// makeProxy makes the proxy's container, and what it needs; under another name than its own it takes its place later.
func (r *run) makeProxy(ctx context.Context, conn *Connection, seen state.Host, name string) error {
	if err := r.c.prepareProxy(ctx, conn, r.registry, seen); err != nil {
		return err
	}
	_, err := conn.Engine.Create(ctx, name, plan.ProxySpec(r.desired, seen), plan.ProxyLabels(r.desired, seen), nil)
	return unless(err, state.ErrConflict) // another service's run made it meanwhile: it is shared
}

// prepareProxy puts on the host what the proxy's container is made from, and finds there at its start.
func (c *Controller) prepareProxy(ctx context.Context, conn *Connection, k *credentials, seen state.Host) error {
	image := k.desired.ProxyServer.Image
	if err := c.bringProxyImage(ctx, conn, k, seen, image); err != nil {
		return err
	}
	if err := conn.Proxy.Prepare(ctx); err != nil {
		return err
	}
	own := plan.OwnProxy(image)
	if err := makeAppsConfig(ctx, conn.Files, layoutOf(k.desired), own); err != nil || own {
		return err
	}
	return openCertificates(ctx, conn.Files, k.desired, seen.Name)
}
