package image

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Archive is what an engine loads that has the image's first from layers already, as some image of its own has them: the image of
// the first to layers under a reference, with no file in it for the layers below from. Up to the last layer it is the image
// itself; else one with nothing but those layers and the labels, by which they stay on the host. The layers from from on must be
// kept.
func (s *Spool) Archive(from, to int, ref string, labels map[string]string) (io.Reader, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ids := s.config.RootFS.DiffIDs
	switch {
	case s.closed:
		return nil, errClosed
	case s.config.raw == nil:
		return nil, errors.New("the spool is empty")
	case from < 0 || from > to || to > len(ids):
		return nil, fmt.Errorf("the image has %d layers, and those from %d to %d are asked for", len(ids), from, to)
	}
	raw := s.config.raw
	if to < len(ids) {
		var err error
		if raw, err = s.config.lower(to, labels); err != nil {
			return nil, err
		}
	}
	var out parts
	item := manifest{Config: hexOf(raw) + ".json"}
	if ref != "" {
		item.RepoTags = []string{ref}
	}
	for i, id := range ids[:to] {
		name := strings.TrimPrefix(id, "sha256:") + "/layer.tar"
		if i >= from && !slices.Contains(item.Layers[from:], name) { // one that comes twice has one file
			kept, ok := s.kept[id]
			if !ok {
				return nil, fmt.Errorf("the layer %s is not kept", id)
			}
			out.add(name, io.NewSectionReader(kept.file, 0, kept.packed), kept.packed)
		}
		item.Layers = append(item.Layers, name)
	}
	if to == 0 {
		item.Layers = []string{}
	}
	list, err := json.Marshal([]manifest{item})
	if err != nil {
		return nil, err
	}
	out.add(item.Config, bytes.NewReader(raw), int64(len(raw)))
	out.add("manifest.json", bytes.NewReader(list), int64(len(list)))
	return out.end()
}

// parts is a tar archive that is never whole in memory.
type parts struct {
	readers []io.Reader
	err     error
}

const block = 512

func (p *parts) add(name string, content io.Reader, size int64) {
	var head bytes.Buffer
	header := &tar.Header{Name: name, Mode: 0o644, Size: size, Typeflag: tar.TypeReg}
	p.err = errors.Join(p.err, tar.NewWriter(&head).WriteHeader(header))
	padding := (block - size%block) % block
	p.readers = append(p.readers, bytes.NewReader(head.Bytes()), content, bytes.NewReader(make([]byte, padding)))
}

func (p *parts) end() (io.Reader, error) {
	p.readers = append(p.readers, bytes.NewReader(make([]byte, 2*block)))
	return io.MultiReader(p.readers...), p.err
}

func hexOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
