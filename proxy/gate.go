package proxy

import "time"

// gateState is kept in the state file as a number, kamal-proxy's.
type gateState int

const (
	gateRunning gateState = iota
	gatePaused
	gateStopped
)

func (s gateState) String() string {
	switch s {
	case gateRunning:
		return "running"
	case gatePaused:
		return "paused"
	case gateStopped:
		return "stopped"
	}
	return "unknown"
}

// gate is what pause, stop and resume have asked for. It outlives deploys. The service's lock guards it.
type gate struct {
	State       gateState     `json:"state"`
	StopMessage string        `json:"stop_message"`
	FailAfter   time.Duration `json:"fail_after"`

	moved chan struct{} // closed when the gate changes, so that held requests look again
}

func newGate() gate {
	return gate{moved: make(chan struct{})}
}

func (g *gate) set(state gateState, message string, failAfter time.Duration) {
	g.State, g.StopMessage, g.FailAfter = state, message, failAfter
	close(g.moved)
	g.moved = make(chan struct{})
}
