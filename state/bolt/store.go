// Package bolt keeps state.Store in one bbolt file. The file is opened for each transaction and closed after it, so that
// several commands and processes can share it; a daemon may hold it instead.
package bolt

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	bbolt "go.etcd.io/bbolt"

	"github.com/kamald/kamald/state"
)

// Schema is the version of the file's layout. A file with a higher one is refused.
const Schema = 1

// DefaultTimeout is how long a call waits for another process that has the file open.
const DefaultTimeout = 5 * time.Second

// The layout: meta holds the schema; apps holds a bucket for each app, and in it one for each kind of value.
var (
	bucketMeta     = []byte("meta")
	bucketApps     = []byte("apps")
	bucketSnapshot = []byte("snapshot")
	bucketReleases = []byte("releases") // number → record
	bucketPlans    = []byte("plans")    // time and nonce → plan
	bucketNonces   = []byte("nonces")   // nonce → key in plans
	bucketEvents   = []byte("events")   // sequence → event
	keySchema      = []byte("schema")
	keyNewest      = []byte("newest")
)

// Options are how a file is opened.
type Options struct {
	// Hold keeps the file open until Close, for a daemon: every other process is refused meanwhile.
	Hold bool
	// Timeout is how long to wait for another process; 0 is DefaultTimeout.
	Timeout time.Duration
}

// Store is a state.Store in one file.
type Store struct {
	path    string
	timeout time.Duration

	mu     sync.RWMutex // the file's own lock is polled for; within one process nobody need wait for that
	held   *bbolt.DB
	closed bool
}

var _ state.Store = (*Store)(nil)

// Open gives the store in the file at path. Nothing is opened and nothing made until a call needs it.
func Open(path string) (*Store, error) { return OpenWith(path, Options{}) }

// OpenWith is Open with options. With Hold the file is made and opened at once.
func OpenWith(path string, options Options) (*Store, error) {
	if path == "" {
		return nil, errors.New("the store has no path: give one with --store FILE")
	}
	s := &Store{path: path, timeout: options.Timeout}
	if s.timeout <= 0 {
		s.timeout = DefaultTimeout
	}
	if !options.Hold {
		return s, nil
	}
	db, err := s.openWrite()
	if err != nil {
		return nil, err
	}
	if err := s.initialise(db); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	s.held = db
	return s, nil
}

// SaveSnapshot implements state.Store.
func (s *Store) SaveSnapshot(snapshot state.Snapshot) error {
	return s.put(snapshot.App, bucketSnapshot, snapshot, func(*bbolt.Bucket) ([]byte, error) { return keyNewest, nil })
}

// Snapshot implements state.Store.
func (s *Store) Snapshot(app state.App) (snapshot state.Snapshot, ok bool, err error) {
	err = s.each(app, bucketSnapshot, 1, func(data []byte) error {
		ok = true
		return json.Unmarshal(data, &snapshot)
	})
	return snapshot, ok && err == nil, err
}

// SaveRelease implements state.Store.
func (s *Store) SaveRelease(record state.Record) error {
	if record.Number < 1 {
		return fmt.Errorf("the store takes release records from number 1 on, not %d", record.Number)
	}
	key := binary.BigEndian.AppendUint64(nil, uint64(record.Number))
	return s.put(record.App, bucketReleases, record, func(*bbolt.Bucket) ([]byte, error) { return key, nil })
}

// Releases implements state.Store.
func (s *Store) Releases(app state.App) ([]state.Record, error) {
	return list[state.Record](s, app, bucketReleases, 0)
}

// SavePlan implements state.Store.
func (s *Store) SavePlan(app state.App, plan state.PlanRecord) error {
	if plan.Nonce == "" {
		return errors.New("the store takes no plan without a nonce")
	}
	return s.put(app, bucketPlans, plan, func(b *bbolt.Bucket) ([]byte, error) { return planKey(b, plan) })
}

// Plans implements state.Store. A limit of 0 or less is no limit.
func (s *Store) Plans(app state.App, limit int) ([]state.PlanRecord, error) {
	return list[state.PlanRecord](s, app, bucketPlans, limit)
}

// Append implements state.Store.
func (s *Store) Append(app state.App, events ...state.Event) error {
	if len(events) == 0 {
		return nil
	}
	return s.update(func(tx *bbolt.Tx) error {
		b, err := child(tx, app, bucketEvents)
		if err != nil {
			return err
		}
		for _, event := range events {
			data, err := json.Marshal(event)
			if err != nil {
				return err
			}
			n, err := b.NextSequence()
			if err != nil {
				return err
			}
			if err := b.Put(binary.BigEndian.AppendUint64(nil, n), data); err != nil {
				return err
			}
		}
		return nil
	})
}

