package sim

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
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
	Env         map[string]string
	Cmd         []string
	Labels      map[string]string
	StopSignal  string
	Workdir     string
	Healthcheck bool // Docker's own, that follows the behaviour

	id, digest string
	created    time.Time
}

// stored is an image on a host.
type stored struct {
	Image
	tags    []string
	digests []string
}

// Push puts an image into the registry under its reference and gives its ID and its manifest's digest. The same contents give
// the same ID.
func (w *World) Push(image Image) (id, digest string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	image = w.make(image)
	w.registry[image.Ref] = image.id
	return image.id, image.digest
}

// Unpush takes a reference out of the registry.
func (w *World) Unpush(ref string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.registry, ref)
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
	image.id = "sha256:" + w.id("image", fmt.Sprintf("%+v", image))
	image.digest = "sha256:" + w.id("manifest", image.id)
	if known, ok := w.images[image.id]; ok {
		return known
	}
	image.created = time.Now().UTC()
	w.images[image.id] = image
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
	if repository, digest, ok := strings.Cut(ref, "@"); ok {
		m.digests = addOnce(m.digests, repository+"@"+digest)
		return m
	}
	h.untag(ref)
	m.tags = addOnce(m.tags, ref)
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

func (m *stored) observe(inspect bool) state.Image {
	seen := state.Image{
		ID: m.id, Tags: slices.Sorted(slices.Values(m.tags)), Digests: slices.Sorted(slices.Values(m.digests)),
		Created: m.created, Size: m.Size, Labels: maps.Clone(m.Labels),
	}
	if inspect {
		seen.Inspected, seen.Arch, seen.Ports = true, "amd64", []int{m.Port}
		seen.Env, seen.Cmd, seen.StopSignal, seen.Healthcheck = maps.Clone(m.Env), slices.Clone(m.Cmd), m.StopSignal, m.Healthcheck
	}
	return seen
}

// fetch finds what a reference means in the registry.
func (w *World) fetch(ref string, auth release.Auth) (Image, error) {
	if w.username != "" && (auth.Username != w.username || auth.Password.Reveal() != w.password) {
		return Image{}, fmt.Errorf("the registry refuses %q for %s: %w", auth.Username, ref, state.ErrDenied)
	}
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

// manifest is what of a `docker save` archive's manifest counts here.
type manifest struct {
	Config   string
	RepoTags []string
	Layers   []string
}

// archive writes images in the form that Load reads: their configuration names the world's own image.
func archive(images []*stored, refs []string) ([]byte, error) {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	write := func(name string, data []byte) error {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(data))}); err != nil {
			return err
		}
		_, err := w.Write(data)
		return err
	}
	var list []manifest
	for i, m := range images {
		name := strings.TrimPrefix(m.id, "sha256:") + ".json"
		list = append(list, manifest{Config: name, RepoTags: []string{refs[i]}})
		config, err := json.Marshal(map[string]string{"sim": m.id})
		if err != nil {
			return nil, err
		}
		if err := write(name, config); err != nil {
			return nil, err
		}
	}
	data, err := json.Marshal(list)
	if err != nil {
		return nil, err
	}
	err = errors.Join(write("manifest.json", data), w.Close())
	return out.Bytes(), err
}

// unpack reads an archive, ours or a real one, compressed or not.
func unpack(r io.Reader) (map[string][]byte, []manifest, error) {
	data, err := io.ReadAll(r)
	if err != nil {
		return nil, nil, err
	}
	var in io.Reader = bytes.NewReader(data)
	if bytes.HasPrefix(data, []byte{0x1f, 0x8b}) {
		if in, err = gzip.NewReader(in); err != nil {
			return nil, nil, err
		}
	}
	files := map[string][]byte{}
	for reader := tar.NewReader(in); ; {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, nil, fmt.Errorf("the archive does not read: %w", err)
		}
		if strings.HasSuffix(header.Name, ".json") {
			if files[header.Name], err = io.ReadAll(reader); err != nil {
				return nil, nil, err
			}
		}
	}
	var list []manifest
	if err := json.Unmarshal(files["manifest.json"], &list); err != nil {
		return nil, nil, fmt.Errorf("the archive has no manifest.json that reads: %w", err)
	}
	return files, list, nil
}

func addOnce(list []string, item string) []string {
	if slices.Contains(list, item) {
		return list
	}
	return append(list, item)
}
