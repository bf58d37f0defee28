package reconcile

import (
	"testing"
	"time"

	"github.com/kamald/kamald/state"
)

func TestWhatAnEarlierRunHasSaidIsLeftOut(t *testing.T) {
	at := func(seconds int) time.Time { return time.Date(2026, 1, 2, 3, 4, seconds, 0, time.UTC) }
	for name, test := range map[string]struct {
		finished, started, want time.Time
	}{
		"the first run":   {time.Time{}, at(1), time.Time{}},
		"a second run":    {at(10), at(20), at(15)},
		"one that ended":  {at(20), at(10), time.Time{}}, // all that it said is of its last run, or not told apart
		"at one instant":  {at(10), at(10), time.Time{}},
		"started no time": {at(10), time.Time{}, time.Time{}},
	} {
		if got := betweenRuns(state.Container{Finished: test.finished, Started: test.started}); !got.Equal(test.want) {
			t.Errorf("%s: %s, want %s", name, got, test.want)
		}
	}
}
