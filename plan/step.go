package plan

import (
	"fmt"
	"time"

	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// StepKind is what a step does; the set is closed.
type StepKind string

// The kinds of steps.
const (
	StepNetwork StepKind = "network" // make the network
	StepEnv     StepKind = "env"     // push a role's secrets file
	// StepCertificate writes a role's certificate and key, for the proxy to read at the next switch.
	StepCertificate StepKind = "certificate"

	// StepAssets gives a role's new version its assets, and both versions each other's.
	StepAssets StepKind = "assets"

	// StepPages writes the release's error pages, for the proxy to read at the next switch.
	StepPages StepKind = "pages"

	StepPull    StepKind = "pull"   // get an accessory's image
	StepPlace   StepKind = "place"  // put an accessory's files on the host, and make its directories
	StepPermit  StepKind = "permit" // set the permissions and owners of an accessory's files where they lie
	StepImage   StepKind = "image"  // pull or carry the image, tag it repo:version
	StepProxy   StepKind = "proxy"  // make or start the proxy container
	StepRename  StepKind = "rename" // a container makes way for another of its name
	StepCreate  StepKind = "create"
	StepStart   StepKind = "start"
	StepProve   StepKind = "prove"   // wait until healthy
	StepBarrier StepKind = "barrier" // opened by the first of Needs that succeeds
	StepSwitch  StepKind = "switch"  // route traffic to the container, drain the old
	StepCanary  StepKind = "canary"  // give the container a share of the traffic
	StepHold    StepKind = "hold"    // watch the canaries of a group, all of them for one time
	// StepEndCanary takes away what an interrupted canary has left on a route.
	StepEndCanary StepKind = "end-canary"

	StepUnroute StepKind = "unroute" // take a route away
	StepResume  StepKind = "resume"  // a route whose maintenance has ended serves again
	StepLift    StepKind = "lift"    // a role that was stopped on purpose is not any more
	StepStop    StepKind = "stop"
	StepUpdate  StepKind = "update"  // live resources, in place
	StepConnect StepKind = "connect" // attach a network
	StepTag     StepKind = "tag"     // move latest[-destination]
	StepRecord  StepKind = "record"  // write the release record
	StepKeep    StepKind = "keep"    // write the held record where it is lacking
	StepRemove  StepKind = "remove"  // a container
	StepUntag   StepKind = "untag"   // an image reference
	StepClean   StepKind = "clean"   // a file that an interrupted run of kamald left, or assets that no container has
	StepGate    StepKind = "gate"    // does nothing; others wait for it
	StepWait    StepKind = "wait"    // lets time pass between groups
	// StepHook runs a hook: on the machine that kamald runs on, or with a host in a container there.
	StepHook StepKind = "hook"
)

// Phase is the part of the release that a step belongs to. Failures up to PhaseSwitch are compensated.
type Phase int

// The phases of a release (design: the plan).
const (
	PhasePrepare Phase = iota + 1
	PhaseAccessories
	PhaseCreate
	PhasePrimary
	PhaseOthers
	PhaseSwitch
	PhaseFinish
)

var phaseNames = map[Phase]string{PhasePrepare: "prepare", PhaseAccessories: "accessories", PhaseCreate: "create", PhasePrimary: "primary",
	PhaseOthers: "others", PhaseSwitch: "switch", PhaseFinish: "finish"}

// String is the phase's name.
func (p Phase) String() string { return phaseNames[p] }

// MarshalText writes the name.
func (p Phase) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads the name.
func (p *Phase) UnmarshalText(text []byte) error {
	for phase, name := range phaseNames {
		if name == string(text) {
			*p = phase
			return nil
		}
	}
	return fmt.Errorf("%q is no phase of a plan", text)
}

// Step is one thing to do. Steps form a directed acyclic graph by Needs.
type Step struct {
	ID    string   `json:"id"` // stable: kind/host/role[/…]
	Kind  StepKind `json:"kind"`
	Phase Phase    `json:"phase"`
	Group int      `json:"group,omitempty"` // 1…, 0 for all hosts
	Host  string   `json:"host,omitempty"`
	Role  string   `json:"role,omitempty"`
	Needs []string `json:"needs,omitempty"` // all of them; for a barrier, any one

	Reason string `json:"reason,omitempty"`
	Risk   Risk   `json:"risk,omitempty"`

	Precondition Precondition `json:"precondition,omitzero"`

	// Container is the ID of one that was observed, or the name of one that the plan makes.
	Container string `json:"container,omitempty"`
	Name      string `json:"name,omitempty"` // of the container, or of the route, image reference, network
	NewName   string `json:"new_name,omitempty"`

	Paths    []string            `json:"paths,omitempty"`     // place: of files and directories, in the container
	Spec     *state.Spec         `json:"spec,omitempty"`      // create
	Options  map[string][]string `json:"options,omitempty"`   // update: after
	Previous map[string][]string `json:"previous,omitempty"`  // update: before
	Route    *state.Route        `json:"route,omitempty"`     // switch: after, its target still to be filled in with the container
	OldRoute *state.Route        `json:"old_route,omitempty"` // switch, unroute: before
	OldImage string              `json:"old_image,omitempty"` // tag: the image ID that bore it
	Private  bool                `json:"private,omitempty"`   // certificate: nobody else on the host may read it
	Started  bool                `json:"started,omitempty"`   // create, start: the container was there (and running) already
	Percent  int                 `json:"percent,omitempty"`   // canary, hold: the share of the traffic
	Wait     time.Duration       `json:"wait,omitempty"`
	Assets   *Assets             `json:"assets,omitempty"` // assets
	// Hook is what a hook step runs.
	Hook *release.Hook `json:"hook,omitempty"`
	// EndsRollout: when it has switched, a rollout of kamald's on the route ends.
	EndsRollout bool          `json:"ends_rollout,omitempty"`
	Grace       time.Duration `json:"grace,omitempty"` // stop
}
