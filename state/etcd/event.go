package etcd

import (
	"slices"
	"strconv"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/kamald/kamald/state"
)

// Append implements state.Store. What one call appends is at one key.
func (s *Store) Append(app state.App, events ...state.Event) error {
	if len(events) == 0 {
		return nil
	}
	encoded, err := encode(events)
	if err != nil {
		return s.misuse("events of %s cannot be kept: %w", app, err)
	}
	counter := keyOf(app, "sequence").value()
	b, seen := batch{count: uint64(len(events)), last: uint64(len(events))}, clientv3.Compare(clientv3.CreateRevision(counter), "=", 0)
	if at, ok := s.memory.entry(keyOf(app, "sequence")); ok {
		if b, seen, err = b.after(counter, at); err != nil {
			return s.damaged(counter, err)
		}
	}
	for {
		held, now, err := s.appendAt(app, b, encoded, seen)
		if err != nil || held {
			return err
		}
		if b, seen, err = b.after(counter, now); err != nil {
			return s.damaged(counter, err)
		}
	}
}

// after is where a batch comes when the sequence is as it was seen.
func (b batch) after(counter string, at entry) (batch, clientv3.Cmp, error) {
	if at.revision == 0 {
		b.last = b.count
		return b, clientv3.Compare(clientv3.CreateRevision(counter), "=", 0), nil
	}
	n, err := numberOf(at.encoded)
	b.last = n + b.count
	return b, clientv3.Compare(clientv3.ModRevision(counter), "=", at.revision), err
}

// numberOf reads the number of the newest event.
func numberOf(sequence []byte) (uint64, error) { return strconv.ParseUint(string(sequence), 10, 64) }

// appendAt appends where nobody else has since; not held: now is how the sequence is.
func (s *Store) appendAt(app state.App, b batch, encoded []byte, seen clientv3.Cmp) (held bool, now entry, err error) {
	sequence, k := keyOf(app, "sequence"), b.key(app)
	p, err := s.placing(k, encoded)
	if err != nil {
		return false, entry{}, err
	}
	defer p.done()
	number, unsure := strconv.FormatUint(b.last, 10), false
	result, err := s.write(change{app: app, when: []clientv3.Cmp{seen}, size: p.size,
		then:      append([]clientv3.Op{clientv3.OpPut(sequence.value(), number)}, p.ops...),
		otherwise: []clientv3.Op{clientv3.OpGet(sequence.value()), clientv3.OpGet(k.value())},
		unsure:    func() { unsure = true }})
	if err != nil {
		s.memory.forget(sequence)
		return false, entry{}, err
	}
	if result.held {
		s.memory.keep(sequence, entry{revision: result.revision, encoded: []byte(number)})
		return true, entry{}, nil
	}
	if kvs := result.answers[0].Kvs; len(kvs) > 0 {
		now = entry{revision: kvs[0].ModRevision, encoded: kvs[0].Value}
		s.memory.keep(sequence, now)
	}
	// An attempt whose answer was lost may have done it: then what stands there is this.
	if kvs := result.answers[1].Kvs; unsure && len(kvs) > 0 && string(kvs[0].Value) == p.text {
		return true, now, nil
	}
	return false, now, nil
}

// Events implements state.Store. A limit of 0 or less is no limit.
func (s *Store) Events(app state.App, limit int) ([]state.Event, error) {
	var events []state.Event
	err := s.newest(keyOf(app, "events/"), limit, func(_ *mvccpb.KeyValue, encoded []byte) error {
		appended, err := eventsOf(encoded)
		slices.Reverse(appended)
		events = append(events, appended...)
		return err
	}, func() { events = nil })
	if limit > 0 && len(events) > limit {
		events = events[:limit]
	}
	return events, err
}

func eventsOf(encoded []byte) (events []state.Event, err error) {
	return events, decode(encoded, &events)
}
