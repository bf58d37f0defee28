package reconcile

import (
	"container/heap"
	"time"
)

const (
	// logWindow is how long a line that comes is held back, so that one which is older and comes later can go before it.
	logWindow = 300 * time.Millisecond
	// logHeld is how many lines are held back at most.
	logHeld = 2048
)

// mergeLogs gives the lines of several logs, each in its order, in the order of their times; of equal times those of the earlier log come
// first. It holds one line of each.
func mergeLogs(logs []<-chan LogLine, told func(LogLine)) {
	heads := make([]*LogLine, len(logs))
	next := func(i int) {
		heads[i] = nil
		if line, ok := <-logs[i]; ok {
			heads[i] = &line
		}
	}
	for i := range logs {
		next(i)
	}
	for {
		oldest := -1
		for i, head := range heads {
			if head != nil && (oldest < 0 || head.At.Before(heads[oldest].At)) {
				oldest = i
			}
		}
		if oldest < 0 {
			return
		}
		told(*heads[oldest])
		next(oldest)
	}
}

// reorder puts lines that come from several logs as they happen into the order of their times, as far as that goes: none is held back
// longer than the window, nor more of them than most. Lines of equal times keep the order in which they came.
type reorder struct {
	window time.Duration
	most   int

	held  heldLines
	queue []*heldLine // in the order of their arrival; those that went already among them
	count uint64
}

type heldLine struct {
	LogLine
	came time.Time
	n    uint64
	gone bool
}

// put takes a line.
func (r *reorder) put(line LogLine, now time.Time) {
	r.count++
	h := &heldLine{LogLine: line, came: now, n: r.count}
	heap.Push(&r.held, h)
	r.queue = append(r.queue, h)
}

// due gives the lines that go now.
func (r *reorder) due(now time.Time) (lines []LogLine) {
	for len(r.held) > 0 {
		first := r.first()
		if len(r.held) <= r.most && now.Sub(first.came) < r.window {
			break
		}
		oldest := heap.Pop(&r.held).(*heldLine) // nothing else is in it
		lines = append(lines, oldest.LogLine)
		oldest.LogLine, oldest.gone = LogLine{}, true
	}
	return lines
}

// rest gives all that is held.
func (r *reorder) rest() []LogLine { return r.due(time.Unix(1<<40, 0)) }

// wait is how long it is until a line is due; false: none is held.
func (r *reorder) wait(now time.Time) (time.Duration, bool) {
	if len(r.held) == 0 {
		return 0, false
	}
	return max(0, r.window-now.Sub(r.first().came)), true
}

// first is the line that came first of those that are held; there is one.
func (r *reorder) first() *heldLine {
	for r.queue[0].gone {
		r.queue[0] = nil
		r.queue = r.queue[1:]
	}
	return r.queue[0]
}

// heldLines is a heap, the oldest line first.
type heldLines []*heldLine

// Len implements heap.Interface.
func (h heldLines) Len() int { return len(h) }

// Less implements heap.Interface.
func (h heldLines) Less(i, j int) bool {
	if h[i].At.Equal(h[j].At) {
		return h[i].n < h[j].n
	}
	return h[i].At.Before(h[j].At)
}

// Swap implements heap.Interface.
func (h heldLines) Swap(i, j int) { h[i], h[j] = h[j], h[i] }

// Push implements heap.Interface.
func (h *heldLines) Push(x any) { *h = append(*h, x.(*heldLine)) } // only put calls it

// Pop implements heap.Interface.
func (h *heldLines) Pop() any {
	old := *h
	last := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return last
}
