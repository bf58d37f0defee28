// Package sim is a world of servers in memory, behind the same seam as the real ones: engines, files, probes and proxies.
// Time passes by the time package only, so that testing/synctest makes it virtual; there one seed is one run.
package sim

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/kamald/kamald/state"
)

// World is servers, a registry, and the record of what was done to them. All methods are safe for concurrent use.
type World struct {
	seed    uint64
	latency time.Duration
	stride  int64 // nanoseconds; see slot

	mu       sync.Mutex
	hosts    map[string]*host
	registry map[string]string            // reference → image ID
	images   map[string]Image             // every image there is, by ID
	layers   map[string]Layer             // every layer of theirs, by diff ID
	diffs    map[string][]string          // the diff IDs of each image, lowest first, by its ID
	contents map[[sha256.Size]byte][]byte // of large files
	username string
	password string

	programs map[string]Program // beside those that every image has

	pulling int // now
	most    int // at once

	before  []func(Call) error
	after   []func(Call) error
	calls   int
	history []Call
	killed  bool
}

// Option changes a world when it is made.
type Option func(*World)

// WithLatency is how long each call takes at least; up to as much again comes on top, from the seed. The default is 1 ms.
func WithLatency(d time.Duration) Option { return func(w *World) { w.latency = d } }

// WithCredentials makes the registry ask who comes.
func WithCredentials(username, password string) Option {
	return func(w *World) { w.username, w.password = username, password }
}

// New makes a world with no hosts and an empty registry. The same seed, the same calls and virtual time give the same run.
func New(seed uint64, options ...Option) *World {
	w := &World{
		seed: seed, latency: time.Millisecond,
		hosts: map[string]*host{}, registry: map[string]string{}, images: map[string]Image{}, layers: map[string]Layer{}, diffs: map[string][]string{}, stride: strideFor(0),
	}
	for _, option := range options {
		option(w)
	}
	return w
}

// AddHost adds an empty server that is reached under a name (a release's address or host name).
func (w *World) AddHost(name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	index := int64(len(w.hosts) + 1)
	w.stride = strideFor(len(w.hosts) + 1)
	w.hosts[name] = &host{
		name: name, index: index, home: "/root", arch: "amd64", environ: map[string]string{"HOME": "/root"}, free: 20 << 30, disk: 40 << 30, asked: map[uint64]uint32{}, meetings: map[int64]meeting{},
		containers: map[string]*container{}, images: map[string]*stored{}, layers: map[string]int{}, networks: map[string]string{"bridge": w.id(name, "network", "bridge")}, volumes: map[string]bool{},
		files:  map[string]*node{"/": {dir: true, mode: 0o755}, "/root": {dir: true, mode: 0o700}},
		routes: map[string]state.Route{}, requests: map[int]int{}, next: map[string]int{},
	}
}

// Hosts lists the servers' names, sorted.
func (w *World) Hosts() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	names := make([]string, 0, len(w.hosts))
	for name := range w.hosts {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// host is one server. Everything in it is guarded by the world's mu.
type host struct {
	name    string
	index   int64 // from 1
	home    string
	arch    string            // Go's name
	mirrors []string          // that its engine is set to ask first
	environ map[string]string // of its SSH user
	free    int64
	disk    int64         // the size of it
	skew    time.Duration // of its clock

	listening []state.Port        // processes outside the engine
	says      func(*state.Engine) // what else the engine says of itself; nil: nothing

	cut       bool                             // no connection
	holes     struct{ requests, replies bool } // what is swallowed
	slow      time.Duration                    // what each call takes longer
	frozen    bool                             // the engine
	downUntil time.Time                        // the engine restarts
	noEngine  state.EngineTrouble              // "": there is one
	offUntil  time.Time                        // the host reboots
	lives     int                              // connections made before a cut are dead: they bear an older number

	asked    map[uint64]uint32 // how often each method and argument was called, by their hash
	meetings map[int64]meeting // by instant
	waiting  []*waiter
	changed  chan struct{} // nil when nobody waits for it

	events    []happened    // the newest last
	forgotten int           // how many before those
	hears     chan struct{} // nil when nobody follows
	settledAt time.Time

	containers     map[string]*container // by ID
	order          []*container          // the oldest first
	images         map[string]*stored    // by ID
	layers         map[string]int        // how many images have each, by digest
	containerd     bool                  // it keeps images as containerd does
	containerdFree *int64                // on a disk of its own; nil: it has none
	denied         []string              // where the SSH user may do nothing, as absolute paths
	networks       map[string]string     // name → ID
	volumes        map[string]bool       // by name
	files          map[string]*node      // by absolute path
	routes         map[string]state.Route
	late           time.Duration   // how much later than it could its proxy switches
	unread         map[string]bool // routes that the running proxy has not read
	rollouts       map[string]*rollout
	forgets        bool           // a proxy that starts reads none
	requests       map[int]int    // by status; 0 is none
	next           map[string]int // counters for IDs and addresses
}

func (h *host) clock() time.Time { return time.Now().Add(h.skew).UTC() }

// count gives 1, 2, 3 … for each word.
func (h *host) count(word string) int {
	h.next[word]++
	return h.next[word]
}

// id is 64 hex digits that the seed and the words decide.
func (w *World) id(words ...any) string {
	sum := sha256.Sum256(fmt.Append(binary.BigEndian.AppendUint64(nil, w.seed), words...))
	return hex.EncodeToString(sum[:])
}

// host finds a server; it panics over one that no AddHost has made, which is a mistake of the test.
func (w *World) host(name string) *host {
	h, ok := w.hosts[name]
	if !ok {
		panic("sim: there is no host " + name)
	}
	return h
}
