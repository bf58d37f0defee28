// Package etcdtest runs etcd in a test's own process: one member or several, and lines to them that can be cut. Tests only.
package etcdtest

import (
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
)

// Cluster is a cluster of etcd members on this machine.
type Cluster struct {
	Members []*Member
}

// Member is one of them.
type Member struct {
	Endpoint string // its URL for clients

	t      testing.TB
	config *embed.Config
	server *embed.Etcd // nil while it is stopped
}

// Option changes how a member is run, before it begins.
type Option func(*embed.Config)

// TLS has members take clients by TLS alone, those with a certificate of the authority.
func TLS(certificate, key, authority string) Option {
	return func(c *embed.Config) {
		c.ClientTLSInfo.CertFile, c.ClientTLSInfo.KeyFile = certificate, key
		c.ClientTLSInfo.TrustedCAFile, c.ClientTLSInfo.ClientCertAuth = authority, authority != ""
		for i := range c.ListenClientUrls {
			c.ListenClientUrls[i].Scheme = "https"
		}
		c.AdvertiseClientUrls = c.ListenClientUrls
	}
}

// Quota is how much the members keep, in bytes.
func Quota(bytes int64) Option { return func(c *embed.Config) { c.QuotaBackendBytes = bytes } }

// Start gives a cluster of so many members that is ready, and ends it with the test.
func Start(t testing.TB, members int, options ...Option) *Cluster {
	t.Helper()
	c := &Cluster{}
	var peers, initial []string
	for i := range members {
		peers = append(peers, "http://"+free(t))
		initial = append(initial, fmt.Sprintf("m%d=%s", i, peers[i]))
	}
	for i := range members {
		config := embed.NewConfig()
		config.Name, config.Dir = fmt.Sprintf("m%d", i), filepath.Join(t.TempDir(), "etcd")
		config.LogLevel, config.LogOutputs = "panic", []string{filepath.Join(t.TempDir(), "log")}
		config.TickMs, config.ElectionMs = 50, 500
		config.UnsafeNoFsync = true // no test takes the power away
		config.ListenPeerUrls, config.ListenClientUrls = urls(t, peers[i]), urls(t, "http://"+free(t))
		config.AdvertisePeerUrls, config.AdvertiseClientUrls = config.ListenPeerUrls, config.ListenClientUrls
		config.InitialCluster = strings.Join(initial, ",")
		for _, option := range options {
			option(config)
		}
		c.Members = append(c.Members, &Member{Endpoint: config.ListenClientUrls[0].String(), t: t, config: config})
	}
	t.Cleanup(func() {
		for _, m := range c.Members {
			m.Stop()
		}
	})
	for _, m := range c.Members {
		m.begin()
	}
	for _, m := range c.Members {
		m.ready()
	}
	return c
}

// Endpoints are the URLs of all members.
func (c *Cluster) Endpoints() (endpoints []string) {
	for _, m := range c.Members {
		endpoints = append(endpoints, m.Endpoint)
	}
	return endpoints
}

// Leader is the member that leads the cluster.
func (c *Cluster) Leader() *Member {
	for _, m := range c.Members {
		if m.server != nil && m.server.Server.Leader() == m.server.Server.MemberID() {
			return m
		}
	}
	return nil
}

// Stop ends a member; what it has on its disk stays.
func (m *Member) Stop() {
	if m.server != nil {
		m.server.Close()
		m.server = nil
	}
}

// Start begins a member again that was stopped. It waits for it only when others are there for a quorum.
func (m *Member) Start() {
	m.t.Helper()
	m.config.ClusterState = embed.ClusterStateFlagExisting
	m.begin()
}

// Save keeps what a member that is stopped has on its disk. What it gives brings that back, while the member is stopped, too.
func (m *Member) Save() (restore func()) {
	m.t.Helper()
	kept := filepath.Join(m.t.TempDir(), "kept")
	if err := os.CopyFS(kept, os.DirFS(m.config.Dir)); err != nil {
		m.t.Fatal(err)
	}
	return func() {
		m.t.Helper()
		err := os.RemoveAll(m.config.Dir)
		if err == nil {
			err = os.CopyFS(m.config.Dir, os.DirFS(kept))
		}
		if err != nil {
			m.t.Fatal(err)
		}
	}
}

func (m *Member) begin() {
	m.t.Helper()
	server, err := embed.StartEtcd(m.config)
	if err != nil {
		m.t.Fatal(err)
	}
	m.server = server
}

func (m *Member) ready() {
	m.t.Helper()
	select {
	case <-m.server.Server.ReadyNotify():
	case err := <-m.server.Err():
		m.t.Fatal(err)
	case <-time.After(time.Minute):
		m.t.Fatal("the member is not ready after a minute")
	}
}

// free is an address of this machine that nothing listens at.
func free(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func urls(t testing.TB, text string) []url.URL {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return []url.URL{*u}
}
