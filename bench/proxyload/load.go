package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// outcome is what a stretch of load came to.
type outcome struct {
	answers int
	rate    float64       // answers a second
	p99     time.Duration // from the moment when a request was due
	fails   int
	why     error // the first failure
}

// saturate keeps conns connections busy for a time: each asks again as soon as it was answered.
func saturate(ctx context.Context, address, path string, conns int, length time.Duration) outcome {
	return drive(ctx, address, path, conns, length, 0)
}

// paced asks rate times a second over conns connections. A request that has to wait for a connection has waited: its time counts
// from when it was due.
func paced(ctx context.Context, address, path string, conns int, length time.Duration, rate float64) outcome {
	return drive(ctx, address, path, conns, length, rate)
}

func drive(ctx context.Context, address, path string, conns int, length time.Duration, rate float64) outcome {
	ctx, cancel := context.WithTimeout(ctx, length+10*time.Second)
	defer cancel()
	var next, fails atomic.Int64
	var mu sync.Mutex
	var took []time.Duration
	var why error
	begin := time.Now()
	var wg sync.WaitGroup
	for range conns {
		wg.Go(func() {
			mine := make([]time.Duration, 0, 1024)
			asker := newAsker(address, path)
			defer asker.close()
			for ctx.Err() == nil {
				due := time.Now()
				if rate > 0 {
					due = begin.Add(time.Duration(float64(next.Add(1)-1) / rate * float64(time.Second)))
				}
				if due.Sub(begin) >= length {
					break
				}
				time.Sleep(time.Until(due))
				if err := asker.ask(); err != nil {
					fails.Add(1)
					mu.Lock()
					if why == nil {
						why = err
					}
					mu.Unlock()
					if fails.Load() > 1000 {
						break
					}
					continue
				}
				mine = append(mine, time.Since(due))
			}
			mu.Lock()
			took = append(took, mine...)
			mu.Unlock()
		})
	}
	wg.Wait()
	slices.Sort(took)
	o := outcome{answers: len(took), rate: float64(len(took)) / max(time.Since(begin), length).Seconds(), fails: int(fails.Load()), why: why}
	if len(took) > 0 {
		o.p99 = took[len(took)*99/100]
	}
	return o
}

// check makes failures the run's failure: figures of a proxy that fails are none.
func (o outcome) check(name string) error {
	if o.fails > 0 || o.rate == 0 {
		return fmt.Errorf("%s: %d requests failed: %w", name, o.fails, o.why)
	}
	return nil
}
