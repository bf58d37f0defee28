package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/release"
)

var nine = time.Date(2026, 1, 1, 9, 0, 0, 0, time.Local)

var events = []reconcile.Progress{
	{At: nine, Kind: "planned", Message: "3 steps planned"},
	{At: nine, Kind: "begin", Host: "web-1", Role: "web", Step: "create/web-1", Message: "create shop-web-v2"},
	{At: nine.Add(time.Second), Kind: "done", Host: "web-1", Role: "web", Step: "create/web-1", Message: "create shop-web-v2", Took: 340 * time.Millisecond},
	{At: nine.Add(time.Second), Kind: "begin", Host: "web-1", Role: "web", Step: "start/web-1", Message: "start shop-web-v2"},
	{At: nine.Add(time.Second), Kind: "begin", Host: "jobs-10", Role: "workers", Step: "start/jobs-10", Message: "start shop-workers-v2"},
	{At: nine.Add(2 * time.Second), Kind: "failed", Host: "web-1", Role: "web", Step: "start/web-1", Message: "web-1: start shop-web-v2: no\n  | a log line"},
	{At: nine.Add(3 * time.Second), Kind: "undone", Host: "web-1", Role: "web", Step: "create/web-1", Message: "remove shop-web-v2"},
}

var twoHosts = release.Release{
	Hosts: []release.Host{{Name: "web-1"}, {Name: "jobs-10"}}, Roles: []release.Role{{Name: "web"}, {Name: "workers"}},
}

// progressTo shows progress where there is no terminal.
func progressTo(t *testing.T, b *bytes.Buffer, flags flags, calls func() []reconcile.Flight) *progress {
	t.Helper()
	p := &program{err: terminal{Writer: b}, flags: flags, interrupt: &interrupt{}}
	shown := p.newProgress(twoHosts, calls)
	t.Cleanup(shown.end)
	return shown
}

func TestProgressIsOneEventALineWithTimeHostRoleAndStep(t *testing.T) {
	var b bytes.Buffer
	p := progressTo(t, &b, flags{}, nil)
	for _, event := range events {
		p.report(event)
	}
	p.end()
	want := `09:00:00  3 steps planned
09:00:01  web-1    web      create shop-web-v2 … 0.3s
09:00:02  web-1    web      failed: start shop-web-v2: no
09:00:03  web-1    web      undone: remove shop-web-v2
`
	if b.String() != want {
		t.Errorf("said\n%s\nwant\n%s", b.String(), want)
	}
}

func TestWithJSONEachEventIsAnObjectOnALine(t *testing.T) {
	var b bytes.Buffer
	p := progressTo(t, &b, flags{json: true}, nil)
	for _, event := range events {
		p.report(event)
	}
	var kinds []string
	for line := range strings.Lines(b.String()) {
		var event struct {
			Schema int
			reconcile.Progress
		}
		if err := json.Unmarshal([]byte(line), &event); err != nil || event.Schema != schema || event.At.IsZero() {
			t.Errorf("%v in %q", err, line)
		}
		kinds = append(kinds, event.Kind)
	}
	if want := []string{"planned", "begin", "done", "begin", "begin", "failed", "undone"}; !slices.Equal(kinds, want) {
		t.Errorf("the kinds are %q, want %q", kinds, want)
	}
}

func TestQuietProgressSaysNothingAndStillKnowsWhatIsLeft(t *testing.T) {
	for _, flags := range []flags{{quiet: true}, {quiet: true, json: true}} {
		var b bytes.Buffer
		p := progressTo(t, &b, flags, nil)
		for _, event := range events[:6] {
			p.report(event)
		}
		want := []string{"web-1: create shop-web-v2 (done)", "jobs-10: start shop-workers-v2 (under way)"}
		if left := p.left(); !slices.Equal(left, want) || b.Len() > 0 {
			t.Errorf("left %q, want %q; said %q", left, want, b.String())
		}
		p.report(events[6])
		if left := p.left(); !slices.Equal(left, want[1:]) {
			t.Errorf("left after undoing %q, want %q", left, want[1:])
		}
	}
}

func TestBytesAreALineEveryFiveSecondsWhereThereIsNoTerminal(t *testing.T) {
	var b bytes.Buffer
	p := progressTo(t, &b, flags{}, nil)
	p.report(reconcile.Progress{At: nine, Kind: "begin", Host: "web-1", Step: "image/web-1", Message: "get image x"})
	for second := 1; second <= 12; second++ {
		p.report(reconcile.Progress{At: nine.Add(time.Duration(second) * time.Second), Kind: "bytes", Host: "web-1", Step: "image/web-1",
			Message: fmt.Sprintf("get image x: %d MiB of 12 MiB", second)})
	}
	want := "09:00:05  web-1             get image x: 5 MiB of 12 MiB\n09:00:10  web-1             get image x: 10 MiB of 12 MiB\n"
	if b.String() != want {
		t.Errorf("it said\n%swant\n%s", b.String(), want)
	}
	if left := p.left(); len(left) != 1 || left[0] != "web-1: get image x: 12 MiB of 12 MiB (under way)" {
		t.Errorf("left is %q", left)
	}
}

func TestWhatLastsIsSaidWithTheCallThatItIsIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b bytes.Buffer
		began := time.Now()
		calls := []reconcile.Flight{
			{Call: reconcile.Call{Host: "jobs-10", Method: "Connect"}, Since: began},
			{Call: reconcile.Call{Host: "jobs-10", Method: "Prober.HTTP"}, Step: "prove/jobs-10", Since: began.Add(lastsFirst - time.Second)},
			{Call: reconcile.Call{Host: "web-1", Method: "Engine.Stop"}, Step: "stop/web-1", Since: began.Add(time.Second)},
		}
		p := progressTo(t, &b, flags{}, func() []reconcile.Flight { return calls })
		p.report(reconcile.Progress{At: began, Kind: "begin", Host: "web-1", Role: "web", Step: "stop/web-1", Message: "stop 100%"})
		p.report(reconcile.Progress{At: began, Kind: "begin", Host: "jobs-10", Role: "web", Step: "prove/jobs-10", Message: "prove: 503"})
		time.Sleep(lastsFirst - time.Second/2)
		synctest.Wait()
		p.mu.Lock()
		if b.Len() > 0 {
			t.Errorf("after %s it said %q", time.Since(began), b.String())
		}
		p.mu.Unlock()
		time.Sleep(2*lastsEvery + time.Second)
		p.end()
		lines := strings.Split(strings.TrimSpace(b.String()), "\n")
		if len(lines) != 9 { // at 10, 40 and 70 seconds
			t.Fatalf("it said\n%s", b.String())
		}
		for i, want := range []string{"web-1    web      stop 100%: still under way after 10.0s, in Engine.Stop for 9.0s", "jobs-10  web      prove: 503: still under way after 10.0s", "jobs-10           no answer for 10.0s: Connect"} {
			if !strings.HasSuffix(lines[i], want) {
				t.Errorf("it said %q, want %q", lines[i], want)
			}
		}
	})
}
