package reconcile

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// ofSources are lines of several logs, each in the order of its times: seconds since the epoch, several of one time among them.
func ofSources(t *rapid.T) [][]LogLine {
	logs := make([][]LogLine, rapid.IntRange(0, 5).Draw(t, "logs"))
	for i := range logs {
		at := int64(rapid.IntRange(0, 20).Draw(t, "first"))
		for n := range rapid.IntRange(0, 30).Draw(t, "lines") {
			at += int64(rapid.IntRange(0, 3).Draw(t, "later"))
			logs[i] = append(logs[i], LogLine{At: time.Unix(at, 0), Host: fmt.Sprint(i), Text: fmt.Sprint(i, " ", n)})
		}
	}
	return logs
}

// eachInOrder wants every line exactly once, and those of one log in their order.
func eachInOrder(t *rapid.T, logs [][]LogLine, told []LogLine) {
	next := make([]int, len(logs))
	for _, line := range told {
		for i, log := range logs {
			if line.Host == fmt.Sprint(i) {
				if next[i] == len(log) || log[next[i]] != line {
					t.Fatalf("log %d: %q came, and %d lines of it came before", i, line.Text, next[i])
				}
				next[i]++
			}
		}
	}
	for i, log := range logs {
		if next[i] != len(log) {
			t.Fatalf("log %d: %d of %d lines came", i, next[i], len(log))
		}
	}
}

func sorted(lines []LogLine) bool {
	return slices.IsSortedFunc(lines, func(a, b LogLine) int { return a.At.Compare(b.At) })
}

func TestLogsAreMergedByTime(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		logs := ofSources(t)
		channels := make([]<-chan LogLine, len(logs))
		for i, log := range logs {
			lines := make(chan LogLine, len(log))
			for _, line := range log {
				lines <- line
			}
			close(lines)
			channels[i] = lines
		}
		var told []LogLine
		mergeLogs(channels, func(line LogLine) { told = append(told, line) })
		eachInOrder(t, logs, told)
		if !sorted(told) {
			t.Fatalf("not by time: %v", told)
		}
	})
}

// Lines that come within the window go by their times, none waits longer than it, and no more of them are held than may be.
func TestLinesThatComeAreOrderedWithinTheWindow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		logs := ofSources(t)
		r := reorder{window: time.Second, most: rapid.IntRange(1, 20).Draw(t, "most")}
		next, now := make([]int, len(logs)), time.Unix(1000, 0)
		came := map[LogLine]time.Time{}
		var told []LogLine
		take := func(lines []LogLine) {
			for _, line := range lines {
				if waited := now.Sub(came[line]); waited > r.window {
					t.Fatalf("%q waited %s", line.Text, waited)
				}
			}
			told = append(told, lines...)
		}
		for left := func() bool {
			return slices.ContainsFunc(logs, func(log []LogLine) bool { return len(log) > 0 }) && sum(next) < total(logs)
		}; left(); {
			i := rapid.IntRange(0, len(logs)-1).Draw(t, "which")
			if next[i] == len(logs[i]) {
				continue
			}
			line := logs[i][next[i]]
			next[i]++
			pause := time.Duration(rapid.IntRange(0, 600).Draw(t, "pause")) * time.Millisecond
			for until := now.Add(pause); ; { // whoever waits wakes when a line is due
				wait, held := r.wait(now)
				if !held || now.Add(wait).After(until) {
					now = until
					break
				}
				now = now.Add(wait)
				take(r.due(now))
			}
			came[line] = now
			r.put(line, now)
			take(r.due(now))
			if len(r.held) > r.most {
				t.Fatalf("%d lines are held", len(r.held))
			}
		}
		told = append(told, r.rest()...)
		eachInOrder(t, logs, told)
		if len(r.held) != 0 {
			t.Fatal("something is held still")
		}
	})
}

func TestAWholeBurstGoesByTime(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		logs := ofSources(t)
		r := reorder{window: time.Second, most: 1000}
		now := time.Unix(1000, 0)
		for _, log := range logs {
			for _, line := range log {
				r.put(line, now)
			}
		}
		if early := r.due(now.Add(time.Second - 1)); len(early) != 0 {
			t.Fatalf("%d lines go early", len(early))
		}
		told := r.due(now.Add(time.Second))
		eachInOrder(t, logs, told)
		if !sorted(told) {
			t.Fatalf("not by time: %v", told)
		}
	})
}

func sum(list []int) (n int) {
	for _, one := range list {
		n += one
	}
	return n
}

func total(logs [][]LogLine) (n int) {
	for _, log := range logs {
		n += len(log)
	}
	return n
}
