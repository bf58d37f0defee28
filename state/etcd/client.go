package etcd

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
)

const (
	// dialTime is how long one member may take to take a connection, or to know a user.
	dialTime = 2 * time.Second
	// mostPause is how long after an outage nobody tries again, at most.
	mostPause = 2 * time.Second
	// A member that says nothing for so long is left for another. etcd takes pings no more often.
	pingEvery   = 10 * time.Second
	pingTimeout = 3 * time.Second
	// oldest is how old a client must be at least for another to be made with the password as it is now.
	oldest = 2 * time.Second
)

// dial gives the client, and makes it at first need: with a user that asks the cluster.
func (s *core) dial() (*clientv3.Client, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, errClosed
	}
	if s.client != nil {
		return s.client, nil
	}
	config := clientv3.Config{
		Endpoints: s.config.Endpoints, Context: s.life, Logger: zap.NewNop(), DialTimeout: dialTime,
		DialKeepAliveTime: pingEvery, DialKeepAliveTimeout: pingTimeout, Username: s.config.Username,
		DialOptions: []grpc.DialOption{grpc.WithConnectParams(grpc.ConnectParams{MinConnectTimeout: dialTime,
			Backoff: backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: mostPause}})},
	}
	var err error
	if config.TLS, err = s.tls(); err != nil {
		return nil, err
	}
	if s.config.Password != nil {
		if config.Password, err = s.config.Password(); err != nil {
			return nil, &settled{s.misuse("the password of %s: %w", s.config.Username, err)}
		}
	}
	client, err := clientv3.New(config)
	if err != nil {
		return nil, err
	}
	s.client, s.dialed = client, time.Now()
	return client, nil
}

// outdated is to be told of a client whose user etcd does not take any more: a client keeps the password that it was made with, and that may
// have been changed. It tells whether what was asked may be asked again: there is another client, or will be.
func (s *core) outdated(client *clientv3.Client) bool {
	s.mu.Lock()
	if s.closed || s.client == client && time.Since(s.dialed) < oldest {
		s.mu.Unlock()
		return false
	}
	mine := s.client == client
	if mine {
		s.client = nil
	}
	s.mu.Unlock()
	if mine {
		_ = client.Close() // what is under way by it ends, and is asked again
	}
	return true
}

// tls is how connections are made safe; nil: they are not, where every endpoint says http.
func (s *core) tls() (*tls.Config, error) {
	c := s.config
	secure := c.CA != "" || c.Certificate != ""
	for _, endpoint := range c.Endpoints {
		secure = secure || strings.HasPrefix(endpoint, "https://")
	}
	if !secure {
		return nil, nil
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CA != "" {
		data, err := os.ReadFile(c.CA)
		if err != nil {
			return nil, &settled{s.misuse("the certificate authority (ca) cannot be read: %w", err)}
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(data) {
			return nil, &settled{s.misuse("%s (ca) has no certificate in PEM form", c.CA)}
		}
	}
	if c.Certificate == "" {
		return config, nil
	}
	load := func() (*tls.Certificate, error) {
		pair, err := tls.LoadX509KeyPair(c.Certificate, c.Key)
		if err != nil {
			return nil, fmt.Errorf("the client certificate %s and its key %s: %w", c.Certificate, c.Key, err)
		}
		return &pair, nil
	}
	if _, err := load(); err != nil {
		return nil, &settled{s.misuse("%w", err)}
	}
	config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return load() }
	return config, nil
}
