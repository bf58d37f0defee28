package image

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// fixture is an image, and the archive of it that some engine would save.
type fixture struct {
	layers [][]byte // tar archives, lowest first
	labels map[string]string
}

// newLayer packs one file.
func newLayer(name string, content []byte) []byte {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	_ = w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(content))})
	_, _ = w.Write(content)
	_ = w.Close()
	return out.Bytes()
}

// noise is bytes that do not compress.
func noise(seed uint64, size int) []byte {
	content := make([]byte, size)
	source := rand.NewPCG(seed, 1)
	for i := range content {
		content[i] = byte(source.Uint64())
	}
	return content
}

func (f fixture) ids() (ids []string) {
	for _, layer := range f.layers {
		ids = append(ids, "sha256:"+hexOf(layer))
	}
	return ids
}

func (f fixture) config() []byte {
	config := map[string]any{
		"architecture": "amd64", "os": "linux", "created": "2026-01-01T00:00:00Z",
		"config":  map[string]any{"Labels": f.labels, "Cmd": []string{"/app"}},
		"rootfs":  map[string]any{"type": "layers", "diff_ids": f.ids()},
		"history": []any{map[string]any{"created_by": "test"}},
	}
	data, _ := json.Marshal(config)
	return data
}

// id is the image's, as a graph driver gives it.
func (f fixture) id() string { return "sha256:" + hexOf(f.config()) }

// archiver writes an archive's files.
type archiver struct {
	out bytes.Buffer
	*tar.Writer
}

func newArchiver() *archiver {
	a := &archiver{}
	a.Writer = tar.NewWriter(&a.out)
	return a
}

func (a *archiver) add(name string, data []byte) {
	_ = a.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(data))})
	_, _ = a.Write(data)
}

func (a *archiver) manifest(config string, layers []string) {
	data, _ := json.Marshal([]manifest{{Config: config, RepoTags: []string{"acme/shop:v1"}, Layers: layers}})
	a.add("manifest.json", data)
}

func (a *archiver) bytes() []byte {
	_ = a.Close()
	return a.out.Bytes()
}

// old is Docker's own layout, with directories that are named after nothing in them, and links in the place of a layer that
// comes twice.
func (f fixture) old() []byte {
	a, first := newArchiver(), map[string]string{}
	var names []string
	for i, layer := range f.layers {
		dir := fmt.Sprintf("%064x", i+1)
		_ = a.WriteHeader(&tar.Header{Name: dir + "/", Typeflag: tar.TypeDir, Mode: 0o755})
		a.add(dir+"/VERSION", []byte("1.0"))
		a.add(dir+"/json", []byte(`{"id":"`+dir+`"}`))
		if other := first[hexOf(layer)]; other != "" {
			_ = a.WriteHeader(&tar.Header{Name: dir + "/layer.tar", Typeflag: tar.TypeSymlink, Linkname: "../" + other + "/layer.tar"})
		} else {
			first[hexOf(layer)] = dir
			a.add(dir+"/layer.tar", layer)
		}
		names = append(names, dir+"/layer.tar")
	}
	name := hexOf(f.config()) + ".json"
	a.add(name, f.config())
	a.manifest(name, names)
	a.add("repositories", []byte(`{}`))
	return a.bytes()
}

// oci is the layout of the image specification, its layers packed in a way: "", "gzip" or "zstd".
func (f fixture) oci(packing string) []byte {
	a := newArchiver()
	var names []string
	for _, layer := range f.layers {
		layer = packedBy(packing, layer)
		name := "blobs/sha256/" + hexOf(layer)
		if !strings.Contains(strings.Join(names, " "), name) {
			a.add(name, layer)
		}
		names = append(names, name)
	}
	config := "blobs/sha256/" + hexOf(f.config())
	a.add(config, f.config())
	a.add("index.json", []byte(`{"schemaVersion":2}`))
	a.manifest(config, names)
	a.add("oci-layout", []byte(`{"imageLayoutVersion":"1.0.0"}`))
	return a.bytes()
}

func packedBy(packing string, data []byte) []byte {
	var out bytes.Buffer
	switch packing {
	case "gzip":
		w := gzip.NewWriter(&out)
		_, _ = w.Write(data)
		_ = w.Close()
	case "zstd":
		w, _ := zstd.NewWriter(&out)
		_, _ = w.Write(data)
		_ = w.Close()
	default:
		return data
	}
	return out.Bytes()
}

// opened is an archive that Archive made, as an engine reads it.
type opened struct {
	config  []byte
	tags    []string
	names   []string
	layers  map[string][]byte // unpacked, by name
	entries int
}

func open(t interface{ Fatal(...any) }, archive io.Reader) opened {
	files, o := map[string][]byte{}, opened{layers: map[string][]byte{}}
	entries := tar.NewReader(archive)
	for {
		header, err := entries.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if files[header.Name] != nil {
			t.Fatal(header.Name, "is there twice")
		}
		if files[header.Name], err = io.ReadAll(entries); err != nil {
			t.Fatal(err)
		}
		o.entries++
	}
	var list []manifest
	if err := json.Unmarshal(files["manifest.json"], &list); err != nil || len(list) != 1 {
		t.Fatal(err, list)
	}
	o.config, o.tags, o.names = files[list[0].Config], list[0].RepoTags, list[0].Layers
	for _, name := range o.names {
		if files[name] == nil {
			continue
		}
		in, err := gzip.NewReader(bytes.NewReader(files[name]))
		if err != nil {
			t.Fatal(err)
		}
		if o.layers[name], err = io.ReadAll(in); err != nil {
			t.Fatal(err)
		}
	}
	return o
}

func filled(t *testing.T, archive []byte, wanted []string) *Spool {
	t.Helper()
	s := &Spool{Dir: t.TempDir()}
	t.Cleanup(func() { _ = s.Close() })
	if err := s.Fill(t.Context(), bytes.NewReader(archive), wanted); err != nil {
		t.Fatal(err)
	}
	return s
}
