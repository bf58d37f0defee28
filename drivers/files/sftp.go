// Package files is the file system of a host, over SFTP or straight on this machine, with few round trips.
package files

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"sync"
	"time"

	"github.com/pkg/sftp"

	"github.com/kamald/kamald/state"
)

// readLimit is how much of a file is read at most.
const readLimit = 4 << 20

// Modes of what is made.
const (
	dirMode    fs.FileMode = 0o700
	appendMode fs.FileMode = 0o600
)

// SFTP is a host's file system over SFTP. It is safe for concurrent use. A relative path begins at the user's home. Its methods
// are those that reconcile.Files describes.
type SFTP struct {
	open func(ctx context.Context) (*sftp.Client, error)

	mu   sync.Mutex
	home string
}

// NewSFTP makes it on a function that gives the connection's SFTP client; it is asked again for each call, so that a client
// that has ended can be replaced.
func NewSFTP(open func(ctx context.Context) (*sftp.Client, error)) *SFTP { return &SFTP{open: open} }

// Home is the absolute path that relative paths begin at; asked for once.
func (s *SFTP) Home(ctx context.Context) (string, error) {
	s.mu.Lock()
	home := s.home
	s.mu.Unlock()
	if home != "" {
		return home, nil
	}
	home, err := do(ctx, s, "find the home directory", "", func(c *sftp.Client) (string, error) { return c.Getwd() })
	if err == nil {
		s.mu.Lock()
		s.home = home
		s.mu.Unlock()
	}
	return home, err
}

// Read reads a whole file, at most 4 MiB, in two round trips.
func (s *SFTP) Read(ctx context.Context, name string) ([]byte, error) {
	return do(ctx, s, "read", name, func(c *sftp.Client) ([]byte, error) { return readFile(c, name) })
}

// Write puts a file there in one go.
func (s *SFTP) Write(ctx context.Context, name string, data []byte, mode fs.FileMode) error {
	return act(ctx, s, "write", name, func(c *sftp.Client) error {
		return whyNotWritten(c, name, len(data), writeFile(c, name, data, mode))
	})
}

// Mkdir makes a directory exclusively.
func (s *SFTP) Mkdir(ctx context.Context, name string) error {
	return act(ctx, s, "make directory", name, func(c *sftp.Client) error {
		err := c.Mkdir(name)
		if errors.Is(err, fs.ErrNotExist) && path.Dir(name) != name {
			if err := mkdirAll(c, path.Dir(name)); err != nil {
				return err
			}
			err = c.Mkdir(name)
		}
		if err != nil && !errors.Is(err, fs.ErrPermission) && !errors.Is(err, fs.ErrNotExist) {
			// SFTP 3 has one code for every other failure.
			if _, there := c.Lstat(name); there == nil {
				return fs.ErrExist
			}
		}
		return err
	})
}

// Rename gives a file or directory another name; a file of that name is replaced.
func (s *SFTP) Rename(ctx context.Context, from, to string) error {
	return act(ctx, s, "rename", from+" to "+to, func(c *sftp.Client) error {
		err := rename(c, from, to)
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission) {
			if _, there := c.Lstat(to); there == nil { // a directory that is not empty, of which SFTP 3 has no word
				return fs.ErrExist
			}
		}
		return err
	})
}

// Append adds to a file's end. Servers that know no appending write where they are told, so the end is looked up as well.
func (s *SFTP) Append(ctx context.Context, name string, data []byte) error {
	return act(ctx, s, "append to", name, func(c *sftp.Client) error {
		sizes := make(chan int64, 1)
		go func() {
			info, err := c.Stat(name)
			if err != nil {
				sizes <- 0 // there is none yet; another cause is what opening says
				return
			}
			sizes <- info.Size()
		}()
		f, err := openMode(c, name, os.O_WRONLY|os.O_APPEND, appendMode)
		end := <-sizes
		if err != nil {
			return err
		}
		_, err = f.WriteAt(data, end)
		return whyNotWritten(c, name, len(data), errors.Join(err, f.Close()))
	})
}

// Remove takes a file, or a directory with all that is in it. Links are removed, not followed.
func (s *SFTP) Remove(ctx context.Context, name string) error {
	return act(ctx, s, "remove", name, func(c *sftp.Client) error { return removeAll(ctx, c, name) })
}

// List gives the names in a directory, sorted.
func (s *SFTP) List(ctx context.Context, name string) ([]string, error) {
	return do(ctx, s, "list", name, func(c *sftp.Client) ([]string, error) {
		entries, err := c.ReadDirContext(ctx, name)
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
	})
}

// Modified is the file's time by that host's clock.
func (s *SFTP) Modified(ctx context.Context, name string) (time.Time, error) {
	return do(ctx, s, "look at", name, func(c *sftp.Client) (time.Time, error) {
		info, err := c.Stat(name)
		if err != nil {
			return time.Time{}, err
		}
		return info.ModTime(), nil
	})
}

