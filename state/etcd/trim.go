package etcd

import (
	"slices"
	"strings"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/kamald/kamald/state"
)

// trimAtOnce is how many plans one transaction takes away: etcd bounds what is in one.
const trimAtOnce = 50

// Trim implements state.Store. Of a great many plans that are too many it takes one transaction for each fifty.
func (s *Store) Trim(app state.App, events, plans int) error {
	events, plans = max(events, 0), max(plans, 0)
	for {
		answers, _, err := s.read(
			clientv3.OpGet(keyOf(app, "sequence").value()),
			clientv3.OpGet(keyOf(app, "events/").value(), append(clientv3.WithFirstKey(), clientv3.WithKeysOnly())...),
			clientv3.OpGet(keyOf(app, "plans/").value(), clientv3.WithPrefix(), clientv3.WithCountOnly()))
		if err != nil {
			return err
		}
		again, err := s.trimEvents(app, answers[0], answers[1], uint64(events))
		if err == nil && int(answers[2].Count) > plans {
			err = s.trimPlans(app, int(answers[2].Count)-plans)
			again = again || int(answers[2].Count)-plans > trimAtOnce
		}
		if err != nil || !again {
			return err
		}
	}
}

// trimEvents takes away the events beyond so many. Their numbers have no gaps, so that nobody need count them. again: somebody else has
// trimmed meanwhile.
func (s *Store) trimEvents(app state.App, sequence, first *clientv3.GetResponse, keep uint64) (again bool, err error) {
	if len(sequence.Kvs) == 0 || len(first.Kvs) == 0 {
		return false, nil
	}
	oldest, err := batchOf(string(first.Kvs[0].Key))
	if err != nil {
		return false, s.damaged(string(first.Kvs[0].Key), err)
	}
	newest, err := numberOf(sequence.Kvs[0].Value)
	if err != nil {
		return false, s.damaged(string(sequence.Kvs[0].Key), err)
	}
	if newest-(oldest.last-oldest.count) <= keep {
		return false, nil
	}
	cut := newest - keep // the highest number that goes
	dir, end := keyOf(app, "events/"), keyOf(app, "events/"+padded(cut+1))
	c := change{then: below(dir, end)}
	answers, _, err := s.read(clientv3.OpGet(end.value(), clientv3.WithRange(clientv3.GetPrefixRangeEnd(dir.value())),
		clientv3.WithLimit(1), clientv3.WithSort(clientv3.SortByKey, clientv3.SortAscend)))
	if err != nil {
		return false, err
	}
	if len(answers[0].Kvs) > 0 {
		done, err := s.shorten(app, &c, string(answers[0].Kvs[0].Key), cut)
		if err != nil {
			return isMoved(err), ignoreMoved(err)
		}
		defer done()
	}
	result, err := s.write(c)
	return err == nil && !result.held, err
}

// shorten has a change take away those events of a batch whose number is not above cut.
func (s *Store) shorten(app state.App, c *change, name string, cut uint64) (done func(), err error) {
	b, err := batchOf(name)
	if err != nil {
		return nil, s.damaged(name, err)
	}
	if b.last-b.count >= cut {
		return func() {}, nil
	}
	old := b.key(app)
	found, revision, err := s.valueAt(old)
	if err != nil {
		return nil, err
	}
	events, err := eventsOf(found)
	if err != nil || uint64(len(events)) != b.count {
		return nil, s.damaged(name, err)
	}
	shorter := batch{last: b.last, count: b.last - cut}
	encoded, err := encode(events[b.count-shorter.count:])
	if err != nil {
		return nil, err
	}
	p, err := s.placing(shorter.key(app), encoded)
	if err != nil {
		return nil, err
	}
	c.when = append(c.when, clientv3.Compare(clientv3.ModRevision(old.value()), "=", revision))
	c.then = append(append(c.then, clientv3.OpDelete(old.value()), clientv3.OpDelete(old.parts(), clientv3.WithPrefix())), p.ops...)
	c.size += p.size
	return p.done, nil
}

// trimPlans takes away the oldest plans, and what knows where they are.
func (s *Store) trimPlans(app state.App, tooMany int) error {
	dir := keyOf(app, "plans/")
	answers, _, err := s.read(clientv3.OpGet(dir.value(), clientv3.WithPrefix(), clientv3.WithKeysOnly(),
		clientv3.WithLimit(int64(min(tooMany, trimAtOnce))), clientv3.WithSort(clientv3.SortByKey, clientv3.SortAscend)))
	if err != nil || len(answers[0].Kvs) == 0 {
		return err
	}
	last := answers[0].Kvs[len(answers[0].Kvs)-1]
	ops := below(dir, key(strings.TrimPrefix(string(last.Key), keyValues)+"\x00"))
	// The parts of the last one lie below its key.
	ops = append(ops, clientv3.OpDelete(key(strings.TrimPrefix(string(last.Key), keyValues)).parts(), clientv3.WithPrefix()))
	for _, kv := range slices.Backward(answers[0].Kvs) {
		nonce, ok := nonceOf(app, string(kv.Key))
		if !ok {
			continue
		}
		// A plan of the same nonce may have come meanwhile, at another time.
		mine := clientv3.Compare(clientv3.Value(nonce), "=", strings.TrimPrefix(string(kv.Key), keyValues))
		ops = append(ops, clientv3.OpTxn([]clientv3.Cmp{mine}, []clientv3.Op{clientv3.OpDelete(nonce)}, nil))
	}
	_, err = s.write(change{then: ops})
	return err
}

func ignoreMoved(err error) error {
	if isMoved(err) {
		return nil
	}
	return err
}
