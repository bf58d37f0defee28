package bolt

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"

	bbolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/kamald/kamald/state"
)

// errUnchanged ends a writing transaction that has nothing to write.
var errUnchanged = errors.New("unchanged")

// Check reads the whole file: bbolt's own structure, the schema, and that every value reads.
func (s *Store) Check() error {
	apps, err := s.Apps()
	if err != nil {
		return err
	}
	var errs []error
	errs = append(errs, s.view(func(tx *bbolt.Tx) error {
		var found []error
		for err := range tx.Check() {
			found = append(found, fmt.Errorf("%w: %w", bolterrors.ErrInvalid, err))
		}
		return errors.Join(found...)
	}))
	for _, app := range apps {
		_, _, err := s.Snapshot(app)
		errs = append(errs, err)
		_, err = s.Releases(app)
		errs = append(errs, err)
		_, err = s.Plans(app, 0)
		errs = append(errs, err)
		_, err = list[state.Event](s, app, bucketEvents, 0)
		errs = append(errs, err)
		_, _, err = s.Watch(app)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// Writable tells why nothing can be kept in the file; nil: something can. A file that is not there is made.
func (s *Store) Writable() error {
	return s.update(func(*bbolt.Tx) error { return errUnchanged })
}

// view runs one reading transaction. A file that is not there is an empty store, and is not made.
func (s *Store) view(do func(*bbolt.Tx) error) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return fmt.Errorf("the store %s is closed", s.path)
	}
	if s.held != nil {
		return s.explain(s.guard(func() error { return s.held.View(do) }))
	}
	info, err := os.Stat(s.path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && info.Size() == 0 {
		return nil // an empty file is what a process that died at its first write leaves behind
	}
	return s.explain(s.guard(func() (err error) {
		db, err := s.open(true)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, db.Close()) }()
		return db.View(func(tx *bbolt.Tx) error {
			if err := s.checkSchema(tx); err != nil {
				return err
			}
			return do(tx)
		})
	}))
}

// update runs one writing transaction, all of it or nothing.
func (s *Store) update(do func(*bbolt.Tx) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return fmt.Errorf("the store %s is closed", s.path)
	}
	err := s.guard(func() (err error) {
		db := s.held
		if db == nil {
			if db, err = s.openWrite(); err != nil {
				return err
			}
			defer func() { err = errors.Join(err, db.Close()) }()
			if err := s.initialise(db); err != nil {
				return err
			}
		}
		return db.Update(do)
	})
	if errors.Is(err, errUnchanged) {
		return nil
	}
	return s.explain(err)
}

func (s *Store) openWrite() (*bbolt.DB, error) {
	if err := os.MkdirAll(filepath.Dir(s.path), 0o700); err != nil {
		return nil, s.explain(err)
	}
	db, err := s.open(false)
	if err != nil {
		return nil, s.explain(err)
	}
	return db, nil
}

// open opens the file and takes its lock. Whoever had that before may have put another file in its place, and what was written to the
// old one would be lost: then the new one is opened.
func (s *Store) open(readOnly bool) (*bbolt.DB, error) {
	for {
		var file *os.File
		db, err := bbolt.Open(s.path, 0o600, &bbolt.Options{Timeout: s.timeout, ReadOnly: readOnly,
			OpenFile: func(name string, flag int, mode os.FileMode) (opened *os.File, err error) {
				opened, err = os.OpenFile(name, flag, mode)
				file = opened
				return opened, err
			}})
		if err != nil {
			return nil, err
		}
		mine, err := file.Stat()
		there, otherwise := os.Stat(s.path)
		if err != nil || otherwise != nil || os.SameFile(mine, there) {
			return db, nil
		}
		if err := db.Close(); err != nil {
			return nil, err
		}
	}
}

// initialise writes the schema into a new file and refuses one that it does not know.
func (s *Store) initialise(db *bbolt.DB) error {
	fresh := false
	err := db.View(func(tx *bbolt.Tx) error {
		fresh = tx.Bucket(bucketMeta) == nil
		return s.checkSchema(tx)
	})
	if err != nil || !fresh {
		return s.explain(err)
	}
	return s.explain(db.Update(func(tx *bbolt.Tx) error {
		meta, err := tx.CreateBucketIfNotExists(bucketMeta)
		if err != nil {
			return err
		}
		return meta.Put(keySchema, []byte(strconv.Itoa(Schema)))
	}))
}

func (s *Store) checkSchema(tx *bbolt.Tx) error {
	meta := tx.Bucket(bucketMeta)
	if meta == nil {
		if tx.Bucket(bucketApps) != nil {
			return bolterrors.ErrInvalid
		}
		return nil
	}
	text := string(meta.Get(keySchema))
	version, err := strconv.Atoi(text)
	if err != nil || version < 1 {
		return fmt.Errorf("its schema is %q: %w", text, bolterrors.ErrInvalid)
	}
	if version > Schema {
		return &explained{fmt.Errorf("the store %s was written by a newer kamald (schema %d; this one knows %d): upgrade this kamald, "+
			"or give it another file with --store FILE", s.path, version, Schema)}
	}
	return nil
}

// guard turns a panic or a fault over a damaged file, which is mapped into memory, into an error.
func (s *Store) guard(do func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: %v", bolterrors.ErrInvalid, r)
		}
	}()
	return do()
}

// explained marks an error that says already what to do.
type explained struct{ error }

func (e *explained) Unwrap() error { return e.error }

// outOfRoom tells what writing to a full disk gives, or beyond what a user may have on it. bbolt wraps it as a text where a file grows.
func outOfRoom(err error) bool {
	for _, full := range []error{syscall.ENOSPC, syscall.EDQUOT, syscall.EFBIG} {
		if errors.Is(err, full) || strings.HasSuffix(err.Error(), ": "+full.Error()) {
			return true
		}
	}
	return false
}

// explain says where it went wrong and what to do about it.
func (s *Store) explain(err error) error {
	var done *explained
	if err == nil || errors.As(err, &done) || errors.Is(err, errUnchanged) {
		return err
	}
	damaged := []error{bolterrors.ErrInvalid, bolterrors.ErrVersionMismatch, bolterrors.ErrChecksum, bolterrors.ErrInvalidMapping}
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		err = fmt.Errorf("the store %s is locked by another process (a running `kamald run`, or another command): wait for it to end, "+
			"or give another file with --store FILE: %w", s.path, err)
	case outOfRoom(err):
		err = fmt.Errorf("there is no room for the store %s, and nothing of it was written: make room on its disk: %w", s.path, err)
	case errors.Is(err, fs.ErrPermission):
		err = fmt.Errorf("no permission for the store %s: run as the user who owns it, or give another file with --store FILE: %w", s.path, err)
	case isAny(err, damaged):
		err = fmt.Errorf("%s is not a store of kamald, or is damaged: move it away (the servers have the truth, an empty store fills "+
			"itself again) or give another file with --store FILE: %w", s.path, err)
	default:
		err = fmt.Errorf("the store %s: %w", s.path, err)
	}
	return &explained{err}
}

func isAny(err error, targets []error) bool {
	for _, target := range targets {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}
