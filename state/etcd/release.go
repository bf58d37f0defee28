package etcd

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"

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
	if records, _, _ := s.memory.recordsOf(record.App); records[record.Number].revision > 0 && string(records[record.Number].encoded) == string(encoded) {
		there := clientv3.Compare(clientv3.ModRevision(k.value()), "=", records[record.Number].revision)
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

// Releases implements state.Store. While the cluster is away it is the newest that are remembered.
func (s *Store) Releases(app state.App) ([]state.Record, error) {
	known, all, remembered := s.memory.recordsOf(app)
	records, err := s.records(app, known, all && remembered)
	if errors.Is(err, ErrAway) && remembered {
		records, err = known, nil
	}
	if err != nil {
		return nil, err
	}
	var list []state.Record
	for _, n := range slices.Backward(slices.Sorted(maps.Keys(records))) {
		var record state.Record
		if err := decode(records[n].encoded, &record); err != nil {
			return nil, s.damaged(releaseKey(app, n).value(), err)
		}
		list = append(list, record)
	}
	return list, nil
}

// records reads the records of an app. Where all of them are known only those that changed are sent.
func (s *Store) records(app state.App, known map[int]entry, all bool) (records map[int]entry, err error) {
	dir := keyOf(app, "releases/").value()
	err = s.attempt(2*tryTime, func(ctx context.Context, client *clientv3.Client) error {
		var since int64
		records = map[int]entry{}
		if all {
			records = maps.Clone(known)
			for _, e := range known {
				since = max(since, e.revision)
			}
		}
		answers, revision, err := s.readOnce(ctx, client, clientv3.OpGet(dir, clientv3.WithPrefix(), clientv3.WithMinModRev(since+1)))
		if err != nil {
			return err
		}
		for _, kv := range answers[0].Kvs {
			n, err := strconv.Atoi(strings.TrimPrefix(string(kv.Key), dir))
			if err != nil {
				return s.damaged(string(kv.Key), err)
			}
			encoded, err := s.whole(ctx, client, kv, revision)
			if err != nil {
				return err
			}
			records[n] = entry{kv.ModRevision, encoded}
		}
		if int64(len(records)) != answers[0].Count {
			all = false // some were taken away
			return errMoved
		}
		return nil
	})
	if err == nil {
		s.memory.keepRecords(app, records)
	}
	return records, err
}

// Apps implements state.Store.
func (s *Store) Apps() ([]state.App, error) {
	answers, _, err := s.read(clientv3.OpGet(keyApps, clientv3.WithPrefix(), clientv3.WithKeysOnly()))
	if errors.Is(err, ErrAway) {
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
