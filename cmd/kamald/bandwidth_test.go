package main

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestABandwidthIsASizeOfDocker(t *testing.T) {
	for text, want := range map[string]bandwidth{"20M": 20 << 20, "512k": 512 << 10, "1g": 1 << 30, "1000": 1000, "1.5m": 3 << 19} {
		var b bandwidth
		if err := b.Set(text); err != nil || b != want {
			t.Errorf("%s: %d, %v", text, b, err)
		}
	}
	for _, text := range []string{"", "fast", "-1m", "0", "20Mbit"} {
		var b bandwidth
		if err := b.Set(text); err == nil || !strings.Contains(err.Error(), "such as 512k") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestTheFlagGoesBeforeTheEnvironment(t *testing.T) {
	p := newProgram(nil, nil)
	cmd := p.applyCommand()
	t.Setenv(bandwidthVariable, "1m")
	if err := cmd.PreRunE(cmd, nil); err != nil || p.bandwidth != 1<<20 {
		t.Errorf("the environment's: %d, %v", p.bandwidth, err)
	}
	if err := cmd.Flags().Set("bandwidth", "2m"); err != nil {
		t.Fatal(err)
	}
	if err := cmd.PreRunE(cmd, nil); err != nil || p.bandwidth != 2<<20 {
		t.Errorf("the flag's: %d, %v", p.bandwidth, err)
	}
	other := newProgram(nil, nil)
	cmd = other.applyCommand()
	t.Setenv(bandwidthVariable, "much")
	if err := cmd.PreRunE(cmd, nil); err == nil || !strings.HasPrefix(err.Error(), bandwidthVariable+": ") {
		t.Errorf("a wrong one in the environment: %v", err)
	}
}

func TestALimitIsKeptByAllTogether(t *testing.T) {
	if bandwidth(0).throttle() != nil {
		t.Error("no limit holds something up")
	}
	synctest.Test(t, func(t *testing.T) {
		const limit, each = 1 << 20, 100
		wait := bandwidth(limit).throttle()
		began := time.Now()
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				for range each {
					if err := wait(t.Context(), 100_000); err != nil { // more than a burst
						t.Error(err)
					}
				}
			})
		}
		all.Wait()
		took, want := time.Since(began).Seconds(), (4*each*100_000-burst)/float64(limit)
		if took < want*0.99 || took > want*1.01 {
			t.Errorf("it took %.2f s, want %.2f s", took, want)
		}
		given := errors.New("given up")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(given) })
		if err := wait(ctx, 1<<30); err == nil {
			t.Error("a wait outlives its context")
		}
	})
}
