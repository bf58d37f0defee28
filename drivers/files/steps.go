package files

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"github.com/pkg/sftp"
	"golang.org/x/sync/errgroup"

	"github.com/kamald/kamald/state"
)

// readFile asks for size and handle at once, then for the content and what lies behind it at once: two round trips, where
// reading to the end takes three or more. Closing is not waited for.
func readFile(c *sftp.Client, name string) ([]byte, error) {
	type stated struct {
		info fs.FileInfo
		err  error
	}
	infos := make(chan stated, 1)
	go func() {
		info, err := c.Stat(name)
		infos <- stated{info, err}
	}()
	f, err := c.Open(name)
	looked := <-infos
	if err != nil {
		return nil, err
	}
	defer func() { go f.Close() }()
	if looked.err != nil {
		return nil, looked.err
	}
	if looked.info.IsDir() {
		return nil, state.ErrDirectory
	}
	size := looked.info.Size()
	if size > readLimit {
		return nil, fmt.Errorf("it has %d bytes, and %d are read at most", size, readLimit)
	}
	longer := make(chan bool, 1)
	go func() {
		n, _ := f.ReadAt(make([]byte, 1), size)
		longer <- n > 0
	}()
	data := make([]byte, size)
	n, err := f.ReadAt(data, 0)
	grown := <-longer
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if !grown {
		return data[:n], nil
	}
	return readAll(f) // it was replaced or grew between the two questions, or has no size, as files of /proc
}

// readAll reads from the beginning to the end.
func readAll(f *sftp.File) ([]byte, error) {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, readLimit+1))
	if err != nil {
		return nil, err
	}
	if len(data) > readLimit {
		return nil, fmt.Errorf("it has more than %d bytes", readLimit)
	}
	return data, nil
}

// writeFile writes beside the file and renames: nobody ever sees half of it, or another mode.
func writeFile(c *sftp.Client, name string, data []byte, mode fs.FileMode) (err error) {
	temp := temporary(name)
	f, err := openMode(c, temp, os.O_WRONLY|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = c.Remove(temp) // the first error is the one to tell
		}
	}()
	if _, err := f.Write(data); err != nil {
		return errors.Join(err, f.Close())
	}
	if _, offered := c.HasExtension("fsync@openssh.com"); offered {
		if err := f.Sync(); err != nil {
			return errors.Join(err, f.Close())
		}
	}
	if err := f.Close(); err != nil {
		return err
	}
	return rename(c, temp, name)
}

// openMode opens a file to write, making it (and its directories, when they are missing) and giving it its mode while it is
// still empty. A file that was there keeps its mode.
func openMode(c *sftp.Client, name string, flags int, mode fs.FileMode) (*sftp.File, error) {
	if flags&os.O_EXCL == 0 {
		if f, err := c.OpenFile(name, flags); !errors.Is(err, fs.ErrNotExist) {
			return f, err
		}
	}
	f, err := c.OpenFile(name, flags|os.O_CREATE)
	if errors.Is(err, fs.ErrNotExist) {
		if err := mkdirAll(c, path.Dir(name)); err != nil {
			return nil, err
		}
		f, err = c.OpenFile(name, flags|os.O_CREATE)
	}
	if err != nil {
		return nil, err
	}
	if err := f.Chmod(mode.Perm()); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// rename replaces what is there, where the server can.
func rename(c *sftp.Client, from, to string) error {
	if _, offered := c.HasExtension("posix-rename@openssh.com"); offered {
		return c.PosixRename(from, to)
	}
	return c.Rename(from, to)
}

// mkdirAll makes a directory and its parents, 0700 whatever the user's mask is.
func mkdirAll(c *sftp.Client, name string) error {
	if name == "." || name == "/" {
		return nil
	}
	err := c.Mkdir(name)
	if errors.Is(err, fs.ErrNotExist) {
		if err := mkdirAll(c, path.Dir(name)); err != nil {
			return err
		}
		err = c.Mkdir(name)
	}
	if err == nil {
		return c.Chmod(name, dirMode)
	}
	if info, there := c.Stat(name); there == nil && info.IsDir() {
		return nil
	}
	return err
}

// removeAll removes the leaves first, many at once. What is gone already, or was taken away meanwhile, is no error.
func removeAll(ctx context.Context, c *sftp.Client, name string) error {
	if clean := path.Clean(name); clean == "/" || clean == "." || clean == ".." || strings.HasSuffix(clean, "/..") {
		return fmt.Errorf("%q is not removed: it is no thing of ours", name)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	info, err := c.Lstat(name)
	if err != nil {
		return unlessGone(err)
	}
	if !info.IsDir() {
		return unlessGone(c.Remove(name))
	}
	return removeDir(ctx, c, name)
}

// removeDir removes a directory: its files at once, then what lies in it as a directory, one after another.
func removeDir(ctx context.Context, c *sftp.Client, name string) error {
	entries, err := c.ReadDirContext(ctx, name)
	if err != nil {
		return unlessGone(err)
	}
	var leaves errgroup.Group
	leaves.SetLimit(many)
	for _, entry := range entries {
		if !entry.IsDir() {
			leaves.Go(func() error { return unlessGone(c.Remove(path.Join(name, entry.Name()))) })
		}
	}
	if err := leaves.Wait(); err != nil {
		return err
	}
	for _, entry := range entries {
		if !entry.IsDir() {
			continue
		}
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		if err := removeDir(ctx, c, path.Join(name, entry.Name())); err != nil {
			return err
		}
	}
	return unlessGone(c.RemoveDirectory(name))
}
