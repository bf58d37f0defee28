package etcd

import (
	"bytes"
	"maps"
	"slices"
	"sync"

	"go.etcd.io/etcd/api/v3/etcdserverpb"

	"github.com/kamald/kamald/state"
)

// remembered is how many bytes of an app's newest release records, compressed, stay in memory. It does for all that are kept, unless they
// are very large.
var remembered = 32 << 20

// unpacked is how many bytes of releases stay in memory in those of its newest records that are decoded already.
const unpacked = 8 << 20

// entry is a value as it was encoded, and the revision that it is of.
type entry struct {
	revision int64
	encoded  []byte
	record   *state.Record // of a release record, what it says; nil: it is not decoded yet
}

// memory is what was last read or written: for when the cluster is away, and so that what has not changed is not sent again. Of each
// app it has a snapshot, a watch and the records, compressed.
type memory struct {
	mu      sync.Mutex
	moment  moment // the newest that was seen
	apps    []state.App
	listed  bool // apps was read
	entries map[key]entry
	records map[state.App]map[int]entry
	partly  map[state.App]bool // there are more records than are remembered
}

// moment is one in the history of a cluster.
type moment struct {
	cluster  uint64
	revision int64
}

func (m *memory) newest() moment {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.moment
}

// seen notes the moment of an answer; before is the newest that was known when it was asked for. Where that comes after the answer, the
// cluster was restored as it had been earlier, or is another one: what is remembered may never have been there. It is forgotten.
func (m *memory) seen(before moment, header *etcdserverpb.ResponseHeader) (restored bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := moment{header.GetClusterId(), header.GetRevision()}
	restored = before.revision > 0 && (now.cluster != before.cluster || now.revision < before.revision)
	if restored {
		m.apps, m.listed, m.entries, m.records, m.partly = nil, false, nil, nil, nil
	}
	if restored || now.revision > m.moment.revision {
		m.moment = now
	}
	return restored
}

func (m *memory) entry(k key) (entry, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e, ok := m.entries[k]
	return e, ok
}

// keep takes a value, unless a newer one is there: calls may overtake each other. One from after the newest moment is of what is no more.
func (m *memory) keep(k key, e entry) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.entries == nil {
		m.entries = map[key]entry{}
	}
	if e.revision >= m.entries[k].revision && e.revision <= m.moment.revision {
		m.entries[k] = e
	}
}

// same tells whether a value is the one that is remembered, and of which revision that is.
func (m *memory) same(k key, encoded []byte) (revision int64, ok bool) {
	e, ok := m.entry(k)
	return e.revision, ok && bytes.Equal(e.encoded, encoded)
}

func (m *memory) forget(k key) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.entries, k)
}

func (m *memory) list(apps []state.App) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.apps, m.listed = slices.Clone(apps), true
}

func (m *memory) known() ([]state.App, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.apps), m.listed
}

// recordsOf gives the records that are remembered of an app; all tells that there are no others.
func (m *memory) recordsOf(app state.App) (records map[int]entry, all, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	records, ok = m.records[app]
	return maps.Clone(records), !m.partly[app], ok
}

// record gives one of them; the zero entry: it is not remembered.
func (m *memory) record(app state.App, number int) entry {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.records[app][number]
}

// keepRecords takes all the records of an app, and keeps the newest.
func (m *memory) keepRecords(app state.App, records map[int]entry) {
	kept, size, wide, last := make(map[int]entry, len(records)), 0, 0, int64(0)
	for _, n := range slices.Backward(slices.Sorted(maps.Keys(records))) {
		e := records[n]
		last = max(last, e.revision)
		if size += len(e.encoded); size > remembered {
			break
		}
		if e.record != nil {
			if wide += len(e.record.Release); wide > unpacked {
				e.record = nil
			}
		}
		kept[n] = e
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if last > m.moment.revision { // as in keep
		return
	}
	if m.records == nil {
		m.records, m.partly = map[state.App]map[int]entry{}, map[state.App]bool{}
	}
	m.records[app], m.partly[app] = kept, len(records) > len(kept)
}

func (m *memory) forgetRecords(app state.App) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.records, app)
}
