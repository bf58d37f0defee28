package bolt

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	bbolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// Errors of the whole file; test with errors.Is.
var (
	ErrNoStore = errors.New("there is no store")
	ErrExists  = errors.New("there is a store already")
)

// compactBatch is how much is copied in one transaction, in bytes.
const compactBatch = 1 << 20

// Backup writes all that is kept into another file, as it is at one moment, and gives its size in bytes. The file is there whole and
// checked, or not at all. Others can read meanwhile, and whoever holds the store can write, too. A store that does not exist is
// ErrNoStore.
func (s *Store) Backup(path string) (bytes int64, err error) {
	if same, err := sameFile(s.path, path); err != nil || same {
		return 0, errors.Join(err, s.misuse(same, "a backup into the store itself would be none: name another file"))
	}
	if err := s.exists(); err != nil {
		return 0, err
	}
	err = replace(path, func(half string) error {
		err := s.view(func(tx *bbolt.Tx) error {
			file, err := os.OpenFile(half, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
			if err != nil {
				return err
			}
			bytes, err = tx.WriteTo(file)
			return errors.Join(err, file.Sync(), file.Close())
		})
		if err != nil {
			return err
		}
		return checkFile(half, s.timeout)
	})
	return bytes, err
}

// Restore puts a backup in the place of the store at path. The backup is checked first, and one of a newer kamald is refused, as is a
// store that another process has open. Where there is a store, force is needed, and it is kept: beside is its new name, "" when there
// was none.
func Restore(path, backup string, force bool) (beside string, err error) {
	if same, err := sameFile(path, backup); err != nil || same {
		return "", errors.Join(err, (&Store{path: path}).misuse(same, "it is the backup itself"))
	}
	if err := checkFile(backup, DefaultTimeout); err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", err
	}
	info, err := os.Stat(path)
	there := err == nil && info.Size() > 0
	if there && !force {
		return "", fmt.Errorf("%w at %s: --force puts the backup in its place, and keeps it beside", ErrExists, path)
	}
	if there {
		release, err := hold(path)
		if err != nil {
			return "", (&Store{path: path}).explain(err)
		}
		defer release()
		beside = path + ".before-" + time.Now().UTC().Format("20060102T150405.000Z")
	}
	err = replace(path, func(half string) error {
		if err := copyFile(backup, half); err != nil {
			return err
		}
		if beside == "" {
			return nil
		}
		if err := os.Link(path, beside); err != nil { // so that there is a store at every moment
			return os.Rename(path, beside) // a file system without links
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	return beside, nil
}

// Compact writes the file anew without what is free in it, and gives its size before and after, in bytes. Whoever else needs the store
// waits. A store that does not exist is ErrNoStore; one that is held cannot be compacted.
func (s *Store) Compact() (before, after int64, err error) {
	if err := s.exists(); err != nil {
		return 0, 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held != nil || s.closed {
		return 0, 0, s.misuse(true, "it is held open, or closed: compact it when no daemon runs")
	}
	err = s.guard(func() (err error) {
		from, err := s.openWrite()
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, from.Close()) }()
		if err := s.initialise(from); err != nil {
			return err
		}
		if before, err = sizeOf(s.path); err != nil {
			return err
		}
		err = replace(s.path, func(half string) error {
			to, err := bbolt.Open(half, 0o600, &bbolt.Options{Timeout: s.timeout})
			if err != nil {
				return err
			}
			if err := errors.Join(bbolt.Compact(to, from, compactBatch), to.Close()); err != nil {
				return err
			}
			return checkFile(half, s.timeout)
		})
		if err != nil {
			return err
		}
		after, err = sizeOf(s.path)
		return err
	})
	return before, after, s.explain(err)
}

// exists tells by ErrNoStore that nothing was ever kept.
func (s *Store) exists() error {
	if size, err := sizeOf(s.path); errors.Is(err, fs.ErrNotExist) || err == nil && size == 0 {
		return fmt.Errorf("%w at %s: nothing was kept there yet", ErrNoStore, s.path)
	}
	return nil
}

func (s *Store) misuse(is bool, why string) error {
	if !is {
		return nil
	}
	return &explained{fmt.Errorf("the store %s: %s", s.path, why)}
}

// checkFile reads all of a file that is to be a store. Unlike of a store that is used, a file without any content is none.
func checkFile(path string, timeout time.Duration) error {
	s, err := OpenWith(path, Options{Timeout: timeout})
	if err != nil {
		return err
	}
	if _, err := sizeOf(path); err != nil {
		return err
	}
	if err := s.exists(); err != nil {
		return err
	}
	err = s.view(func(tx *bbolt.Tx) error {
		if tx.Bucket(bucketMeta) == nil {
			return fmt.Errorf("it has no schema: %w", bolterrors.ErrInvalid)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return s.Check()
}

// replace has a file written under another name beside path, and puts it in its place when it is complete and on the disk.
func replace(path string, write func(half string) error) (err error) {
	half := fmt.Sprintf("%s.half-%d", path, os.Getpid())
	if err := os.Remove(half); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err // of a process that died, and had the same number
	}
	defer func() {
		if err != nil {
			_ = os.Remove(half) // what was wrong is said already
		}
	}()
	if err := write(half); err != nil {
		return err
	}
	if err := os.Rename(half, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func copyFile(from, to string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }() // it was only read
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Sync(), out.Close())
}

// syncDir has a name that is new in a directory survive a loss of power.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	_ = d.Sync() // some file systems cannot, and need not
	return d.Close()
}

func sizeOf(path string) (int64, error) {
	info, err := os.Stat(path)
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// sameFile tells whether two names are of one file.
func sameFile(a, b string) (bool, error) {
	one, err := os.Stat(a)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	} else if err != nil {
		return false, err
	}
	other, err := os.Stat(b)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && os.SameFile(one, other), err
}
