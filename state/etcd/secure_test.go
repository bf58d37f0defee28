package etcd_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/kamald/kamald/state"
	"github.com/kamald/kamald/state/etcd"
	"github.com/kamald/kamald/state/etcdtest"
)

func TestByTLSWithACertificateAndWithoutOneItIsSaidWhatIsMissing(t *testing.T) {
	defer etcd.SetPatience(2*time.Second, time.Second, time.Second)()
	ours, others := newAuthority(t), newAuthority(t)
	cluster := etcdtest.Start(t, 1, etcdtest.TLS(ours.path("etcd.pem"), ours.path("etcd.key"), ours.path("ca.pem")))
	endpoint := cluster.Endpoints()
	whole := etcd.Config{Endpoints: endpoint, CA: ours.path("ca.pem"), Certificate: ours.path("client.pem"), Key: ours.path("client.key")}
	s, err := etcd.Open(whole)
	must(t, err)
	must(t, s.Append(shop, state.Event{Message: "x"}))
	elected := s.NewElector("a", time.Minute)
	lead(t, elected, shop)
	must(t, elected.Close())
	must(t, s.Close())

	other := whole
	other.CA = others.path("ca.pem")
	bare := etcd.Config{Endpoints: endpoint, CA: ours.path("ca.pem")}
	for name, config := range map[string]etcd.Config{"another authority": other, "no certificate": bare} {
		s, err := etcd.Open(config)
		must(t, err)
		explains(t, s.Append(shop, state.Event{}), endpoint[0], "no secure connection can be made", "ca, certificate and key")
		must(t, s.Close())
		if t.Failed() {
			t.Fatal(name)
		}
	}
	for want, broken := range map[string]etcd.Config{
		"cannot be read":         {Endpoints: endpoint, CA: ours.path("nowhere.pem")},
		"has no certificate":     {Endpoints: endpoint, CA: ours.path("client.key")},
		"the client certificate": {Endpoints: endpoint, Certificate: ours.path("client.pem"), Key: ours.path("etcd.key")},
	} {
		_, err := etcd.Open(broken)
		explains(t, err, want)
	}
}

func TestAUserOfEtcdMayDoWhatItIsGranted(t *testing.T) {
	cluster := etcdtest.Start(t, 1)
	users(t, cluster)
	as := func(user, password string) *etcd.Store {
		s, err := etcd.Open(etcd.Config{Endpoints: cluster.Endpoints(), Username: user, Password: func() (string, error) {
			if password == "" {
				return "", errors.New("secret ETCD_PASSWORD is not at hand")
			}
			return password, nil
		}})
		must(t, err)
		t.Cleanup(func() { _ = s.Close() })
		return s
	}
	s := as("kamald", "hunter2")
	must(t, s.Writable())
	must(t, s.Append(shop, state.Event{Message: "x"}))
	must(t, s.SaveSnapshot(state.Snapshot{App: shop, Hosts: []state.Host{{Name: noise(3 << 20)}}})) // in parts, on a lease
	must(t, s.Trim(shop, 0, 0))
	must(t, s.Check())
	e := s.NewElector("a", time.Minute)
	must(t, s.Under(lead(t, e, shop)).Append(shop, state.Event{Message: "y"}))
	eventually(t, "who leads is known", func() bool { name, _ := e.Leader(shop); return name == "a" })
	must(t, e.Close())
	if size, err := s.Size(); err != nil || size <= 0 {
		t.Errorf("%d bytes, %v", size, err)
	}
	explains(t, as("kamald", "wrong").Writable(), "does not take the user kamald", "store.username")
	explains(t, as("poor", "hunter2").Writable(), "the user poor may not do that", "grant-permission")
	explains(t, as("kamald", "").Writable(), "secret ETCD_PASSWORD is not at hand")
	explains(t, open(t, cluster.Endpoints()...).Writable(), "does not take whoever has no user")
	for _, s := range []*etcd.Store{as("kamald", "wrong"), as("poor", "hunter2")} {
		if err := s.Writable(); strings.Contains(err.Error(), "hunter2") || errors.Is(err, etcd.ErrAway) {
			t.Errorf("said %v", err)
		}
		if _, err := s.NewElector("b", time.Minute).Campaign(context.Background(), shop); err == nil {
			t.Error("it leads")
		}
	}
}

