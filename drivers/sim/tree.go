package sim

import (
	"archive/tar"
	"bytes"
	"context"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"time"
)

// Download gives a directory of a container's image as a tar archive.
func (e *Engine) Download(ctx context.Context, name, dir string) (archive io.ReadCloser, err error) {
	err = e.read(ctx, "Engine.Download", name+" "+dir, func(h *host) error {
		c, err := h.container(name)
		if err != nil {
			return err
		}
		data, err := packed(c.image.Files, path.Clean(dir))
		archive = io.NopCloser(bytes.NewReader(data))
		return err
	})
	if err != nil {
		return nil, err
	}
	return archive, nil
}

// packed is a directory of some files as an archive.
func packed(files map[string]string, dir string) ([]byte, error) {
	var buffer bytes.Buffer
	out := tar.NewWriter(&buffer)
	made := map[string]bool{}
	directory := func(name string) error {
		made[name] = true
		return out.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: 0o755})
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		rest, below := strings.CutPrefix(name, dir+"/")
		if !below {
			continue
		}
		var parents []string
		for at := "assets/" + rest; at != "assets"; {
			at = path.Dir(at)
			parents = append(parents, at)
		}
		for _, parent := range slices.Backward(parents) {
			if made[parent] {
				continue
			}
			if err := directory(parent); err != nil {
				return nil, err
			}
		}
		header := tar.Header{Typeflag: tar.TypeReg, Name: "assets/" + rest, Mode: 0o644, Size: int64(len(files[name])), ModTime: time.Unix(0, 0)}
		if err := out.WriteHeader(&header); err != nil {
			return nil, err
		}
		if _, err := io.WriteString(out, files[name]); err != nil {
			return nil, err
		}
	}
	if len(made) == 0 {
		return nil, &fs.PathError{Op: "read", Path: dir, Err: fs.ErrNotExist}
	}
	return buffer.Bytes(), out.Close()
}

// Unpack makes a directory of a tar archive. One that is torn leaves the directory without its files.
func (f *Files) Unpack(ctx context.Context, dir string, archive io.Reader) error {
	files, err := unpackInto("/", archive)
	if err != nil {
		return err
	}
	return f.mutate(ctx, "Files.Unpack", dir, func(h *host) error {
		full := h.path(dir)
		if h.denies(full) {
			return wrong("mkdir", dir, fs.ErrPermission)
		}
		if _, ok := h.files[full]; ok {
			return wrong("mkdir", dir, fs.ErrExist)
		}
		if err := h.parents(full); err != nil {
			return err
		}
		h.files[full] = &node{dir: true, mode: 0o755, mod: h.clock()}
		for _, name := range slices.Sorted(maps.Keys(files)) {
			_, rest, below := strings.Cut(strings.TrimPrefix(name, "/"), "/")
			if !below {
				continue
			}
			if err := h.write(path.Join(full, rest), files[name], 0o644); err != nil {
				return err
			}
		}
		return nil
	})
}

// Share gives one tree what another has.
func (f *Files) Share(ctx context.Context, from, to string) error {
	return f.mutate(ctx, "Files.Share", from+" "+to, func(h *host) error {
		source, target := h.path(from), h.path(to)
		if h.denies(source) || h.denies(target) {
			return wrong("share", from, fs.ErrPermission)
		}
		if n, ok := h.files[source]; !ok || !n.dir {
			return wrong("share", from, fs.ErrNotExist)
		}
		if err := h.parents(path.Join(target, "any")); err != nil {
			return err
		}
		for _, name := range slices.Sorted(maps.Keys(h.files)) {
			rest, below := strings.CutPrefix(name, source+"/")
			if !below {
				continue
			}
			if _, there := h.files[path.Join(target, rest)]; there {
				continue
			}
			n := *h.files[name]
			h.files[path.Join(target, rest)] = &n
			h.free -= int64(len(n.data)) // as copies: what is removed gives its room back
		}
		return nil
	})
}

// Tree gives the content of every file below a directory of a host, by its path in there; nil when there is no such directory.
func (w *World) Tree(hostName, dir string) (tree map[string]string) {
	w.at(hostName, func(h *host) {
		full := h.path(dir)
		if n, ok := h.files[full]; !ok || !n.dir {
			return
		}
		tree = map[string]string{}
		for name, n := range h.files {
			if rest, below := strings.CutPrefix(name, full+"/"); below && !n.dir {
				tree[rest] = string(n.data)
			}
		}
	})
	return tree
}
