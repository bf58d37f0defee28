package state

import (
	"slices"
	"time"
)

// SnapshotSchema is the version of the snapshot's JSON.
const SnapshotSchema = 1

// Snapshot is the observed world of one app: each of its hosts as it was seen, or why it could not be.
type Snapshot struct {
	Schema  int       `json:"schema"`
	App     App       `json:"app"`
	TakenAt time.Time `json:"taken_at"`
	Hosts   []Host    `json:"hosts"` // in the release's order
}

// Host finds a host by its name in the release.
func (s Snapshot) Host(name string) (Host, bool) {
	i := slices.IndexFunc(s.Hosts, func(h Host) bool { return h.Name == name })
	if i < 0 {
		return Host{}, false
	}
	return s.Hosts[i], true
}

// Host is one server as it was seen. When Unreachable is not empty nothing else but Name and SeenAt is known.
type Host struct {
	Name        string `json:"name"`
	Unreachable string `json:"unreachable,omitempty"` // the reason, for a person
	Leaving     bool   `json:"leaving,omitempty"`     // it is in no role of the release any more
	// SeenAt is when the newest look at it began, whether it could be reached or not; zero where none was tried.
	SeenAt time.Time `json:"seen_at,omitzero"`
	// NoEngine is set where the host itself could be reached, and Unreachable is about its engine.
	NoEngine EngineTrouble `json:"no_engine,omitempty"`

	Engine     Engine      `json:"engine"`
	Home       string      `json:"home"`    // the SSH user's
	RunDir     string      `json:"run_dir"` // absolute path of .kamal for the SSH user
	Containers []Container `json:"containers,omitempty"`
	Images     []Image     `json:"images,omitempty"` // of the app's repository
	// AccessoryImages are those of accessories' containers, and those that such are to be made from. Retention knows nothing of them.
	AccessoryImages []Image `json:"accessory_images,omitempty"`

	Latest   string    `json:"latest,omitempty"` // ID of the image tagged latest[-destination]
	Networks []Network `json:"networks,omitempty"`
	Proxy    Proxy     `json:"proxy"`
	Lock     *Lock     `json:"lock,omitempty"`
	Fence    int       `json:"fence,omitempty"` // highest fence written there
	// FenceVersion is what the run that wrote the fence was to bring; "" when it did not say.
	FenceVersion string    `json:"fence_version,omitempty"`
	Record       *Record   `json:"record,omitempty"`   // newest release record
	Partials     []Partial `json:"partials,omitempty"` // partial releases there newer than Record
	Intents      []Intent  `json:"intents,omitempty"`  // those that lie there, of any host
	FreeBytes    int64     `json:"free_bytes"`         // where the engine keeps images and containers; -1 when not known
	FreeIn       string    `json:"free_in,omitempty"`  // the directory of that, where it is not the engine's own
	// DiskBytes is the size of the file system that FreeBytes is about; 0 when not known.
	DiskBytes int64     `json:"disk_bytes,omitempty"`
	EnvFiles  []EnvFile `json:"env_files,omitempty"`
	Assets    AssetSets `json:"assets,omitzero"`
	// ErrorPages are the sets of error pages that lie there, sorted.
	ErrorPages []string `json:"error_pages,omitempty"`
	// Environ is what the host sets for its SSH user, of the variables that the release asks it for.
	Environ map[string]string `json:"environ,omitempty"`
}

// Partial is what is known of a partial release on a host: one that was limited by host or role, and is not held.
type Partial struct {
	Number  int    `json:"number"`
	Version string `json:"version"`
	Image   string `json:"image"`
	Digest  string `json:"digest,omitempty"`
	ImageID string `json:"image_id,omitempty"`
	Who     string `json:"who"`
}

// Engine is the container engine of a host.
type Engine struct {
	Version string    `json:"version"`
	API     string    `json:"api"`
	OS      string    `json:"os"`
	Arch    string    `json:"arch"`              // Go's names: amd64, arm64
	Variant string    `json:"variant,omitempty"` // of a 32-bit ARM: v6, v7
	Root    string    `json:"root"`              // its data directory
	Clock   time.Time `json:"clock"`
	// Containerd tells that it keeps images as containerd does: their ID is the manifest's digest, and an archive must be whole.
	Containerd bool `json:"containerd,omitempty"`
	// Ahead is by how much the clock is ahead of this machine's, at least: what the call took is taken off. Negative: it is behind.
	Ahead    time.Duration `json:"ahead,omitempty"`
	Rootless bool          `json:"rootless,omitempty"` // it runs as a user without privileges
	// Lacks are the options of containers, sorted, that it would drop or refuse: its kernel has no such limits, or not for it.
	Lacks []string `json:"lacks,omitempty"`
	// Mirrors are where it looks first for images of Docker Hub, in its order.
	Mirrors []string `json:"mirrors,omitempty"`
}

// Image is an image on a host.
type Image struct {
	ID      string            `json:"id"`                // sha256:…, the configuration's digest
	Tags    []string          `json:"tags,omitempty"`    // repo:tag
	Digests []string          `json:"digests,omitempty"` // repo@sha256:…, the manifest's
	Created time.Time         `json:"created"`
	Size    int64             `json:"size"`
	Labels  map[string]string `json:"labels,omitempty"`

	// What follows is known of inspected images only.
	Inspected   bool              `json:"inspected,omitempty"`
	Arch        string            `json:"arch,omitempty"`
	Env         map[string]string `json:"env,omitempty"`
	Cmd         []string          `json:"cmd,omitempty"`
	StopSignal  string            `json:"stop_signal,omitempty"`
	Ports       []int             `json:"ports,omitempty"` // exposed TCP ports
	Healthcheck bool              `json:"healthcheck,omitempty"`
	Layers      []string          `json:"-"` // diff IDs, lowest first; no snapshot keeps them
}

// Network is a network on a host.
type Network struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// EnvFile is what is known of a role's secrets file on a host: names and keyed digests, never values. A role's certificate and
// key are one too, under the role's CertificateName.
type EnvFile struct {
	Role    string            `json:"role"`
	Digests map[string]string `json:"digests,omitempty"` // NAME → keyed digest
	// Files are permissions and owners of an accessory's files and directories, by their paths in it, of those that are there.
	Files map[string]File `json:"files,omitempty"`

	// What follows is known of certificates only.
	Private bool `json:"private,omitempty"` // only the SSH user and root can read it
	Pending bool `json:"pending,omitempty"` // it was written, and the proxy has not been told since
}

// What a certificate's digests are of.
const (
	Certificate = "certificate"
	PrivateKey  = "private_key"
)

// CertificateName is the name of a role's certificate among the files of secrets; no role has such a name.
func CertificateName(role string) string { return role + "/tls" }

// EnvFile finds the secrets file of a role.
func (h Host) EnvFile(role string) (EnvFile, bool) {
	i := slices.IndexFunc(h.EnvFiles, func(f EnvFile) bool { return f.Role == role })
	if i < 0 {
		return EnvFile{}, false
	}
	return h.EnvFiles[i], true
}

// Image finds an image by its ID, or by one of its tags or digests.
func (h Host) Image(ref string) (Image, bool) {
	i := slices.IndexFunc(h.Images, func(m Image) bool {
		return m.ID == ref || slices.Contains(m.Tags, ref) || slices.Contains(m.Digests, ref)
	})
	if ref == "" || i < 0 {
		return Image{}, false
	}
	return h.Images[i], true
}

// HasNetwork tells whether the host has a network of that name.
func (h Host) HasNetwork(name string) bool {
	return slices.ContainsFunc(h.Networks, func(n Network) bool { return n.Name == name })
}