// Touch sets a file's time to that host's now. SFTP can only set times by this machine's clock, so the first byte is written
// again as it is; the content is never shorter than it was, and never another.
func (s *SFTP) Touch(ctx context.Context, name string) error {
	return act(ctx, s, "touch", name, func(c *sftp.Client) error {
		f, err := c.OpenFile(name, os.O_RDWR)
		if err != nil {
			return err
		}
		first := make([]byte, 1)
		n, err := f.ReadAt(first, 0)
		switch {
		case n == 1:
			_, err = f.WriteAt(first, 0)
		case errors.Is(err, io.EOF):
			err = f.Truncate(0) // an empty file's time is set by that
		}
		return errors.Join(err, f.Close())
	})
}

// Stat gives the permissions and the owner of a file or a directory.
func (s *SFTP) Stat(ctx context.Context, name string) (state.File, error) {
	return do(ctx, s, "look at", name, func(c *sftp.Client) (state.File, error) {
		info, err := c.Stat(name)
		if err != nil {
			return state.File{}, err
		}
		stat, ok := info.Sys().(*sftp.FileStat)
		if !ok {
			return state.File{}, errors.New("the server does not say whose it is")
		}
		return state.Lying(info.Mode(), int(stat.UID), int(stat.GID)), nil
	})
}

// Chmod sets the permissions of a file or a directory.
func (s *SFTP) Chmod(ctx context.Context, name string, mode fs.FileMode) error {
	return act(ctx, s, "set the permissions of", name, func(c *sftp.Client) error { return c.Chmod(name, mode) })
}

// Chown gives a file or a directory to a user and a group; -1 leaves one as it is.
func (s *SFTP) Chown(ctx context.Context, name string, user, group int) error {
	return act(ctx, s, "give away", name, func(c *sftp.Client) error {
		if user < 0 || group < 0 { // SFTP sets both or none
			is, err := c.Stat(name)
			if err != nil {
				return err
			}
			if stat, ok := is.Sys().(*sftp.FileStat); ok {
				user, group = orElse(user, int(stat.UID)), orElse(group, int(stat.GID))
			}
		}
		return c.Chown(name, user, group)
	})
}

func orElse(given, otherwise int) int {
	if given < 0 {
		return otherwise
	}
	return given
}

// Free is the number of bytes that are free for the user on the file system of a path, and its size; -1 and 0 when the server cannot say.
func (s *SFTP) Free(ctx context.Context, name string) (free, size int64, err error) {
	type room struct{ free, size int64 }
	found, err := do(ctx, s, "ask for free space at", name, func(c *sftp.Client) (room, error) {
		if _, offered := c.HasExtension("statvfs@openssh.com"); !offered {
			return room{free: -1}, nil
		}
		stat, err := c.StatVFS(name)
		if err != nil {
			return room{}, err
		}
		return room{free: int64(stat.Frsize * stat.Bavail), size: int64(stat.Frsize * stat.Blocks)}, nil
	})
	return found.free, found.size, err
}

// do runs one call; it stops waiting when ctx ends, since SFTP requests know no context.
func do[T any](ctx context.Context, s *SFTP, verb, name string, call func(c *sftp.Client) (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	results := make(chan result, 1)
	go func() {
		var r result
		client, err := s.open(ctx)
		if err != nil {
			r.err = err
		} else {
			r.value, r.err = call(client)
		}
		results <- r
	}()
	var r result
	select {
	case r = <-results:
	case <-ctx.Done():
		r.err = context.Cause(ctx)
	}
	if r.err == nil {
		return r.value, nil
	}
	if name != "" {
		verb += " " + name
	}
	if lost(r.err) {
		r.err = s.whyLost(r.err)
		return r.value, fmt.Errorf("%s: %w: %w", verb, state.ErrUnreachable, r.err)
	}
	return r.value, fmt.Errorf("%s: %w", verb, r.err)
}

func act(ctx context.Context, s *SFTP, verb, name string, call func(c *sftp.Client) error) error {
	_, err := do(ctx, s, verb, name, func(c *sftp.Client) (struct{}, error) { return struct{}{}, call(c) })
	return err
}

// whyLost finds out why the connection ended, which shows as no more than its end: what refuses another client has ended this
// one.
func (s *SFTP) whyLost(err error) error {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, state.ErrUnreachable) {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second) // the call's own may have ended
	defer cancel()
	if _, why := s.open(ctx); why != nil {
		return why
	}
	return err
}

// lost tells whether it is not known what became of the call.
func lost(err error) bool {
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, sftp.ErrSSHFxConnectionLost) || errors.Is(err, io.EOF) ||
		errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, sftp.ErrSSHFxNoConnection)
}

// temporary is a name beside a file that nobody else uses.
func temporary(name string) string {
	return path.Join(path.Dir(name), "."+path.Base(name)+"."+rand.Text()[:12])
}
