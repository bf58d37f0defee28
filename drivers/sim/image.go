package sim

import (
	"cmp"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// Behaviour is what a program does once it runs.
type Behaviour struct {
	Ready    time.Duration // until then its port refuses
	SickIn   time.Duration // from then on it answers 500; 0 is never
	Status   int           // what it answers; 0 is 200
	Location string        // of a redirect
	Pages    int           // what it answers where it is not asked for its health; 0 is as there
	Port     int           // where it listens; 0 is the image's port, below 0 nowhere
	Serves   time.Duration // how long an answer takes; 0 is 5 ms

	Ends     bool          // it ends by itself
	EndsIn   time.Duration // after this time
	ExitCode int
	OOM      bool

	StopsIn     time.Duration // from the signal to its end; 0 is 10 ms
	IgnoresStop bool          // only a kill ends it
	Logs        []string
}

// Healthy answers 200 after a delay.
func Healthy(after time.Duration) Behaviour { return Behaviour{Ready: after} }

// Exits ends by itself with a code.
func Exits(code int, after time.Duration) Behaviour {
	return Behaviour{Ends: true, EndsIn: after, ExitCode: code, Port: -1}
}

// NeverHealthy answers with a status that is no success.
func NeverHealthy(status int) Behaviour { return Behaviour{Status: status} }

// Nowhere is a name that nothing answers at; wherever else a redirect leads, the proxy gets an answer.
const Nowhere = "elsewhere"

func leadsNowhere(location string) bool {
	u, err := url.Parse(location)
	return err == nil && u.Hostname() == Nowhere
}

// Redirects answers 302.
func Redirects(location string) Behaviour { return Behaviour{Status: 302, Location: location} }

// ListensElsewhere listens on another port than its image says.
func ListensElsewhere(port int) Behaviour { return Behaviour{Port: port} }

// Image is an image that hosts can pull, or that an archive brings.
type Image struct {
	Ref         string // server/repo:tag
	Behaviour   Behaviour
	Port        int     // 0 is 3000
	Size        int64   // the sum of the layers when there are any
	Layers      []Layer // none: one of its own
	PullTakes   time.Duration
	Platforms   []string // os/architecture[/variant], with several a list of images; none is linux/amd64. See Attestation
	Env         map[string]string
	Cmd         []string
	Labels      map[string]string
	StopSignal  string
	Workdir     string
	Healthcheck bool // Docker's own, that follows the behaviour
	// Files are what it has in directories that Download gives: absolute path → content.
	Files map[string]string
	// Commands are what a container of it does that runs another command than its own, by its words joined with spaces.
	Commands map[string]Behaviour

	id, digest string
	created    time.Time
}

// Attestation is what stands in a list as a platform and is no image: builders add one to a list of one image, too.
const Attestation = "unknown/unknown"

// stored is an image on a host.
type stored struct {
	Image
	tags     []string
	digests  []string
	platform string // that was pulled; "" is the first
}

// Push puts an image into the registry under its reference and gives its ID and its manifest's digest. The same contents give
// the same ID.
func (w *World) Push(image Image) (id, digest string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	image = w.make(image)
	w.registry[familiar(image.Ref)] = image.id
	return image.id, image.digest
}

// Unpush takes a reference out of the registry.
func (w *World) Unpush(ref string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.registry, familiar(ref))
}

// Place puts an image on a host, as a build there would: it has no manifest digest.
func (w *World) Place(hostName string, image Image) (id string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	image = w.make(image)
	w.host(hostName).keep(image, image.Ref)
	return image.id
}

func (w *World) make(image Image) Image {
	if image.Port == 0 {
		image.Port = 3000
	}
	if len(image.Layers) > 0 {
		image.Size = 0
		for _, layer := range image.Layers {
			image.Size += layer.Size
		}
	}
	if image.Size == 0 {
		image.Size = 6 << 20
	}
	if len(image.Platforms) == 0 {
		image.Platforms = []string{"linux/amd64"}
	}
	plain := image
	plain.Files = nil // those without files and commands keep the IDs that they have always had
	of := strings.NewReplacer(" Files:map[]", "", " Commands:map[]", "").Replace(fmt.Sprintf("%+v", plain))
	if len(image.Files) > 0 {
		of += fmt.Sprint(image.Files)
	}
	image.id = "sha256:" + w.id("image", of)
	image.digest = "sha256:" + w.id("manifest", image.id)
	if known, ok := w.images[image.id]; ok {
		return known
	}
	image.created = time.Now().UTC()
	w.images[image.id] = image
	w.register(image)
	return image
}

