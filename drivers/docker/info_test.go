package docker

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"testing"

	"github.com/moby/moby/api/types/system"

	"github.com/kamald/kamald/state"
)

func TestWhatAnEngineLacksIsInTheWordsOfOptions(t *testing.T) {
	all := system.Info{OSType: "linux", MemoryLimit: true, CPUCfsQuota: true, CPUCfsPeriod: true, CPUShares: true, CPUSet: true, PidsLimit: true}
	if got := lacks(all); len(got) > 0 {
		t.Errorf("%q", got)
	}
	none := lacks(system.Info{OSType: "linux"})
	for _, option := range none {
		if _, ok := options[option]; !ok && option != "memory-reservation" {
			t.Errorf("%s is no option", option)
		}
	}
	if !slices.IsSorted(none) || !slices.Contains(none, "memory") || !slices.Contains(none, "pids-limit") || !slices.Contains(none, "cpus") {
		t.Errorf("%q", none)
	}
	if got := lacks(system.Info{OSType: "windows"}); len(got) > 0 {
		t.Errorf("windows: %q", got)
	}
}

func TestARealEngineSaysWhoPublishesWhat(t *testing.T) {
	e := realEngine(t)
	withImage(t, e)
	name := uniqueName()
	port := freePort(t)
	id := made(t, e, name, state.Spec{Image: testImage, Options: map[string][]string{"publish": {"127.0.0.1:" + port + ":8080"}}}, nil)
	mine := func() []state.Port {
		ports, err := e.Ports(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return slices.DeleteFunc(ports, func(p state.Port) bool { return p.Container != id })
	}
	if got := mine(); len(got) > 0 {
		t.Errorf("before it starts: %v", got)
	}
	if err := e.Start(context.WithoutCancel(t.Context()), name); err != nil {
		t.Fatal(err)
	}
	if got := mine(); len(got) != 1 || got[0].String() != "127.0.0.1:"+port+"/tcp" || got[0].Name != name || got[0].Address != netip.MustParseAddr("127.0.0.1") {
		t.Errorf("%+v", got)
	}
}

// freePort is a port that nobody has at the moment.
func freePort(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}
