package console

import (
	"context"
	"net"
	"net/http"
	"time"
)

// NewClientOver asks a daemon at the far end of a connection that dial makes, such as its socket on another machine reached by SSH: who asks
// is known there. where names it in messages.
func NewClientOver(where string, dial func(ctx context.Context) (net.Conn, error)) (*Client, error) {
	transport := &http.Transport{MaxIdleConns: 4, IdleConnTimeout: time.Minute,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) }}
	return &Client{base: "http://kamald.localhost", where: where, client: &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}
