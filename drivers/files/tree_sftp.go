package files

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"time"

	"github.com/pkg/sftp"
)

// Unpack makes a directory of a tar archive.
func (s *SFTP) Unpack(ctx context.Context, dir string, archive io.Reader) error {
	return act(ctx, s, "unpack into", dir, func(c *sftp.Client) error { return unpack(ctx, server{c}, dir, archive) })
}

// Share gives one tree what another has.
func (s *SFTP) Share(ctx context.Context, from, to string) error {
	return act(ctx, s, "share", from+" with "+to, func(c *sftp.Client) error { return shareTree(ctx, server{c}, from, to) })
}

// server is a place over SFTP.
type server struct{ *sftp.Client }

func (s server) makeDir(name string) error {
	err := s.Client.Mkdir(name)
	if errors.Is(err, fs.ErrNotExist) && path.Dir(name) != name {
		if err := mkdirAll(s.Client, path.Dir(name)); err != nil {
			return err
		}
		err = s.Client.Mkdir(name)
	}
	if err != nil && !errors.Is(err, fs.ErrPermission) && !errors.Is(err, fs.ErrNotExist) {
		if info, there := s.Client.Lstat(name); there == nil && info.IsDir() {
			return fs.ErrExist
		}
	}
	return err
}

func (s server) chmod(name string, mode fs.FileMode) error { return s.Client.Chmod(name, mode) }

func (s server) write(name string, content io.Reader, size int64, mode fs.FileMode, mod time.Time) error {
	f, err := s.Client.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL)
	if err != nil {
		return err
	}
	modes := make(chan error, 1)
	go func() { modes <- f.Chmod(mode) }() // beside the writing: one round trip less
	_, err = f.ReadFrom(content)
	err = errors.Join(err, <-modes)
	times := make(chan error, 1)
	go func() { times <- s.Client.Chtimes(name, mod, mod) }()
	return whyNotWritten(s.Client, name, int(size), errors.Join(err, f.Close(), <-times))
}

func (s server) symlink(target, name string) error    { return s.Client.Symlink(target, name) }
func (s server) link(from, to string) error           { return s.Client.Link(from, to) }
func (s server) readlink(name string) (string, error) { return s.Client.ReadLink(name) }

func (s server) copy(from, to string, info fs.FileInfo) error {
	f, err := s.Client.Open(from)
	if err != nil {
		return err
	}
	defer f.Close()
	temp := temporary(to)
	if err := s.write(temp, f, info.Size(), info.Mode().Perm(), info.ModTime()); err != nil {
		return errors.Join(err, unlessGone(s.Client.Remove(temp)))
	}
	return rename(s.Client, temp, to)
}

func (s server) lstat(name string) (fs.FileInfo, error) { return s.Client.Lstat(name) }

func (s server) list(ctx context.Context, dir string) ([]fs.FileInfo, error) {
	return s.Client.ReadDirContext(ctx, dir)
}

func unlessGone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