// Events implements state.Store. A limit of 0 or less is no limit.
func (s *Store) Events(app state.App, limit int) ([]state.Event, error) {
	return list[state.Event](s, app, bucketEvents, limit)
}

// Apps implements state.Store.
func (s *Store) Apps() ([]state.App, error) {
	var apps []state.App
	err := s.view(func(tx *bbolt.Tx) error {
		root := tx.Bucket(bucketApps)
		if root == nil {
			return nil
		}
		return root.ForEachBucket(func(key []byte) error {
			service, destination, _ := bytes.Cut(key, []byte{0})
			apps = append(apps, state.App{Service: string(service), Destination: string(destination)})
			return nil
		})
	})
	return apps, err
}

// Close implements state.Store. Calls after it fail.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	if s.held == nil {
		return nil
	}
	err := s.held.Close()
	s.held = nil
	return err
}

// put writes one value, unless the same one is there.
func (s *Store) put(app state.App, bucket []byte, value any, key func(*bbolt.Bucket) ([]byte, error)) error {
	data, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("the store %s cannot keep a value in %s of %s: %w", s.path, bucket, app, err)
	}
	return s.update(func(tx *bbolt.Tx) error {
		b, err := child(tx, app, bucket)
		if err != nil {
			return err
		}
		k, err := key(b)
		if err != nil {
			return err
		}
		if bytes.Equal(b.Get(k), data) {
			return errUnchanged
		}
		return b.Put(k, data)
	})
}

// planKey gives the plan's key, by time, and forgets another that the same nonce had.
func planKey(plans *bbolt.Bucket, plan state.PlanRecord) ([]byte, error) {
	nonces, err := plans.CreateBucketIfNotExists(bucketNonces)
	if err != nil {
		return nil, err
	}
	key := append(timeKey(plan.At), plan.Nonce...)
	old := bytes.Clone(nonces.Get([]byte(plan.Nonce)))
	if bytes.Equal(old, key) {
		return key, nil
	}
	if old != nil {
		if err := plans.Delete(old); err != nil {
			return nil, err
		}
	}
	return key, nonces.Put([]byte(plan.Nonce), key)
}

// timeKeyBytes is the length of a timeKey.
const timeKeyBytes = 12

// timeKey sorts by time, also before 1970.
func timeKey(t time.Time) []byte {
	key := binary.BigEndian.AppendUint64(nil, uint64(t.Unix())^1<<63)
	return binary.BigEndian.AppendUint32(key, uint32(t.Nanosecond()))
}

func list[T any](s *Store, app state.App, bucket []byte, limit int) ([]T, error) {
	var values []T
	err := s.each(app, bucket, limit, func(data []byte) error {
		var value T
		err := json.Unmarshal(data, &value)
		values = append(values, value)
		return err
	})
	if err != nil {
		return nil, err
	}
	return values, nil
}

// each goes over the values of a bucket, the newest (highest key) first, at most limit of them.
func (s *Store) each(app state.App, bucket []byte, limit int, do func([]byte) error) error {
	return s.view(func(tx *bbolt.Tx) error {
		b := find(tx, app, bucket)
		if b == nil {
			return nil
		}
		c := b.Cursor()
		n := 0
		for key, data := c.Last(); key != nil && (limit <= 0 || n < limit); key, data = c.Prev() {
			if data == nil {
				continue // a bucket within it
			}
			n++
			if err := do(data); err != nil {
				return fmt.Errorf("a value in %s of %s does not read: %w", bucket, app, err)
			}
		}
		return nil
	})
}

func appKey(app state.App) []byte { return []byte(app.Service + "\x00" + app.Destination) }

func child(tx *bbolt.Tx, app state.App, bucket []byte) (*bbolt.Bucket, error) {
	root, err := tx.CreateBucketIfNotExists(bucketApps)
	if err != nil {
		return nil, err
	}
	b, err := root.CreateBucketIfNotExists(appKey(app))
	if err != nil {
		return nil, err
	}
	return b.CreateBucketIfNotExists(bucket)
}

func find(tx *bbolt.Tx, app state.App, bucket []byte) *bbolt.Bucket {
	root := tx.Bucket(bucketApps)
	if root == nil {
		return nil
	}
	b := root.Bucket(appKey(app))
	if b == nil {
		return nil
	}
	return b.Bucket(bucket)
}
