package sim_test

import (
	"fmt"
	"testing"

	"github.com/kamald/kamald/drivers/sim"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// BenchmarkCall is what a call costs the processor, without the virtual time that it takes.
func BenchmarkCall(b *testing.B) {
	w := sim.New(1, sim.WithLatency(0))
	for i := range 10_000 {
		w.AddHost(fmt.Sprint("host", i))
	}
	w.Place("host7", sim.Image{Ref: repo + ":v1"})
	spec := state.Spec{Image: repo + ":v1", Env: map[string]string{"A": "1"}}
	for i := range 5 {
		w.RunContainer("host7", fmt.Sprint("c", i), spec, map[string]string{"service": "shop", state.LabelSpec: spec.JSON()}, nil)
	}
	c, err := w.Connector().Connect(b.Context(), release.Host{Name: "host7"})
	if err != nil {
		b.Fatal(err)
	}
	filter := state.Filter{Labels: map[string]string{"service": "shop", "destination": ""}}
	for name, call := range map[string]func() error{
		"home":    func() error { _, err := c.Files.Home(b.Context()); return err },
		"list":    func() error { _, err := c.Engine.Containers(b.Context(), filter); return err },
		"inspect": func() error { _, err := c.Engine.Inspect(b.Context(), "c3", state.View{}); return err },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := call(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
