package e2e

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kamald/kamald/lab"
)

// load asks hosts at a steady rate, by kept and by new connections, and counts what fails. It stops by itself.
type load struct {
	stop     context.CancelFunc
	done     sync.WaitGroup
	asked    atomic.Int64
	failed   atomic.Int64
	mu       sync.Mutex
	failures []string
	versions map[string]int
}

// startLoad asks each host rate times a second, for at most limit.
func startLoad(t *testing.T, rate int, limit time.Duration, hosts ...*lab.Host) *load {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	l := &load{stop: cancel, versions: map[string]int{}}
	for _, h := range hosts {
		kept := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 16}}
		fresh := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
		l.done.Go(func() {
			tick := time.NewTicker(time.Second / time.Duration(rate))
			defer tick.Stop()
			for n := 0; ; n++ {
				select {
				case <-ctx.Done():
					return
				case <-tick.C:
				}
				client, path := kept, "/"
				if n%4 == 0 {
					client = fresh
				}
				if n%25 == 0 {
					path = "/slow?ms=400"
				}
				l.done.Go(func() { l.ask(client, "http://"+h.Address+path) })
			}
		})
	}
	t.Cleanup(func() { cancel(); l.done.Wait() })
	return l
}

func (l *load) ask(client *http.Client, url string) {
	l.asked.Add(1)
	response, err := client.Get(url)
	if err != nil {
		l.fail(err.Error())
		return
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		l.fail(fmt.Sprintf("%s: %d %v %.100s", url, response.StatusCode, err, body))
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, word := range strings.Fields(string(body)) {
		if version, ok := strings.CutPrefix(word, "version="); ok {
			l.versions[version]++
		}
	}
}

func (l *load) fail(what string) {
	l.failed.Add(1)
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.failures) < 10 {
		l.failures = append(l.failures, what)
	}
}

// end stops asking, waits for what is under way, and wants nothing to have failed.
func (l *load) end(t *testing.T) {
	t.Helper()
	l.stop()
	l.done.Wait()
	t.Logf("%d requests, %d failed, by version %v", l.asked.Load(), l.failed.Load(), l.versions)
	if l.asked.Load() == 0 || l.failed.Load() != 0 {
		t.Errorf("%d of %d requests failed: %v", l.failed.Load(), l.asked.Load(), l.failures)
	}
}
