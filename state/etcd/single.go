package etcd

import (
	"context"
	"errors"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/kamald/kamald/state"
)

// SaveSnapshot implements state.Store.
func (s *Store) SaveSnapshot(snapshot state.Snapshot) error {
	return s.putOne(snapshot.App, keyOf(snapshot.App, "snapshot"), snapshot)
}

// Snapshot implements state.Store.
func (s *Store) Snapshot(app state.App) (snapshot state.Snapshot, ok bool, err error) {
	ok, err = s.getOne(keyOf(app, "snapshot"), &snapshot)
	return snapshot, ok, err
}

// SaveWatch implements state.Store.
func (s *Store) SaveWatch(watch state.Watch) error {
	return s.putOne(watch.App, keyOf(watch.App, "watch"), watch)
}

// Watch implements state.Store.
func (s *Store) Watch(app state.App) (watch state.Watch, ok bool, err error) {
	ok, err = s.getOne(keyOf(app, "watch"), &watch)
	return watch, ok, err
}

// putOne writes a value, unless it is the one that was last seen there and is there still.
func (s *Store) putOne(app state.App, k key, value any) error {
	encoded, err := encode(value)
	if err != nil {
		return s.misuse("a value of %s cannot be kept: %w", app, err)
	}
	if revision, same := s.memory.same(k, encoded); same {
		there := clientv3.Compare(clientv3.ModRevision(k.value()), "=", revision)
		result, err := s.write(change{when: []clientv3.Cmp{there}})
		if err != nil || result.held {
			return err
		}
	}
	p, err := s.placing(k, encoded)
	if err != nil {
		return err
	}
	defer p.done()
	result, err := s.write(change{app: app, then: p.ops, size: p.size})
	if err != nil {
		return err
	}
	s.memory.keep(k, entry{revision: result.revision, encoded: encoded})
	return nil
}

// getOne reads a value; false when there is none. What has not changed since it was last seen is not sent again. Under a term it does not
// come from memory: others led since, and what they have kept would be written over.
func (s *Store) getOne(k key, into any) (ok bool, err error) {
	var found entry
	err = s.attempt(tryTime, func(ctx context.Context, client *clientv3.Client) error {
		known, _ := s.memory.entry(k)
		answers, revision, err := s.readOnce(ctx, client, clientv3.OpGet(k.value(), clientv3.WithMinModRev(known.revision+1)))
		if err != nil {
			return err
		}
		ok, found = answers[0].Count > 0, known
		if len(answers[0].Kvs) == 0 {
			return nil
		}
		kv := answers[0].Kvs[0]
		found.revision = kv.ModRevision
		found.encoded, err = s.whole(ctx, client, kv, revision)
		return err
	})
	known, remembered := s.memory.entry(k)
	switch {
	case errors.Is(err, ErrAway) && remembered && s.term == nil:
		found = known
	case err != nil:
		return false, err
	case !ok:
		s.memory.forget(k)
		return false, nil
	default:
		s.memory.keep(k, found)
	}
	if err := decode(found.encoded, into); err != nil {
		return false, s.damaged(k.value(), err)
	}
	return true, nil
}