// keep puts an image into the host's store under a reference.
func (h *host) keep(image Image, ref string) *stored {
	m, ok := h.images[image.id]
	if !ok {
		m = &stored{Image: image}
		h.hold(image)
		h.images[image.id] = m
	}
	ref = familiar(ref)
	if repository, digest, ok := strings.Cut(ref, "@"); ok {
		m.digests = addOnce(m.digests, repository+"@"+digest)
		return m
	}
	if ref != "" {
		h.untag(ref)
		m.tags = addOnce(m.tags, ref)
	}
	return m
}

func (h *host) untag(ref string) {
	for _, m := range h.images {
		m.tags = slices.DeleteFunc(m.tags, func(tag string) bool { return tag == ref })
	}
}

// image finds one by ID, with or without the algorithm, or by a reference.
func (h *host) image(ref string) (*stored, error) {
	if m, ok := h.images[ref]; ok {
		return m, nil
	}
	if m, ok := h.images["sha256:"+ref]; ok {
		return m, nil
	}
	ref = familiar(ref)
	if !strings.Contains(ref[strings.LastIndex(ref, "/")+1:], ":") {
		ref += ":latest"
	}
	for _, m := range h.images { // a reference is of one image at most
		if slices.Contains(m.tags, ref) || slices.Contains(m.digests, ref) {
			return m, nil
		}
	}
	return nil, fmt.Errorf("no such image: %s: %w", ref, state.ErrNotFound)
}

// runsOn is the platform that a stored image is for.
func (m *stored) runsOn() string { return cmp.Or(m.platform, m.Platforms[0]) }

func (m *stored) observe(w *World, inspect bool) state.Image {
	seen := state.Image{
		ID: m.id, Tags: slices.Sorted(slices.Values(m.tags)), Digests: slices.Sorted(slices.Values(m.digests)),
		Created: m.created, Size: m.Size, Labels: maps.Clone(m.Labels),
	}
	if inspect {
		seen.Layers = slices.Clone(w.diffs[m.id])
		seen.Inspected, seen.Arch, seen.Ports = true, strings.Split(m.runsOn(), "/")[1], []int{m.Port}
		seen.Env, seen.Cmd, seen.StopSignal, seen.Healthcheck = maps.Clone(m.Env), slices.Clone(m.Cmd), m.StopSignal, m.Healthcheck
	}
	return seen
}

// fetch finds what a reference means in the registry.
func (w *World) fetch(ref string, auth release.Auth) (Image, error) {
	if w.username != "" && (auth.Username != w.username || auth.Password.Reveal() != w.password) {
		return Image{}, fmt.Errorf("the registry refuses %q for %s: %w", auth.Username, ref, state.ErrDenied)
	}
	ref = familiar(ref)
	if id, ok := w.registry[ref]; ok {
		return w.images[id], nil
	}
	if repository, digest, ok := strings.Cut(ref, "@"); ok {
		for tagged, id := range w.registry {
			if w.images[id].digest == digest && strings.HasPrefix(tagged, repository+":") {
				return w.images[id], nil
			}
		}
	}
	return Image{}, fmt.Errorf("manifest for %s not found in the registry: %w", ref, state.ErrNotFound)
}

// familiar is a reference, or a repository, as engines list it: without Docker Hub's name.
func familiar(ref string) string {
	for _, hub := range []string{"docker.io/", "index.docker.io/"} {
		if rest, ok := strings.CutPrefix(ref, hub); ok {
			return strings.TrimPrefix(rest, "library/")
		}
	}
	return ref
}

func addOnce(list []string, item string) []string {
	if slices.Contains(list, item) {
		return list
	}
	return append(list, item)
}
