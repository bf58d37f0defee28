package files

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/kamald/kamald/state"
)

// Local is this machine's file system, for host `local`. A relative path begins at the user's home. Its methods are those that
// reconcile.Files describes.
type Local struct{ root string }

// NewLocal makes it for the user that kamald runs as.
func NewLocal() *Local { return &Local{} }

// Home is the absolute path that relative paths begin at.
func (l *Local) Home(context.Context) (string, error) {
	if l.root != "" {
		return l.root, nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("find the home directory: %w", err)
	}
	return home, nil
}

// Read reads a whole file, at most 4 MiB.
func (l *Local) Read(ctx context.Context, name string) ([]byte, error) {
	name, err := l.at(ctx, name)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.IsDir() {
		return nil, fmt.Errorf("read %s: %w", name, state.ErrDirectory)
	}
	data, err := io.ReadAll(io.LimitReader(f, readLimit+1))
	if err == nil && len(data) > readLimit {
		err = fmt.Errorf("read %s: it has more than %d bytes", name, readLimit)
	}
	if err != nil {
		return nil, err
	}
	return data, nil
}

// Write puts a file there in one go.
func (l *Local) Write(ctx context.Context, name string, data []byte, mode fs.FileMode) (err error) {
	name, err = l.at(ctx, name)
	if err != nil {
		return err
	}
	temp := temporary(name)
	f, err := create(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(temp)
		}
	}()
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(temp, name)
}

// Mkdir makes a directory exclusively.
func (l *Local) Mkdir(ctx context.Context, name string) error {
	name, err := l.at(ctx, name)
	if err != nil {
		return err
	}
	err = os.Mkdir(name, dirMode)
	if errors.Is(err, fs.ErrNotExist) {
		if err := os.MkdirAll(filepath.Dir(name), dirMode); err != nil {
			return err
		}
		err = os.Mkdir(name, dirMode)
	}
	return err
}

// Rename gives a file or directory another name; a file of that name is replaced.
func (l *Local) Rename(ctx context.Context, from, to string) error {
	from, err := l.at(ctx, from)
	if err != nil {
		return err
	}
	if to, err = l.at(ctx, to); err != nil {
		return err
	}
	return os.Rename(from, to)
}

// Append adds to a file's end.
func (l *Local) Append(ctx context.Context, name string, data []byte) error {
	name, err := l.at(ctx, name)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_APPEND, 0)
	if errors.Is(err, fs.ErrNotExist) {
		f, err = create(name, os.O_WRONLY|os.O_APPEND|os.O_CREATE, appendMode)
	}
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Close())
}

// Remove takes a file, or a directory with all that is in it.
func (l *Local) Remove(ctx context.Context, name string) error {
	if clean := path.Clean(name); clean == "/" || clean == "." || clean == ".." || strings.HasSuffix(clean, "/..") {
		return fmt.Errorf("remove %q: it is no thing of ours", name)
	}
	name, err := l.at(ctx, name)
	if err != nil {
		return err
	}
	return os.RemoveAll(name)
}

// List gives the names in a directory, sorted.
func (l *Local) List(ctx context.Context, name string) ([]string, error) {
	name, err := l.at(ctx, name)
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	names := make([]string, len(entries))
	for i, entry := range entries {
		names[i] = entry.Name()
	}
	slices.Sort(names)
	return names, nil
}

// Modified is the file's time.
func (l *Local) Modified(ctx context.Context, name string) (time.Time, error) {
	name, err := l.at(ctx, name)
	if err != nil {
		return time.Time{}, err
	}
	info, err := os.Stat(name)
	if err != nil {
		return time.Time{}, err
	}
	return info.ModTime(), nil
}

// Touch sets a file's time to now.
func (l *Local) Touch(ctx context.Context, name string) error {
	name, err := l.at(ctx, name)
	if err != nil {
		return err
	}
	now := time.Now()
	return os.Chtimes(name, now, now)
}

// Stat gives the permissions and the owner of a file or a directory.
func (l *Local) Stat(ctx context.Context, name string) (state.File, error) {
	name, err := l.at(ctx, name)
	if err != nil {
		return state.File{}, err
	}
	info, err := os.Stat(name)
	if err != nil {
		return state.File{}, err
	}
	user, group := owner(info)
	return state.Lying(info.Mode(), user, group), nil
}

// Chmod sets the permissions of a file or a directory.
func (l *Local) Chmod(ctx context.Context, name string, mode fs.FileMode) error {
	name, err := l.at(ctx, name)
	if err != nil {
		return err
	}
	return os.Chmod(name, mode)
}

// Chown gives a file or a directory to a user and a group; -1 leaves one as it is.
func (l *Local) Chown(ctx context.Context, name string, user, group int) error {
	name, err := l.at(ctx, name)
	if err != nil {
		return err
	}
	return os.Chown(name, user, group)
}

// Free is the number of bytes that are free for the user on the file system of a path, and its size.
func (l *Local) Free(ctx context.Context, name string) (room, size int64, err error) {
	name, err = l.at(ctx, name)
	if err != nil {
		return 0, 0, err
	}
	return free(name)
}

// at makes a path absolute, and refuses to begin when ctx has ended.
func (l *Local) at(ctx context.Context, name string) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	if filepath.IsAbs(name) {
		return name, nil
	}
	home, err := l.Home(ctx)
	if err != nil {
		return "", err
	}
	return filepath.Join(home, name), nil
}

// create makes a file with exactly this mode, whatever the user's mask is, and its directories when they are missing.
func create(name string, flags int, mode fs.FileMode) (*os.File, error) {
	f, err := os.OpenFile(name, flags, mode.Perm())
	if errors.Is(err, fs.ErrNotExist) {
		if err := os.MkdirAll(filepath.Dir(name), dirMode); err != nil {
			return nil, err
		}
		f, err = os.OpenFile(name, flags, mode.Perm())
	}
	if err != nil {
		return nil, err
	}
	if err := f.Chmod(mode.Perm()); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
