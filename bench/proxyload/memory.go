package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
)

const (
	memoryConns     = 4
	memoryTransfers = 3 // by each connection and in each direction
)

var memoryBodies = []int64{1 << 20, 4 << 20, 16 << 20, 64 << 20}

// measureMemory prints how much memory bodies of a size cost, passed on as they come and buffered. Each figure is of a process
// that was started for it.
func (b *bench) measureMemory(ctx context.Context) error {
	fmt.Fprintf(b.out, "\nPeak memory, %d connections that send and fetch bodies of a size:\n\n| | idle |", memoryConns)
	for _, body := range memoryBodies {
		fmt.Fprintf(b.out, " %s |", size(body))
	}
	fmt.Fprintf(b.out, "\n|---|%s\n", strings.Repeat("---:|", 1+len(memoryBodies)))
	for _, name := range b.settings.contenders {
		for _, buffered := range []bool{false, true} {
			if name == "bare" || name == "caddy" && buffered {
				continue
			}
			if err := b.memoryRow(ctx, name, buffered); err != nil {
				return err
			}
		}
	}
	return nil
}

func (b *bench) memoryRow(ctx context.Context, name string, buffered bool) error {
	title := name + ", streamed"
	if buffered {
		title = name + ", buffered"
	}
	fmt.Fprintf(b.out, "| %s |", title)
	for i, body := range append([]int64{0}, memoryBodies...) {
		c, err := b.start(ctx, name, buffered)
		if err != nil {
			return err
		}
		if i > 0 {
			err = transfer(c.address, body)
		}
		fmt.Fprintf(b.out, " %s |", size(c.process.peak()))
		c.end()
		if err != nil {
			return fmt.Errorf("%s: bodies of %s: %w", title, size(body), err)
		}
	}
	fmt.Fprintln(b.out)
	return ctx.Err()
}

// transfer sends and fetches bodies over some connections at once.
func transfer(address string, body int64) error {
	errs := make(chan error, memoryConns)
	var wg sync.WaitGroup
	for range memoryConns {
		wg.Go(func() {
			a := newAsker(address, fmt.Sprintf("/bytes/%d", body))
			defer a.close()
			for range memoryTransfers {
				if _, err := a.upload(body); err != nil {
					errs <- err
					return
				}
				if err := a.ask(); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	wg.Wait()
	close(errs)
	return <-errs
}
