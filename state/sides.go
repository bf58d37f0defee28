package state

import "fmt"

// FeatureSides: the proxy splits requests between a route's own targets and those of its rollout by a share that needs no help of
// the application, and counts the answers of both.
const FeatureSides = "rollout-sides"

// Side counts what one side of a rollout has answered.
type Side struct {
	Requests int64 `json:"requests"`
	Errors   int64 `json:"errors"` // 5xx
}

// Sides is what a proxy says of a route's rollout: the counts since its targets were put in place, or since the proxy's program
// began, whichever was later.
type Sides struct {
	Active  Side         `json:"active"`
	Rollout Side         `json:"rollout"`
	Targets []LiveTarget `json:"targets"` // of the rollout
}

// Add sums the counts of one side in two places.
func (s Side) Add(other Side) Side {
	return Side{Requests: s.Requests + other.Requests, Errors: s.Errors + other.Errors}
}

// ErrNoRollout: the route has no rollout, or somebody has ended it. It is a kind of ErrNotFound.
var ErrNoRollout = fmt.Errorf("it has no rollout: %w", ErrNotFound)
