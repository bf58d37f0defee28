package proxy

import (
	"fmt"
	"time"
)

// pingInterval is how often each worker is asked whether it is there; a test may have it shorter.
var pingInterval = 5 * time.Second

// How many intervals a worker may leave a ping unanswered: then it is said, and then it is killed. Intervals are counted and
// no time is taken: while the whole machine, or the container, stands still none passes here either, and so a worker is
// not blamed for what has happened to its supervisor, too.
const (
	warnSilence = 6
	maxSilence  = 12
)

// ping asks every worker that serves or drains, unless it still owes an answer, and kills those that have owed it for too
// long: they hang. A worker answers beside its requests, so one that is merely busy answers late.
func (s *supervisor) ping() {
	for _, p := range s.workers() {
		if p == s.next || !p.pings || p.closed || p.reaped {
			continue
		}
		if p.silent > 0 {
			p.silent++
		} else if p.link.send(message{Kind: sayPing}) == nil {
			p.silent = 1
		}
		switch {
		case p.silent == 1+warnSilence:
			s.log.Warn("Worker does not answer", "pid", p.pid, "for", (warnSilence * pingInterval).String())
		case p.silent > maxSilence:
			p.failure = fmt.Sprintf("the worker (process %d) hung: it answered nothing for %s, and was killed", p.pid, maxSilence*pingInterval)
			s.log.Error("Worker hangs and is killed", "pid", p.pid, "after", (maxSilence * pingInterval).String())
			p.kill()
		}
	}
}