// A client of etcd's keeps the password that it was made with.
func TestAPasswordThatWasChangedIsReadAnew(t *testing.T) {
	cluster := etcdtest.Start(t, 1)
	root := users(t, cluster)
	var password atomic.Value
	password.Store("hunter2")
	s, err := etcd.Open(etcd.Config{Endpoints: cluster.Endpoints(), Username: "kamald", Password: func() (string, error) { return password.Load().(string), nil }})
	must(t, err)
	t.Cleanup(func() { must(t, s.Close()) })
	e := s.NewElector("a", time.Minute)
	term := lead(t, e, shop)
	eventually(t, "who leads is known", func() bool { name, _ := e.Leader(shop); return name == "a" })
	must(t, second(root.UserChangePassword(context.Background(), "kamald", "hunter3")))
	explains(t, s.Writable(), "does not take the user kamald", "store.username")
	password.Store("hunter3")
	eventually(t, "the store can be written", func() bool { return s.Writable() == nil })
	must(t, s.Under(term).Append(shop, state.Event{Message: "in the same term"}))
	lead(t, e, staging)
	eventually(t, "who leads is known", func() bool { name, _ := e.Leader(staging); return name == "a" })
	if !term.Holds() {
		t.Error("the term is over")
	}
	must(t, e.Close())
}

// users gives a cluster users, of whom kamald may do what it must and poor nothing, and gives etcd's client as its root.
func users(t *testing.T, cluster *etcdtest.Cluster) *clientv3.Client {
	t.Helper()
	root, ctx := plain(t, cluster), context.Background()
	for _, err := range []error{
		second(root.UserAdd(ctx, "root", "rootpass")), second(root.RoleAdd(ctx, "root")), second(root.UserGrantRole(ctx, "root", "root")),
		second(root.UserAdd(ctx, "kamald", "hunter2")), second(root.RoleAdd(ctx, "kamald")), second(root.UserGrantRole(ctx, "kamald", "kamald")),
		second(root.UserAdd(ctx, "poor", "hunter2")),
		second(root.RoleGrantPermission(ctx, "kamald", "/kamald/", clientv3.GetPrefixRangeEnd("/kamald/"), clientv3.PermissionType(clientv3.PermReadWrite))),
		second(root.AuthEnable(ctx)),
	} {
		must(t, err)
	}
	client, err := clientv3.New(clientv3.Config{Endpoints: cluster.Endpoints(), Username: "root", Password: "rootpass", Logger: zap.NewNop()})
	must(t, err)
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func second[T any](_ T, err error) error { return err }

// authority is a directory with a certificate authority, and certificates of it for a member and a client.
type authority struct{ dir string }

func (a authority) path(name string) string { return filepath.Join(a.dir, name) }

func newAuthority(t *testing.T) authority {
	t.Helper()
	a := authority{t.TempDir()}
	ca := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ca"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	key := a.issue(t, "ca", ca, ca, nil)
	for i, name := range []string{"etcd", "client"} {
		a.issue(t, name, &x509.Certificate{SerialNumber: big.NewInt(int64(i + 2)), Subject: pkix.Name{CommonName: name}, NotBefore: ca.NotBefore, NotAfter: ca.NotAfter,
			IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}, ca, key)
	}
	return a
}

func (a authority) issue(t *testing.T, name string, certificate, by *x509.Certificate, with *ecdsa.PrivateKey) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	if with == nil {
		with = key
	}
	der, err := x509.CreateCertificate(rand.Reader, certificate, by, &key.PublicKey, with)
	must(t, err)
	private, err := x509.MarshalECPrivateKey(key)
	must(t, err)
	must(t, os.WriteFile(a.path(name+".pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	must(t, os.WriteFile(a.path(name+".key"), pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: private}), 0o600))
	return key
}
