package bolt

import (
	"encoding/json"

	bbolt "go.etcd.io/bbolt"

	"github.com/kamald/kamald/state"
)

// bucketWatch holds what the daemon remembers of an app, under one key.
var bucketWatch = []byte("watch")

// SaveWatch implements state.Store.
func (s *Store) SaveWatch(watch state.Watch) error {
	return s.put(watch.App, bucketWatch, watch, func(*bbolt.Bucket) ([]byte, error) { return keyNewest, nil })
}

// Watch implements state.Store.
func (s *Store) Watch(app state.App) (watch state.Watch, ok bool, err error) {
	err = s.each(app, bucketWatch, 1, func(data []byte) error {
		ok = true
		return json.Unmarshal(data, &watch)
	})
	return watch, ok && err == nil, err
}

// Trim implements state.Store. The file does not shrink, and what is free in it is used again.
func (s *Store) Trim(app state.App, events, plans int) error {
	var tooMany, old int
	err := s.view(func(tx *bbolt.Tx) error {
		tooMany, old = entries(find(tx, app, bucketEvents))-events, entries(find(tx, app, bucketPlans))-plans
		return nil
	})
	if err != nil || tooMany <= 0 && old <= 0 {
		return err
	}
	return s.update(func(tx *bbolt.Tx) error {
		if b := find(tx, app, bucketEvents); b != nil {
			if err := dropOldest(b, tooMany, nil); err != nil {
				return err
			}
		}
		b := find(tx, app, bucketPlans)
		if b == nil {
			return nil
		}
		nonces := b.Bucket(bucketNonces)
		return dropOldest(b, old, func(key []byte) error {
			if nonces == nil || len(key) < timeKeyBytes {
				return nil
			}
			return nonces.Delete(key[timeKeyBytes:])
		})
	})
}

// entries counts the values of a bucket, not those of buckets within it.
func entries(b *bbolt.Bucket) (n int) {
	if b == nil {
		return 0
	}
	c := b.Cursor()
	for key, data := c.First(); key != nil; key, data = c.Next() {
		if data != nil {
			n++
		}
	}
	return n
}

// dropOldest takes the lowest keys out of a bucket.
func dropOldest(b *bbolt.Bucket, n int, also func(key []byte) error) error {
	var keys [][]byte
	c := b.Cursor()
	for key, data := c.First(); key != nil && len(keys) < n; key, data = c.Next() {
		if data != nil { // not a bucket within it
			keys = append(keys, append([]byte(nil), key...))
		}
	}
	for _, key := range keys {
		if also != nil {
			if err := also(key); err != nil {
				return err
			}
		}
		if err := b.Delete(key); err != nil {
			return err
		}
	}
	return nil
}
