package proxy

import "sync/atomic"

// SideInfo counts what one side of a rollout has answered since the rollout's targets were put in place.
type SideInfo struct {
	Requests int64 `json:"requests"`
	Errors   int64 `json:"errors"` // answers of 500 and above, the proxy's own for a target that gave none among them
}

// SidesInfo are the counts of both sides.
type SidesInfo struct {
	Active  SideInfo `json:"active"`
	Rollout SideInfo `json:"rollout"`
}

// sides counts the answers of both sides of a rollout. A nil *sides counts nothing.
type sides struct{ active, rollout tally }

type tally struct{ requests, errors atomic.Int64 }

// ended counts an answer of a side.
func (s *sides) ended(side string, status int) {
	if s == nil {
		return
	}
	t := &s.active
	if side == sideRollout {
		t = &s.rollout
	}
	t.requests.Add(1)
	if status >= 500 {
		t.errors.Add(1)
	}
}

func (s *sides) info() *SidesInfo {
	if s == nil {
		return nil
	}
	return &SidesInfo{s.active.info(), s.rollout.info()}
}

func (t *tally) info() SideInfo { return SideInfo{t.requests.Load(), t.errors.Load()} }
