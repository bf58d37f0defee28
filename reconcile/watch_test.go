package reconcile_test

import (
	"strings"
	"time"
)

// noLocks wants no lock to be left anywhere.
func (w *world) noLocks(n int) {
	w.t.Helper()
	for _, host := range w.Hosts() {
		for _, name := range w.FileNames(host) {
			if strings.Contains(name, "/lock-") {
				w.t.Errorf("n=%d: %s: a lock is left: %s", n, host, name)
			}
		}
	}
}

// watch asks the web hosts all the time, once the app serves, and counts what fails.
func (w *world) watch(served bool) (stop func(), failed func() int) {
	quit, done := make(chan struct{}), make(chan int, 1)
	go func() {
		count := 0
		for {
			select {
			case <-quit:
				done <- count
				return
			case <-time.After(20 * time.Millisecond):
			}
			for _, host := range []string{"h1", "h2"} {
				if served && w.Request(host, "shop.example.com", "/") != 200 {
					count++
				}
			}
		}
	}()
	return func() { close(quit) }, func() int { return <-done }
}
