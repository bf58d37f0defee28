package files

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	// many is how many files of a tree are written at once: each takes a few round trips of its own.
	many = 48
	// small is the size in bytes up to which a file is taken out of an archive whole, to be written beside others.
	small = 1 << 20
	// treeDir is the mode of a tree's directories.
	treeDir fs.FileMode = 0o755
)

// place is what trees of files are made on: an SFTP client's server, or this machine.
type place interface {
	// makeDir makes a directory and the missing ones above it; fs.ErrExist when it is there.
	makeDir(name string) error
	chmod(name string, mode fs.FileMode) error
	// write makes a file that is not there.
	write(name string, content io.Reader, size int64, mode fs.FileMode, mod time.Time) error
	symlink(target, name string) error
	link(from, to string) error
	// copy makes a file of another's content in one go.
	copy(from, to string, info fs.FileInfo) error
	readlink(name string) (string, error)
	lstat(name string) (fs.FileInfo, error)
	list(ctx context.Context, dir string) ([]fs.FileInfo, error)
}

// unpack makes a directory of an archive.
func unpack(ctx context.Context, at place, dir string, archive io.Reader) error {
	if err := at.makeDir(dir); err != nil {
		return err
	}
	if err := at.chmod(dir, treeDir); err != nil {
		return err
	}
	u := &unpacking{at: at, dir: dir, made: map[string]bool{".": true}}
	u.group, u.ctx = errgroup.WithContext(ctx)
	u.group.SetLimit(many)
	err := u.all(tar.NewReader(archive))
	if failed := u.group.Wait(); failed != nil {
		return failed
	}
	if err != nil {
		return err
	}
	for _, l := range u.links {
		if err := share(at, path.Join(dir, l.from), path.Join(dir, l.to)); err != nil {
			return err
		}
	}
	return nil
}

type unpacking struct {
	at    place
	dir   string
	root  string // what the archive calls the directory
	made  map[string]bool
	links []hardLink
	group *errgroup.Group
	ctx   context.Context
}

type hardLink struct{ from, to string }

func (u *unpacking) all(in *tar.Reader) error {
	for first := true; ; first = false {
		if err := u.ctx.Err(); err != nil {
			return context.Cause(u.ctx)
		}
		header, err := in.Next()
		if errors.Is(err, io.EOF) && !first {
			return nil
		}
		if err != nil {
			return fmt.Errorf("the archive does not read: %w", err)
		}
		if first {
			if header.Typeflag != tar.TypeDir {
				return errors.New("it is no directory")
			}
			u.root = path.Clean(header.Name)
			continue
		}
		name, ok := u.within(header.Name)
		if !ok {
			return fmt.Errorf("the archive has %q, which is not in its directory", header.Name)
		}
		if err := u.one(in, header, name); err != nil {
			return err
		}
	}
}

// within is a name as it is below the directory.
func (u *unpacking) within(name string) (string, bool) {
	name = path.Clean(name)
	if u.root != "." {
		if name == u.root {
			return ".", true
		}
		rest, below := strings.CutPrefix(name, u.root+"/")
		if !below {
			return "", false
		}
		name = rest
	}
	return name, !path.IsAbs(name) && name != ".." && !strings.HasPrefix(name, "../")
}

// one writes an entry. What is neither directory, file nor link is no asset, and left out.
func (u *unpacking) one(in io.Reader, header *tar.Header, name string) error {
	if name == "." {
		return nil
	}
	if err := u.parents(path.Dir(name)); err != nil {
		return err
	}
	to := path.Join(u.dir, name)
	switch header.Typeflag {
	case tar.TypeDir:
		return u.parents(name)
	case tar.TypeSymlink:
		return u.at.symlink(header.Linkname, to)
	case tar.TypeLink:
		from, ok := u.within(header.Linkname)
		if !ok {
			return fmt.Errorf("the archive has %q as a link to %q, which is not in its directory", header.Name, header.Linkname)
		}
		u.links = append(u.links, hardLink{from: from, to: name})
		return nil
	case tar.TypeReg:
		mode := header.FileInfo().Mode().Perm() | 0o644
		if header.Size > small {
			return u.at.write(to, in, header.Size, mode, header.ModTime)
		}
		data := make([]byte, header.Size)
		if _, err := io.ReadFull(in, data); err != nil {
			return fmt.Errorf("the archive does not read: %w", err)
		}
		u.group.Go(func() error { return u.at.write(to, bytes.NewReader(data), header.Size, mode, header.ModTime) })
	}
	return nil
}

