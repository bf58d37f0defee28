package state

import "time"

// The states of a route as the running proxy says them, in kamal-proxy's words.
const (
	RouteRunning = "running"
	RoutePaused  = "paused"
	RouteStopped = "stopped"
	RouteBroken  = "broken" // the proxy knows it and cannot serve it
)

// LiveRoute is what the running proxy says of a route.
type LiveRoute struct {
	Name    string       `json:"name"`
	State   string       `json:"state"`
	Error   string       `json:"error,omitempty"` // why it is broken
	Targets []LiveTarget `json:"targets"`
}

// LiveTarget is what the running proxy says of a target.
type LiveTarget struct {
	Target string    `json:"target"`           // host:port
	Health string    `json:"health,omitempty"` // healthy, unhealthy; "": the proxy does not say
	Cause  string    `json:"cause,omitempty"`  // of unhealthy: what the last probe met
	Since  time.Time `json:"since,omitzero"`
}
