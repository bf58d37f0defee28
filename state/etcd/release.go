package etcd

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/kamald/kamald/state"
)

// mostReleases is how many release records of an app are kept: a cluster is no place for what only grows.
const mostReleases = 10_000

// SaveRelease implements state.Store. Records whose number is mostReleases or more below it are taken away.
func (s *Store) SaveRelease(record state.Record) error {
	if record.Number < 1 {
		return s.misuse("it takes release records from number 1 on, not %d", record.Number)
	}
	encoded, err := encode(record)
	if err != nil {
		return s.misuse("a release record of %s cannot be kept: %w", record.App, err)
	}
	k := releaseKey(record.App, record.Number)
	if known := s.memory.record(record.App, record.Number); known.revision > 0 && bytes.Equal(known.encoded, encoded) {
		there := clientv3.Compare(clientv3.ModRevision(k.value()), "=", known.revision)
		if result, err := s.write(change{when: []clientv3.Cmp{there}}); err != nil || result.held {
			return err
		}
	}
	p, err := s.placing(k, encoded)
	if err != nil {
		return err
	}
	defer p.done()
	ops := p.ops
	if old := record.Number - mostReleases; old > 0 {
		ops = append(ops, below(keyOf(record.App, "releases/"), releaseKey(record.App, old+1))...)
	}
	_, err = s.write(change{app: record.App, then: ops, size: p.size})
	return err
}

// below takes away what is in a directory below a key, in both trees.
func below(dir, end key) []clientv3.Op {
	return []clientv3.Op{
		clientv3.OpDelete(dir.value(), clientv3.WithRange(end.value())),
		clientv3.OpDelete(keyParts+string(dir), clientv3.WithRange(keyParts+string(end))),
	}
}

// Releases implements state.Store. While the cluster is away it is those that are remembered.
func (s *Store) Releases(app state.App) ([]state.Record, error) {
	records, err := s.records(app)
	for isMoved(err) {
		records, err = s.records(app)
	}
	if known, _, ok := s.memory.recordsOf(app); ok && errors.Is(err, ErrAway) && s.term == nil {
		return s.decoded(app, known)
	}
	if err != nil {
		return nil, err
	}
	list, err := s.decoded(app, records)
	if err == nil {
		s.memory.keepRecords(app, records)
	}
	return list, err
}

// decoded gives what records say, the newest first, and notes it in them.
func (s *core) decoded(app state.App, records map[int]entry) ([]state.Record, error) {
	var list []state.Record
	for _, n := range slices.Backward(slices.Sorted(maps.Keys(records))) {
		e := records[n]
		if e.record == nil {
			e.record = &state.Record{}
			if err := decode(e.encoded, e.record); err != nil {
				return nil, s.damaged(releaseKey(app, n).value(), err)
			}
			e.record.Hooks = slices.Clip(e.record.Hooks) // several callers have it, and may add to it
			records[n] = e
		}
		list = append(list, *e.record)
	}
	return list, nil
}

// recordsAtOnce is how many records are asked for at once: an attempt has only so much time, over a slow line too.
const recordsAtOnce = 256

// records reads the records of an app as they are at one moment. Of those that are remembered only what changed is sent. errMoved: that
// moment is forgotten meanwhile.
func (s *core) records(app state.App) (map[int]entry, error) {
	records, all, ok := s.memory.recordsOf(app)
	if !all || !ok {
		records = map[int]entry{}
	}
	var since, revision, count int64
	for _, e := range records {
		since = max(since, e.revision)
	}
	dir := keyOf(app, "releases/")
	next, end := dir.value(), clientv3.GetPrefixRangeEnd(dir.value())
	for more := true; more; {
		err := s.attempt(2*tryTime, func(ctx context.Context, client *clientv3.Client) error {
			options := []clientv3.OpOption{clientv3.WithRange(end), clientv3.WithRev(revision), clientv3.WithLimit(recordsAtOnce)}
			if since > 0 { // with a condition etcd goes over all that there is for each page
				options = append(options, clientv3.WithMinModRev(since+1))
			}
			answers, at, err := s.readOnce(ctx, client, clientv3.OpGet(next, options...))
			if err != nil {
				return forgotten(err)
			}
			if revision == 0 {
				revision, count = at, answers[0].Count
			}
			// What one attempt has read stays read: the next goes on above it.
			for _, kv := range answers[0].Kvs {
				if err := s.take(ctx, client, dir, kv, revision, records); err != nil {
					return forgotten(err)
				}
				next = string(kv.Key) + "\x00"
			}
			more = answers[0].More
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return records, s.without(app, records, revision, count)
}

// take has a record that was sent be among the others.
func (s *core) take(ctx context.Context, client *clientv3.Client, dir key, kv *mvccpb.KeyValue, revision int64, records map[int]entry) error {
	n, err := numberIn(dir, kv)
	if err != nil {
		return s.damaged(string(kv.Key), err)
	}
	encoded, err := s.whole(ctx, client, kv, revision)
	if err != nil {
		return err
	}
	records[n] = entry{revision: kv.ModRevision, encoded: encoded}
	return nil
}

// without takes the records away that were remembered and are there no more, at the moment at which there are so many.
func (s *core) without(app state.App, records map[int]entry, revision, count int64) error {
	if int64(len(records)) == count {
		return nil
	}
	dir := keyOf(app, "releases/")
	answers, _, err := s.read(clientv3.OpGet(dir.value(), clientv3.WithPrefix(), clientv3.WithKeysOnly(), clientv3.WithRev(revision)))
	if err != nil {
		return forgotten(err)
	}
	there := map[int]bool{}
	for _, kv := range answers[0].Kvs {
		n, err := numberIn(dir, kv)
		if err != nil {
			return s.damaged(string(kv.Key), err)
		}
		there[n] = true
	}
	maps.DeleteFunc(records, func(n int, _ entry) bool { return !there[n] })
	if len(records) != len(there) { // what is remembered is of no moment: all is read anew
		s.memory.forgetRecords(app)
		return errMoved
	}
	return nil
}

// numberIn is the number of the record at a key.
func numberIn(dir key, kv *mvccpb.KeyValue) (int, error) {
	return strconv.Atoi(strings.TrimPrefix(string(kv.Key), dir.value()))
}

// Apps implements state.Store.
func (s *Store) Apps() ([]state.App, error) {
	answers, _, err := s.read(clientv3.OpGet(keyApps, clientv3.WithPrefix(), clientv3.WithKeysOnly()))
	if errors.Is(err, ErrAway) && s.term == nil {
		if apps, ok := s.memory.known(); ok {
			return apps, nil
		}
	}
	if err != nil {
		return nil, err
	}
	var apps []state.App
	for _, kv := range answers[0].Kvs {
		app, ok := appOf(strings.TrimPrefix(string(kv.Key), keyApps))
		if !ok {
			return nil, s.damaged(string(kv.Key), errors.New("it names no app"))
		}
		apps = append(apps, app)
	}
	slices.SortFunc(apps, func(a, b state.App) int {
		return strings.Compare(a.Service+"\x00"+a.Destination, b.Service+"\x00"+b.Destination)
	})
	s.memory.list(apps)
	return apps, nil
}
