package sim

import (
	"context"
	"crypto/sha256"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/kamald/kamald/state"
)

// mostRead is the largest file that is read whole, in bytes.
const mostRead = 4 << 20

// large is from how many bytes on a file's content is kept once for all hosts, and given out without a copy: nobody may change
// what was read. A fleet's release record lies on every host of it.
const large = 16 << 10

// keep gives the world's own copy of a content.
func (w *World) keep(data []byte) []byte {
	if len(data) < large {
		return slices.Clone(data)
	}
	sum := sha256.Sum256(data)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.contents == nil {
		w.contents = map[[sha256.Size]byte][]byte{}
	}
	if _, ok := w.contents[sum]; !ok {
		w.contents[sum] = slices.Clone(data)
	}
	return w.contents[sum]
}

// node is a file or a directory.
type node struct {
	dir  bool
	data []byte
	mode fs.FileMode
	// user and group whom it was given to; 0 is whoever made it.
	user, group int
	mod         time.Time // by the host's clock
}

// Files is the file system of one host as the SSH user sees it.
type Files struct{ *session }

// Home is where relative paths begin.
func (f *Files) Home(ctx context.Context) (home string, err error) {
	err = f.read(ctx, "Files.Home", "", func(h *host) error {
		home = h.home
		return nil
	})
	return home, err
}

// Read reads a whole file.
func (f *Files) Read(ctx context.Context, name string) (data []byte, err error) {
	err = f.read(ctx, "Files.Read", name, func(h *host) error {
		if table, kernel := strings.CutPrefix(name, "/proc/net/"); kernel && !h.denies(name) {
			data = h.sockets(table)
			return nil
		}
		n, err := h.file("read", name)
		if err != nil {
			return err
		}
		if len(n.data) > mostRead {
			return wrong("read", name, syscall.EFBIG)
		}
		data = n.data
		return nil
	})
	if len(data) < large {
		data = slices.Clone(data)
	}
	return data, err
}

// Write puts a file there in one go.
func (f *Files) Write(ctx context.Context, name string, data []byte, mode fs.FileMode) error {
	data = f.world.keep(data)
	return f.mutate(ctx, "Files.Write", name, func(h *host) error { return h.write(name, data, mode) })
}

// Mkdir makes a directory exclusively.
func (f *Files) Mkdir(ctx context.Context, name string) error {
	return f.mutate(ctx, "Files.Mkdir", name, func(h *host) error {
		full := h.path(name)
		if h.denies(full) {
			return wrong("mkdir", name, fs.ErrPermission)
		}
		if _, ok := h.files[full]; ok {
			return wrong("mkdir", name, fs.ErrExist)
		}
		if err := h.parents(full); err != nil {
			return err
		}
		h.files[full] = &node{dir: true, mode: 0o700, mod: h.clock()}
		return nil
	})
}

// Rename moves a file or a directory; a file or an empty directory in its way is replaced, a full one is not.
func (f *Files) Rename(ctx context.Context, from, to string) error {
	return f.mutate(ctx, "Files.Rename", from+" "+to, func(h *host) error {
		source, target := h.path(from), h.path(to)
		if h.denies(source) || h.denies(target) {
			return wrong("rename", from, fs.ErrPermission)
		}
		n, ok := h.files[source]
		if !ok {
			return wrong("rename", from, fs.ErrNotExist)
		}
		there, taken := h.files[target]
		switch {
		case source == target:
			return nil
		case taken && there.dir && (!n.dir || len(h.list(target)) > 0):
			return wrong("rename", to, fs.ErrExist)
		case taken && !there.dir && n.dir:
			return wrong("rename", to, fs.ErrNotExist) // what sshd makes of ENOTDIR
		}
		if dir, ok := h.files[path.Dir(target)]; !ok || !dir.dir {
			return wrong("rename", to, fs.ErrNotExist)
		}
		for _, name := range slices.Sorted(maps.Keys(h.files)) {
			if rest, ok := strings.CutPrefix(name, source); ok && (rest == "" || rest[0] == '/') {
				h.unlink(target + rest)
				h.files[target+rest] = h.files[name]
				delete(h.files, name)
			}
		}
		return nil
	})
}

// Append adds to a file's end.
func (f *Files) Append(ctx context.Context, name string, data []byte) error {
	data = slices.Clone(data)
	return f.mutate(ctx, "Files.Append", name, func(h *host) error {
		mode, have := fs.FileMode(0o600), []byte(nil)
		if n, ok := h.files[h.path(name)]; ok {
			mode, have = n.mode, n.data
		}
		return h.write(name, append(slices.Clone(have), data...), mode)
	})
}

// Remove takes a file, or a directory with all that is in it.
func (f *Files) Remove(ctx context.Context, name string) error {
	return f.mutate(ctx, "Files.Remove", name, func(h *host) error {
		if h.denies(h.path(name)) {
			return wrong("remove", name, fs.ErrPermission)
		}
		h.remove(name)
		return nil
	})
}

// List gives the names in a directory, sorted.
func (f *Files) List(ctx context.Context, name string) (names []string, err error) {
	err = f.read(ctx, "Files.List", name, func(h *host) error {
		if h.denies(h.path(name)) {
			return wrong("list", name, fs.ErrPermission)
		}
		names = h.list(h.path(name))
		return nil
	})
	return names, err
}

// Modified is a file's time by the host's clock.
func (f *Files) Modified(ctx context.Context, name string) (mod time.Time, err error) {
	err = f.read(ctx, "Files.Modified", name, func(h *host) error {
		n, ok := h.files[h.path(name)]
		switch {
		case h.denies(h.path(name)):
			return wrong("stat", name, fs.ErrPermission)
		case !ok:
			return wrong("stat", name, fs.ErrNotExist)
		}
		mod = n.mod
		return nil
	})
	return mod, err
}

