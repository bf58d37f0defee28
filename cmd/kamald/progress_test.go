package main

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/release"
)

var events = []reconcile.Progress{
	{Kind: "planned", Message: "3 steps planned"},
	{Kind: "begin", Host: "web-1", Step: "create/web-1", Message: "create shop-web-v2"},
	{Kind: "done", Host: "web-1", Step: "create/web-1", Message: "create shop-web-v2", Took: 340 * time.Millisecond},
	{Kind: "begin", Host: "web-1", Step: "start/web-1", Message: "start shop-web-v2"},
	{Kind: "begin", Host: "jobs-10", Step: "start/jobs-10", Message: "start shop-workers-v2"},
	{Kind: "failed", Host: "web-1", Step: "start/web-1", Message: "web-1: start shop-web-v2: no\n  | a log line"},
	{Kind: "undone", Host: "web-1", Step: "create/web-1", Message: "remove shop-web-v2"},
}

var twoHosts = release.Release{Hosts: []release.Host{{Name: "web-1"}, {Name: "jobs-10"}}}

func TestProgressIsOneEventALine(t *testing.T) {
	var b bytes.Buffer
	p := newProgress(terminal{Writer: &b}, twoHosts, false, false)
	for _, event := range events {
		p.report(event)
	}
	p.end()
	want := `3 steps planned
web-1    create shop-web-v2 … 0.3s
web-1    failed: start shop-web-v2: no
web-1    undone: remove shop-web-v2
`
	if b.String() != want {
		t.Errorf("said\n%s\nwant\n%s", b.String(), want)
	}
}

func TestQuietProgressSaysNothingAndStillKnowsWhatIsLeft(t *testing.T) {
	var b bytes.Buffer
	p := newProgress(terminal{Writer: &b}, twoHosts, true, false)
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

func TestOnATerminalWhatIsUnderWayStandsBelowAndIsTakenAway(t *testing.T) {
	var b bytes.Buffer
	p := newProgress(terminal{Writer: &b, live: true}, twoHosts, false, false)
	p.report(events[1])
	p.report(events[2])
	want := "… web-1 create shop-web-v2" + "\r\x1b[2K" + "web-1    create shop-web-v2 … 0.3s\n"
	if b.String() != want {
		t.Errorf("said %q, want %q", b.String(), want)
	}
}

func TestBytesAreALineEveryFiveSecondsWhereThereIsNoTerminal(t *testing.T) {
	var out strings.Builder
	p := newProgress(terminal{Writer: &out}, release.Release{}, false, false)
	began := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	p.report(reconcile.Progress{At: began, Kind: "begin", Host: "h1", Step: "image/h1", Message: "get image x"})
	for second := 1; second <= 12; second++ {
		p.report(reconcile.Progress{At: began.Add(time.Duration(second) * time.Second), Kind: "bytes", Host: "h1", Step: "image/h1",
			Message: fmt.Sprintf("get image x: %d MiB of 12 MiB", second)})
	}
	if want := "h1  get image x: 5 MiB of 12 MiB\nh1  get image x: 10 MiB of 12 MiB\n"; out.String() != want {
		t.Errorf("it said\n%swant\n%s", out.String(), want)
	}
	if left := p.left(); len(left) != 1 || left[0] != "h1: get image x: 12 MiB of 12 MiB (under way)" {
		t.Errorf("left is %q", left)
	}
}

func TestOnATerminalBytesStandInTheLineOfWhatIsUnderWay(t *testing.T) {
	var out strings.Builder
	p := newProgress(terminal{Writer: &out, live: true}, release.Release{}, false, false)
	p.report(reconcile.Progress{Kind: "begin", Host: "h1", Step: "image/h1", Message: "get image x"})
	p.report(reconcile.Progress{At: time.Unix(1000, 0), Kind: "bytes", Host: "h1", Step: "image/h1", Message: "get image x: 5 MiB of 12 MiB"})
	if text := out.String(); strings.Contains(text, "\n") || !strings.HasSuffix(text, "… h1 get image x: 5 MiB of 12 MiB") {
		t.Errorf("it said %q", text)
	}
}
