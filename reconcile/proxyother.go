package reconcile

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// otherProxy looks, where the file's proxy does not run, for the one of the other driver that holds its ports: nothing could be
// started beside it.
func (l *look) otherProxy(ctx context.Context) error {
	server := l.desired.ProxyServer
	c, err := l.conn.Engine.Inspect(ctx, server.OtherName(), state.View{})
	if errors.Is(err, state.ErrNotFound) {
		return nil
	}
	if err == nil && c.Running() && holdsPorts(c.Live, server) {
		l.host.Proxy.Other = c.Name
	}
	return err
}

// holdsPorts tells whether a container publishes one of the ports that the proxy is to have.
func holdsPorts(live state.Spec, server release.ProxyServer) bool {
	if !server.Publish {
		return false
	}
	return slices.ContainsFunc(live.Options["publish"], func(entry string) bool {
		entry, _, _ = strings.Cut(entry, "/")
		parts := strings.Split(entry, ":")
		return len(parts) > 1 && slices.Contains([]string{strconv.Itoa(server.HTTPPort), strconv.Itoa(server.HTTPSPort)}, parts[len(parts)-2])
	})
}
