package state

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"
)

// SpecVersion is the version of the canonical form and of the comparison. A hash made by another version is not compared:
// an upgrade of kamald must never restart a fleet.
const SpecVersion = 1

// Spec is the canonical specification of a container: what was asked for at creation, or what is live. Maps and slices are
// nil when empty, so that equal specs have equal JSON.
type Spec struct {
	Image   string            `json:"image"`             // the reference it is made from, server/repo:version
	Digest  string            `json:"digest,omitempty"`  // what the reference must resolve to: the manifest's digest at the registry, or the ID of a carried image; "" when not pinned
	Cmd     []string          `json:"cmd,omitempty"`     // nil: the image's own
	Env     map[string]string `json:"env,omitempty"`     // clear variables, those that kamald injects (KAMAL_…) included
	Secrets map[string]string `json:"secrets,omitempty"` // secret variables: NAME → keyed digest of the value, "" when not known
	Labels  map[string]string `json:"labels,omitempty"`  // the user's and Kamal's; never kamald.* ones
	Volumes []string          `json:"volumes,omitempty"` // source:target[:mode], in the order asked for
	Network string            `json:"network,omitempty"`
	Restart string            `json:"restart,omitempty"` // "no", "always", "unless-stopped", "on-failure[:N]"

	LogDriver  string            `json:"log_driver,omitempty"` // "" : the engine's default
	LogOptions map[string]string `json:"log_options,omitempty"`

	StopSignal string        `json:"stop_signal,omitempty"`
	StopGrace  time.Duration `json:"stop_grace,omitempty"` // nanoseconds; drain of orphans uses it too

	// Passing has the engine remove the container when it ends.
	Passing bool `json:"passing,omitempty"`
	// Files are what is put on the host before the container is made, by their paths in it.
	Files map[string]File `json:"files,omitempty"`

	// Options are `docker run` options by their long names, values canonical: bytes in decimal for sizes, nano-CPUs in
	// decimal for cpus, "true"/"false" for flags, lists sorted unless order matters to docker.
	Options map[string][]string `json:"options,omitempty"`
}

// JSON is the canonical encoding, the one that the label bears and the hash is over.
func (s Spec) JSON() string {
	data, err := json.Marshal(s) // maps are sorted by encoding/json
	if err != nil {
		panic(fmt.Sprintf("state: a spec always encodes: %v", err))
	}
	return string(data)
}

// Hash identifies the canonical spec: "<SpecVersion>:<first 32 hex digits of its SHA-256>".
func (s Spec) Hash() string {
	sum := sha256.Sum256([]byte(s.JSON()))
	return fmt.Sprintf("%d:%s", SpecVersion, hex.EncodeToString(sum[:16]))
}

// ParseSpec reads the canonical encoding from a container's label.
func ParseSpec(text string) (Spec, error) {
	var s Spec
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		return Spec{}, fmt.Errorf("the container's %s label is not a spec: %w", LabelSpec, err)
	}
	return s, nil
}
