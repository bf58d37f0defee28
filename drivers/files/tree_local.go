package files

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Unpack makes a directory of a tar archive.
func (l *Local) Unpack(ctx context.Context, dir string, archive io.Reader) error {
	dir, err := l.at(ctx, dir)
	if err != nil {
		return err
	}
	return unpack(ctx, here{}, dir, archive)
}

// Share gives one tree what another has.
func (l *Local) Share(ctx context.Context, from, to string) error {
	from, err := l.at(ctx, from)
	if err != nil {
		return err
	}
	if to, err = l.at(ctx, to); err != nil {
		return err
	}
	return shareTree(ctx, here{}, from, to)
}

// here is this machine as a place.
type here struct{}

func (here) makeDir(name string) error {
	err := os.Mkdir(name, treeDir)
	if errors.Is(err, fs.ErrNotExist) {
		if err := os.MkdirAll(filepath.Dir(name), dirMode); err != nil {
			return err
		}
		err = os.Mkdir(name, treeDir)
	}
	return err
}

func (here) chmod(name string, mode fs.FileMode) error { return os.Chmod(name, mode) }

func (here) write(name string, content io.Reader, _ int64, mode fs.FileMode, mod time.Time) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, content)
	return errors.Join(err, f.Chmod(mode), f.Close(), os.Chtimes(name, mod, mod))
}

func (here) symlink(target, name string) error    { return os.Symlink(target, name) }
func (here) link(from, to string) error           { return os.Link(from, to) }
func (here) readlink(name string) (string, error) { return os.Readlink(name) }

func (h here) copy(from, to string, info fs.FileInfo) error {
	f, err := os.Open(from)
	if err != nil {
		return err
	}
	defer f.Close()
	temp := temporary(to)
	if err := h.write(temp, f, info.Size(), info.Mode().Perm(), info.ModTime()); err != nil {
		return errors.Join(err, unlessGone(os.Remove(temp)))
	}
	return os.Rename(temp, to)
}

func (here) lstat(name string) (fs.FileInfo, error) { return os.Lstat(name) }

func (here) list(_ context.Context, dir string) ([]fs.FileInfo, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	infos := make([]fs.FileInfo, 0, len(entries))
	for _, entry := range entries {
		info, err := entry.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		infos = append(infos, info)
	}
	return infos, nil
}
