package sim

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/kamald/kamald/state"
)

// manifest is what of a `docker save` archive's manifest counts here.
type manifest struct {
	Config   string
	RepoTags []string `json:",omitempty"`
	Layers   []string
}

// configuration is what of an image's configuration counts here. An archive that Save wrote names the world's own image.
type configuration struct {
	Sim    string `json:"sim,omitempty"`
	OS     string `json:"os"`
	Arch   string `json:"architecture"`
	Config struct {
		Labels map[string]string
	} `json:"config"`
	RootFS struct {
		Type    string   `json:"type"`
		DiffIDs []string `json:"diff_ids"`
	} `json:"rootfs"`
}

// blobLimit is how much of a layer there really is: enough for it to be told from others, and little for many hosts.
const blobLimit = 4 << 10

// blob is what is in a layer.
func (l Layer) blob() []byte {
	content := []byte("layer " + l.Digest + "\n")
	for n := byte(0); int64(len(content)) < min(l.Size, blobLimit); n++ {
		sum := sha256.Sum256(append([]byte{n}, l.Digest...))
		content = append(content, sum[:]...)
	}
	return content
}

func diffID(content []byte) string {
	sum := sha256.Sum256(content)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// register remembers an image's layers by what is in them.
func (w *World) register(image Image) {
	var ids []string
	for _, layer := range image.all() {
		id := diffID(layer.blob())
		w.layers[id] = layer
		ids = append(ids, id)
	}
	w.diffs[image.id] = ids
}

// archive writes images as Save does.
func (w *World) archive(images []*stored, refs []string) ([]byte, error) {
	var out bytes.Buffer
	to := tar.NewWriter(&out)
	write := func(name string, data []byte) error {
		if err := to.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(data))}); err != nil {
			return err
		}
		_, err := to.Write(data)
		return err
	}
	var list []manifest
	for i, m := range images {
		item := manifest{Config: strings.TrimPrefix(m.id, "sha256:") + ".json"}
		if refs[i] != m.id {
			item.RepoTags = []string{refs[i]}
		}
		config := configuration{Sim: m.id, OS: "linux", Arch: "amd64"}
		config.Config.Labels, config.RootFS.Type, config.RootFS.DiffIDs = m.Labels, "layers", w.diffs[m.id]
		data, err := json.Marshal(config)
		err = errors.Join(err, write(item.Config, data))
		for n, layer := range m.all() {
			name := strings.TrimPrefix(w.diffs[m.id][n], "sha256:") + "/layer.tar"
			if item.Layers = append(item.Layers, name); slices.Index(item.Layers, name) == n {
				err = errors.Join(err, write(name, layer.blob()))
			}
		}
		if err != nil {
			return nil, err
		}
		list = append(list, item)
	}
	data, err := json.Marshal(list)
	err = errors.Join(err, write("manifest.json", data), to.Close())
	return out.Bytes(), err
}

// unpack reads an archive, ours or a real one, compressed or not.
func unpack(r io.Reader) (map[string][]byte, []manifest, error) {
	data, err := io.ReadAll(r)
	if err == nil {
		data, err = unzipped(data)
	}
	if err != nil {
		return nil, nil, err
	}
	files := map[string][]byte{}
	for reader := tar.NewReader(bytes.NewReader(data)); ; {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, nil, fmt.Errorf("the archive does not read: %w", err)
		}
		if files[path.Clean(header.Name)], err = io.ReadAll(reader); err != nil {
			return nil, nil, err
		}
	}
	var list []manifest
	if err := json.Unmarshal(files["manifest.json"], &list); err != nil {
		return nil, nil, fmt.Errorf("the archive has no manifest.json that reads: %w", err)
	}
	return files, list, nil
}

func unzipped(data []byte) ([]byte, error) {
	if !bytes.HasPrefix(data, []byte{0x1f, 0x8b}) {
		return data, nil
	}
	in, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(in)
}

// KeepAsContainerd lets the engine of a host say that it keeps images as containerd does. It takes only whole archives then.
func (w *World) KeepAsContainerd(hostName string) {
	w.at(hostName, func(h *host) { h.containerd = true })
}

// take is what an engine does with one image of an archive: layers that it has, as the lowest of some image, it does not look
// for; the others it holds to their digests.
func (w *World) take(h *host, m manifest, files map[string][]byte) error {
	var c configuration
	if err := json.Unmarshal(files[m.Config], &c); err != nil {
		return fmt.Errorf("the configuration %s does not read: %w", m.Config, err)
	}
	if len(m.Layers) != len(c.RootFS.DiffIDs) {
		return fmt.Errorf("invalid manifest, layers length mismatch: expected %d, got %d", len(m.Layers), len(c.RootFS.DiffIDs))
	}
	image := Image{Labels: c.Config.Labels}
	for i, id := range c.RootFS.DiffIDs {
		layer, ours := w.layers[id]
		if !ours { // a real image: it becomes one of one layer
			image.Layers = nil
			break
		}
		image.Layers = append(image.Layers, layer)
		if !h.containerd && w.hasChain(h, c.RootFS.DiffIDs[:i+1]) {
			continue
		}
		data, ok := files[m.Layers[i]]
		if !ok {
			return fmt.Errorf("open %s: no such file or directory", m.Layers[i])
		}
		data, err := unzipped(data)
		if err != nil {
			return err
		}
		if got := diffID(data); got != id {
			return fmt.Errorf("invalid diffID for layer %d: expected %q, got %q", i, id, got)
		}
	}
	if known, ok := w.images[c.Sim]; ok {
		image = known
	}
	if len(m.RepoTags) == 0 {
		m, err := h.bring(w.named(image, ""), "")
		if err == nil {
			h.tellImage(state.ActionLoad, m.id)
		}
		return err
	}
	for _, ref := range m.RepoTags {
		m, err := h.bring(w.named(image, ref), ref)
		if err != nil {
			return err
		}
		h.tellImage(state.ActionLoad, m.id)
	}
	return nil
}

// named is an image that the world has, or makes now.
func (w *World) named(image Image, ref string) Image {
	if image.id != "" {
		return image
	}
	image.Ref = ref
	return w.make(image)
}

// hasChain tells whether some image on a host has these layers as its lowest.
func (w *World) hasChain(h *host, ids []string) bool {
	for id := range h.images {
		if there := w.diffs[id]; len(there) >= len(ids) && slices.Equal(there[:len(ids)], ids) {
			return true
		}
	}
	return false
}
