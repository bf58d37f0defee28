package state

import (
	"strings"
	"time"
)

// Container is a container on a host, as asked for and as it is.
type Container struct {
	ID      string `json:"id"` // 64 hex digits
	Name    string `json:"name"`
	ImageID string `json:"image_id"`

	Service     string `json:"service"`
	Role        string `json:"role"`
	Accessory   string `json:"accessory,omitempty"` // of one that kamald made for an accessory: App.OwnedAs
	Shared      bool   `json:"shared,omitempty"`    // of an accessory's: others may share it
	Destination string `json:"destination"`
	Exec        string `json:"exec,omitempty"` // made for one command: the role that it is like

	Status       Status    `json:"status"`
	Health       string    `json:"health,omitempty"` // Docker's: starting, healthy, unhealthy; "" without a health check
	ExitCode     int       `json:"exit_code,omitempty"`
	OOMKilled    bool      `json:"oom_killed,omitempty"`
	Error        string    `json:"error,omitempty"`   // the engine's, when it could not start
	Failing      string    `json:"failing,omitempty"` // why it is not well: it was asked, and nobody asks but a daemon
	RestartCount int       `json:"restart_count,omitempty"`
	Created      time.Time `json:"created"`
	Started      time.Time `json:"started,omitzero"`
	Finished     time.Time `json:"finished,omitzero"`

	Asked   *Spec  `json:"asked,omitempty"` // from the kamald.spec label; nil for containers kamald did not make
	Live    Spec   `json:"live"`
	Release int    `json:"release,omitempty"`
	Fence   int    `json:"fence,omitempty"`
	RunDir  string `json:"run_dir,omitempty"`
	Owner   string `json:"owner,omitempty"` // of a proxy: the app whose proxy_server block it was made from

	// Hook is the hook whose command it runs, once; "" for all others. It is of no role.
	Hook string `json:"hook,omitempty"`

	IPs map[string]string `json:"ips,omitempty"` // network name → address; a network that is attached is a key, also without an address
}

// Status is the engine's word for what a container does.
type Status string

// The engine's states of a container.
const (
	StatusCreated    Status = "created"
	StatusRunning    Status = "running"
	StatusPaused     Status = "paused"
	StatusRestarting Status = "restarting"
	StatusRemoving   Status = "removing"
	StatusExited     Status = "exited"
	StatusDead       Status = "dead"
)

// Running tells whether the container's process is there (a paused one's is).
func (c Container) Running() bool { return c.Status == StatusRunning || c.Status == StatusPaused }

// ShortID is the 12-digit ID that the proxy's targets are written with.
func (c Container) ShortID() string { return ShortID(c.ID) }

// ShortID is the first 12 digits of a container's ID.
func ShortID(id string) string {
	if len(id) > 12 {
		return id[:12]
	}
	return id
}

// replacedMark is Kamal's form for a container that made way for another of the same name.
const replacedMark = "_replaced_"

// ReplacedName is the name a container takes when it makes way: deterministic, so that a repeated rename meets itself.
func ReplacedName(name, id string) string {
	if len(id) > 16 {
		id = id[:16]
	}
	base, _, _ := strings.Cut(name, replacedMark)
	return base + replacedMark + id
}

// Replaced tells whether the container has made way for another of the same name.
func (c Container) Replaced() bool { return strings.Contains(c.Name, replacedMark) }

// Version is the version in the container's name, or "" when the name is not of the app's form.
func (c Container) Version() string {
	app := App{Service: c.Service, Destination: c.Destination}
	version, ok := strings.CutPrefix(c.Name, app.ContainerPrefix(c.Role))
	if !ok {
		return ""
	}
	version, _, _ = strings.Cut(version, replacedMark)
	return version
}
