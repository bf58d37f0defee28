package etcd_test

import (
	"context"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/kamald/kamald/state"
	"github.com/kamald/kamald/state/etcd"
	"github.com/kamald/kamald/state/etcdtest"
	"github.com/kamald/kamald/state/storetest"
)

var (
	shop    = state.App{Service: "shop"}
	staging = state.App{Service: "shop", Destination: "staging"}
	noon    = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
)

func TestAStoreInEtcdIsAStore(t *testing.T) {
	cluster := etcdtest.Start(t, 1)
	storetest.Run(t, func(t *testing.T) state.Store {
		wipe(t, cluster)
		return open(t, cluster.Endpoints()...)
	})
}

func TestAStoreInEtcdDoesWhatTheModelDoes(t *testing.T) {
	storetest.Random(t, open(t, etcdtest.Start(t, 1).Endpoints()...))
}

// With parts of a hundred bytes nearly every value is in several.
func TestAStoreInEtcdDoesWhatTheModelDoesInParts(t *testing.T) {
	defer etcd.SetMost(100)()
	cluster := etcdtest.Start(t, 1)
	storetest.Random(t, open(t, cluster.Endpoints()...))
	client := plain(t, cluster)
	leases, err := client.Leases(context.Background())
	must(t, err)
	if n := len(leases.Leases); n > 0 {
		t.Errorf("%d leases are left", n)
	}
}

// open gives a store, and closes it with the test.
func open(t testing.TB, endpoints ...string) *etcd.Store {
	t.Helper()
	s, err := etcd.Open(etcd.Config{Endpoints: endpoints})
	must(t, err)
	t.Cleanup(func() { must(t, s.Close()) })
	return s
}

// plain gives etcd's own client.
func plain(t testing.TB, cluster *etcdtest.Cluster) *clientv3.Client {
	t.Helper()
	client, err := clientv3.New(clientv3.Config{Endpoints: cluster.Endpoints(), Logger: zap.NewNop()})
	must(t, err)
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func wipe(t testing.TB, cluster *etcdtest.Cluster) {
	t.Helper()
	_, err := plain(t, cluster).Delete(context.Background(), "", clientv3.WithPrefix())
	must(t, err)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