// Touch sets a file's time to the host's now.
func (f *Files) Touch(ctx context.Context, name string) error {
	return f.mutate(ctx, "Files.Touch", name, func(h *host) error {
		n, err := h.file("touch", name)
		if err == nil {
			n.mod = h.clock()
		}
		return err
	})
}

// Chown gives a file or a directory to a user and a group.
func (f *Files) Chown(ctx context.Context, name string, user, group int) error {
	return f.mutate(ctx, "Files.Chown", name, func(h *host) error {
		full := h.path(name)
		n, ok := h.files[full]
		switch {
		case h.denies(full):
			return wrong("chown", name, fs.ErrPermission)
		case !ok:
			return wrong("chown", name, fs.ErrNotExist)
		}
		if user >= 0 {
			n.user = user
		}
		if group >= 0 {
			n.group = group
		}
		return nil
	})
}

// Stat gives the permissions and the owner of a file or a directory.
func (f *Files) Stat(ctx context.Context, name string) (is state.File, err error) {
	err = f.read(ctx, "Files.Stat", name, func(h *host) error {
		n, ok := h.files[h.path(name)]
		switch {
		case h.denies(h.path(name)):
			return wrong("stat", name, fs.ErrPermission)
		case !ok:
			return wrong("stat", name, fs.ErrNotExist)
		}
		is = state.Lying(n.mode, n.user, n.group)
		return nil
	})
	return is, err
}

// Chmod sets the permissions of a file or a directory.
func (f *Files) Chmod(ctx context.Context, name string, mode fs.FileMode) error {
	return f.mutate(ctx, "Files.Chmod", name, func(h *host) error {
		full := h.path(name)
		n, ok := h.files[full]
		switch {
		case h.denies(full):
			return wrong("chmod", name, fs.ErrPermission)
		case !ok:
			return wrong("chmod", name, fs.ErrNotExist)
		}
		n.mode = mode
		return nil
	})
}

// Free is the number of free bytes, and the size of the disk.
func (f *Files) Free(ctx context.Context, name string) (free, size int64, err error) {
	err = f.read(ctx, "Files.Free", name, func(h *host) error {
		full := h.path(name)
		if h.denies(full) {
			return wrong("free", name, fs.ErrPermission)
		}
		if full == containerdRoot && h.containerdFree != nil {
			free, size = *h.containerdFree, max(*h.containerdFree, h.disk)
			return nil
		}
		if _, ok := h.files[full]; !ok && full != engineRoot {
			return wrong("free", name, fs.ErrNotExist)
		}
		free, size = h.free, max(h.free, h.disk)
		return nil
	})
	return free, size, err
}

func (h *host) path(name string) string {
	if !path.IsAbs(name) {
		name = path.Join(h.home, name)
	}
	return path.Clean(name)
}

// Deny takes the SSH user's rights to a path of a host and everything below; Allow gives them back.
func (w *World) Deny(hostName, name string) {
	w.at(hostName, func(h *host) { h.denied = append(h.denied, h.path(name)) })
}

// Allow ends Deny for every path of a host.
func (w *World) Allow(hostName string) { w.at(hostName, func(h *host) { h.denied = nil }) }

func (h *host) denies(full string) bool {
	return slices.ContainsFunc(h.denied, func(top string) bool { return full == top || strings.HasPrefix(full, top+"/") })
}

func (h *host) file(op, name string) (*node, error) {
	n, ok := h.files[h.path(name)]
	switch {
	case h.denies(h.path(name)):
		return nil, wrong(op, name, fs.ErrPermission)
	case !ok:
		return nil, wrong(op, name, fs.ErrNotExist)
	case n.dir:
		return nil, wrong(op, name, state.ErrDirectory)
	}
	return n, nil
}

func (h *host) write(name string, data []byte, mode fs.FileMode) error {
	full := h.path(name)
	if h.denies(full) {
		return wrong("write", name, fs.ErrPermission)
	}
	old, ok := h.files[full]
	if ok && old.dir {
		return wrong("write", name, syscall.EISDIR)
	}
	if err := h.parents(full); err != nil {
		return err
	}
	if h.free < int64(len(data)) { // beside the old one: it is replaced by a rename
		return wrong("write", name, syscall.ENOSPC)
	}
	h.unlink(full)
	h.free -= int64(len(data))
	h.files[full] = &node{data: data, mode: mode, mod: h.clock()}
	return nil
}

// parents makes the directories above a path.
func (h *host) parents(full string) error {
	for dir := path.Dir(full); ; dir = path.Dir(dir) {
		n, ok := h.files[dir]
		if ok && !n.dir {
			return wrong("mkdir", dir, syscall.ENOTDIR)
		}
		if ok {
			return nil
		}
		h.files[dir] = &node{dir: true, mode: 0o700, mod: h.clock()}
	}
}

func (h *host) remove(name string) {
	full := h.path(name)
	for other := range h.files {
		if rest, ok := strings.CutPrefix(other, full); ok && (rest == "" || rest[0] == '/') {
			h.unlink(other)
		}
	}
}

// unlink takes one file away and gives its room back.
func (h *host) unlink(full string) {
	if n, ok := h.files[full]; ok {
		h.free += int64(len(n.data))
		delete(h.files, full)
	}
}

func (h *host) list(dir string) (names []string) {
	for name := range h.files {
		if name != "/" && path.Dir(name) == dir {
			names = append(names, path.Base(name))
		}
	}
	slices.Sort(names)
	return names
}

func wrong(op, name string, err error) error { return &fs.PathError{Op: op, Path: name, Err: err} }
