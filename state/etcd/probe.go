package etcd

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"
)

const (
	probeTime  = 700 * time.Millisecond // of one member
	probeEvery = 5 * time.Second        // so that the many calls of an outage do not each ask
)

// probe is what the way to each member met last. etcd's client waits for a connection and does not say why there is none.
type probe struct {
	mu   sync.Mutex
	at   time.Time
	said string
}

// why tells what is wrong with the way to the members, a reason each; "": they all take connections.
func (s *core) why() string {
	s.probe.mu.Lock()
	defer s.probe.mu.Unlock()
	if !s.probe.at.IsZero() && time.Since(s.probe.at) < probeEvery {
		return s.probe.said
	}
	reasons := make([]string, len(s.config.Endpoints))
	var all sync.WaitGroup
	for i, endpoint := range s.config.Endpoints {
		all.Go(func() {
			if err := s.connect(endpoint); err != nil {
				reasons[i] = endpoint + ": " + err.Error()
			}
		})
	}
	all.Wait()
	var said []string
	for _, reason := range reasons {
		if reason != "" {
			said = append(said, reason)
		}
	}
	s.probe.at, s.probe.said = time.Now(), strings.Join(said, "; ")
	return s.probe.said
}

// connect makes a connection as the client would, and ends it.
func (s *core) connect(endpoint string) error {
	u, err := url.Parse(endpoint)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(s.life, probeTime)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", u.Host)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }() // it was only tried
	config, err := s.tls()
	if err != nil || config == nil {
		return err
	}
	config.ServerName, config.NextProtos = u.Hostname(), []string{"h2"}
	secure := tls.Client(conn, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		return err
	}
	// Of a certificate of ours that it does not take a member tells after the handshake. Else it speaks first.
	_ = secure.SetReadDeadline(time.Now().Add(probeTime))
	if _, err := secure.Read(make([]byte, 1)); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	}
	return nil
}
