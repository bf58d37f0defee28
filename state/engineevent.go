package state

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// The kinds of engine events: what they are about.
const (
	EngineContainer = "container"
	EngineImage     = "image"
	EngineNetwork   = "network" // a container's attachment to one
)

// The actions of engine events that others decide on; they are the engine's own words.
const (
	ActionCreate            = "create"
	ActionStart             = "start"
	ActionRestart           = "restart"
	ActionDie               = "die"
	ActionStop              = "stop"
	ActionKill              = "kill" // a signal was sent
	ActionOOM               = "oom"
	ActionDestroy           = "destroy"
	ActionRename            = "rename"
	ActionUpdate            = "update"
	ActionPause             = "pause"
	ActionUnpause           = "unpause"
	ActionHealth            = "health_status"
	ActionTag               = "tag"
	ActionUntag             = "untag"
	ActionDelete            = "delete"
	ActionPull              = "pull"
	ActionLoad              = "load"
	ActionNetworkConnect    = "network connect"
	ActionNetworkDisconnect = "network disconnect"
)

// EngineEvent is one thing that an engine says has happened on its host. Two with the same content are the same event.
type EngineEvent struct {
	At     time.Time `json:"at"`   // by the engine's clock, UTC
	Kind   string    `json:"kind"` // EngineContainer, EngineImage or EngineNetwork
	Action string    `json:"action"`

	// What follows is of containers, and of networks' attachments of them.
	Container   string `json:"container,omitempty"` // its ID
	Name        string `json:"name,omitempty"`
	Was         string `json:"was,omitempty"` // the name before, of a rename
	Service     string `json:"service,omitempty"`
	Role        string `json:"role,omitempty"`
	Destination string `json:"destination,omitempty"`
	ExitCode    int    `json:"exit_code,omitempty"`
	Health      string `json:"health,omitempty"` // healthy, unhealthy

	// Ref is an image's reference, or its ID where the engine does not say more; of a network its name.
	Ref string `json:"ref,omitempty"`
}

// String tells it to a person, without its time.
func (e EngineEvent) String() string {
	switch e.Kind {
	case EngineImage:
		return e.ofImage()
	case EngineNetwork:
		if e.Action == ActionNetworkConnect {
			return fmt.Sprintf("container %s was connected to network %s", e.named(), e.Ref)
		}
		return fmt.Sprintf("container %s was disconnected from network %s", e.named(), e.Ref)
	}
	said, ok := containerWords[e.Action]
	switch {
	case e.Action == ActionDie:
		said = "died, exit code " + strconv.Itoa(e.ExitCode)
	case e.Action == ActionHealth && e.Health != "":
		said = "is " + e.Health
	case e.Action == ActionRename && e.Was != "":
		return fmt.Sprintf("container %s was renamed to %s", e.Was, e.named())
	case !ok:
		said = "had the event " + strconv.Quote(e.Action)
	}
	return "container " + e.named() + " " + said
}

// containerWords are what an action of a container is to a person.
var containerWords = map[string]string{
	ActionCreate: "was created", ActionStart: "was started", ActionRestart: "was restarted", ActionStop: "was stopped",
	ActionKill: "was sent a signal", ActionOOM: "ran out of memory", ActionDestroy: "was removed", ActionRename: "was renamed",
	ActionUpdate: "was updated", ActionPause: "was paused", ActionUnpause: "goes on after a pause", ActionHealth: "was checked",
}

func (e EngineEvent) ofImage() string {
	ref := e.Ref
	if hex, ok := strings.CutPrefix(ref, "sha256:"); ok {
		ref = ShortID(hex)
	}
	switch e.Action {
	case ActionTag:
		return "image reference " + ref + " was set"
	case ActionUntag:
		return "image " + ref + " was untagged"
	case ActionDelete:
		return "image " + ref + " was deleted"
	case ActionPull:
		return "image " + ref + " was pulled"
	case ActionLoad:
		return "image " + ref + " was loaded"
	}
	return "image " + ref + " had the event " + strconv.Quote(e.Action)
}

// named is the container's name, or what there is of its ID.
func (e EngineEvent) named() string {
	if e.Name != "" {
		return e.Name
	}
	return ShortID(e.Container)
}