// parents makes a directory of the tree, and those above it.
func (u *unpacking) parents(name string) error {
	if u.made[name] {
		return nil
	}
	if err := u.parents(path.Dir(name)); err != nil {
		return err
	}
	u.made[name] = true
	full := path.Join(u.dir, name)
	if err := u.at.makeDir(full); err != nil {
		return err
	}
	return u.at.chmod(full, treeDir)
}

// shareTree gives the tree at to all that the tree at from has and it has not.
func shareTree(ctx context.Context, at place, from, to string) error {
	if _, err := at.list(ctx, from); err != nil {
		return err
	}
	if err := newDir(at, to); err != nil {
		return err
	}
	for level := []string{"."}; len(level) > 0; {
		next, err := shareLevel(ctx, at, from, to, level)
		if err != nil {
			return err
		}
		level = next
	}
	return nil
}

// shareLevel does that for what lies in some directories, and gives those that lie in them.
func shareLevel(ctx context.Context, at place, from, to string, dirs []string) ([]string, error) {
	var mu sync.Mutex
	var below []string
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(many)
	looked, looking := errgroup.WithContext(ctx)
	looked.SetLimit(many / 2)
	for _, dir := range dirs {
		looked.Go(func() error {
			here, there, err := both(looking, at, path.Join(from, dir), path.Join(to, dir))
			if err != nil {
				return err
			}
			for _, info := range here {
				name, has := path.Join(dir, info.Name()), there[info.Name()]
				switch {
				case info.IsDir() && (has == nil || has.IsDir()):
					mu.Lock()
					below = append(below, name)
					mu.Unlock()
					if has == nil {
						group.Go(func() error { return newDir(at, path.Join(to, name)) })
					}
				case has == nil:
					group.Go(func() error { return give(ctx, at, info, path.Join(from, name), path.Join(to, name)) })
				}
			}
			return nil
		})
	}
	err := looked.Wait()
	return below, errors.Join(err, group.Wait())
}

// both lists a directory of each tree.
func both(ctx context.Context, at place, from, to string) (here []fs.FileInfo, there map[string]fs.FileInfo, err error) {
	there = map[string]fs.FileInfo{}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() (err error) { here, err = at.list(ctx, from); return })
	group.Go(func() error {
		infos, err := at.list(ctx, to)
		for _, info := range infos {
			there[info.Name()] = info
		}
		return err
	})
	return here, there, group.Wait()
}

func newDir(at place, name string) error {
	err := at.makeDir(name)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return at.chmod(name, treeDir)
}

// give makes a file or a link of one tree in another.
func give(ctx context.Context, at place, info fs.FileInfo, from, to string) error {
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		target, err := at.readlink(from)
		if err != nil {
			return err
		}
		return unlessThere(at, to, at.symlink(target, to))
	case info.Mode().IsRegular():
		return share(at, from, to)
	}
	return nil
}

// share links a file, or copies it where that cannot be: another file system, one without links, or a file of another user's.
func share(at place, from, to string) error {
	err := unlessThere(at, to, at.link(from, to))
	if err == nil {
		return nil
	}
	info, looked := at.lstat(from)
	if looked != nil {
		return looked
	}
	if failed := at.copy(from, to, info); failed != nil {
		return fmt.Errorf("it can neither be linked (%w) nor copied: %w", err, failed)
	}
	return nil
}

// unlessThere drops an error about what is there: SFTP 3 has one code for that and others.
func unlessThere(at place, name string, err error) error {
	if err == nil {
		return nil
	}
	if _, there := at.lstat(name); there == nil {
		return nil
	}
	return err
}
