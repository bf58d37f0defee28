package reconcile

import (
	"cmp"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/kamald/kamald/state"
)

// TestALogThatIsTakenUpAgainHasEachLineOnce reads a log, whose lines stand somewhat out of the order of their times, over many
// connections that break off anywhere.
func TestALogThatIsTakenUpAgainHasEachLineOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		written := drawnLog(t)
		mark := markBefore(state.LogQuery{}, time.Time{})
		var told []state.LogLine
		for end := 0; end < len(written); {
			end = rapid.IntRange(end, len(written)).Draw(t, "cut")
			since, again := mark.since(), mark.again()
			for _, l := range written[:end] {
				if l.At.Before(since) || again(l) {
					continue
				}
				mark.took(l)
				told = append(told, l)
			}
		}
		byText := func(a, b state.LogLine) int { return cmp.Compare(a.Text, b.Text) }
		if slices.SortFunc(told, byText); !slices.Equal(told, written) {
			t.Fatalf("of %d lines came %d: %v", len(written), len(told), told)
		}
		if mark.forget(); len(mark.came) > len(written) {
			t.Fatalf("%d stamps are kept", len(mark.came))
		}
	})
}

// drawnLog is a log as an engine writes it, its texts in the order of the file.
func drawnLog(t *rapid.T) []state.LogLine {
	at := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	lines := make([]state.LogLine, rapid.IntRange(1, 60).Draw(t, "lines"))
	for i := range lines {
		at = at.Add(rapid.SampledFrom([]time.Duration{0, 1, time.Microsecond, time.Millisecond, 30 * time.Millisecond, time.Second}).Draw(t, "pause"))
		early := rapid.SampledFrom([]time.Duration{0, 0, 1, time.Microsecond, logOverlap / 2}).Draw(t, "early")
		lines[i] = state.LogLine{At: at.Add(-early), Stderr: rapid.Bool().Draw(t, "stderr"), Text: fmt.Sprintf("%03d", i)}
	}
	return lines
}

func TestALogsMarkDoesNotGrow(t *testing.T) {
	mark := logMark{}
	at := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	for range 1_000_000 {
		at = at.Add(100 * time.Microsecond)
		mark.took(state.LogLine{At: at})
	}
	if len(mark.came) > 2048 {
		t.Errorf("%d stamps are kept of 500 that may come again", len(mark.came))
	}
}
