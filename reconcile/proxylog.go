package reconcile

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/kamald/kamald/release"
)

// ProxyLog is what the proxy of one host has logged.
type ProxyLog struct {
	Host        string   `json:"host"`
	Lines       []string `json:"lines"`
	Unreachable string   `json:"unreachable,omitempty"`
}

// ProxyLogs reads the newest lines that the proxies in scope have logged, at most so many each, not older than a time when there
// is one (by this machine's clock), and of those the ones that have a text in them.
func (c *Controller) ProxyLogs(ctx context.Context, desired release.Release, tail int, since time.Duration, grep string, hosts []string) ([]ProxyLog, error) {
	proxied, err := ProxyHosts(desired, hosts)
	if err != nil {
		return nil, err
	}
	desired.Hosts = slices.DeleteFunc(slices.Clone(desired.Hosts), func(on release.Host) bool { return !slices.Contains(proxied, on.Name) })
	logs := make([]ProxyLog, len(desired.Hosts))
	c.everyHost(desired, func(i int, on release.Host) {
		logs[i] = ProxyLog{Host: on.Name, Lines: []string{}}
		lines, err := c.proxyLog(ctx, desired, on, tail, since)
		if err != nil {
			logs[i].Unreachable = why(err, on.Name)
		}
		for _, line := range lines {
			if strings.Contains(line, grep) {
				logs[i].Lines = append(logs[i].Lines, line)
			}
		}
	})
	return logs, ctx.Err()
}

// proxyLog reads one host's; "since" is by that host's own clock.
func (c *Controller) proxyLog(ctx context.Context, desired release.Release, on release.Host, tail int, since time.Duration) ([]string, error) {
	conn, err := c.fleet.Connection(ctx, on)
	if err != nil {
		return nil, err
	}
	var from time.Time
	if since > 0 {
		info, err := conn.Engine.Info(ctx)
		if err != nil {
			return nil, err
		}
		from = info.Clock.Add(-since)
	}
	return conn.Engine.Logs(ctx, desired.ProxyServer.Name, tail, from)
}
