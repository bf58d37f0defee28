package etcd_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/kamald/kamald/state"
	"github.com/kamald/kamald/state/etcdtest"
)

// A fleet's snapshot is kept whole, at one key.
func TestTheSnapshotOfAThousandHostsIsKept(t *testing.T) {
	cluster := etcdtest.Start(t, 1)
	s := open(t, cluster.Endpoints()...)
	snapshot := fleet(1000)
	data, err := json.Marshal(snapshot)
	must(t, err)
	began := time.Now()
	must(t, s.SaveSnapshot(snapshot))
	saved := time.Since(began)
	got, err := plain(t, cluster).Get(context.Background(), "/kamald/v1/app/shop//snapshot")
	must(t, err)
	began = time.Now()
	again, ok, err := open(t, cluster.Endpoints()...).Snapshot(shop)
	must(t, err)
	t.Logf("%d bytes of JSON are %d in etcd: written in %v, read in %v", len(data), len(got.Kvs[0].Value), saved, time.Since(began))
	if !ok || len(again.Hosts) != 1000 || again.Hosts[999].Containers[1].Name != snapshot.Hosts[999].Containers[1].Name {
		t.Error("it is not what was saved")
	}
}

func fleet(hosts int) state.Snapshot {
	s := state.Snapshot{Schema: state.SnapshotSchema, App: shop, TakenAt: noon}
	id := func(kind string, n int) string {
		return fmt.Sprintf("%064x", uint64(len(kind)+1)*0x9E3779B97F4A7C15*uint64(n+1))
	}
	for n := range hosts {
		h := state.Host{Name: fmt.Sprintf("web-%d", n), SeenAt: noon, Home: "/home/deploy", RunDir: "/home/deploy/.kamal", FreeBytes: int64(n) * 4096,
			Engine: state.Engine{Version: "29.1.2", API: "1.52", OS: "linux", Arch: "amd64", Root: "/var/lib/docker", Clock: noon.Add(time.Duration(n))}}
		for c := range 5 {
			spec := state.Spec{Image: "registry.example.com/acme/shop:v1", Env: map[string]string{"RAILS_ENV": "production", "PORT": "3000"},
				Labels: map[string]string{"service": "shop", "role": "web", "destination": ""}}
			h.Containers = append(h.Containers, state.Container{ID: id("container", n*5+c), Name: fmt.Sprintf("shop-web-v%d", c), ImageID: "sha256:" + id("image", c), Service: "shop", Role: "web",
				Status: state.StatusRunning, Created: noon, Started: noon, Asked: &spec, Live: spec, RunDir: "/home/deploy/.kamal"})
		}
		for c := range 5 {
			h.Images = append(h.Images, state.Image{ID: "sha256:" + id("image", c), Tags: []string{fmt.Sprintf("registry.example.com/acme/shop:v%d", c)}, Created: noon, Size: 123456789})
		}
		s.Hosts = append(s.Hosts, h)
	}
	return s
}
