package etcd

import (
	"context"
	"errors"

	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/kamald/kamald/state"
)

// SavePlan implements state.Store.
func (s *Store) SavePlan(app state.App, plan state.PlanRecord) error {
	if plan.Nonce == "" {
		return s.misuse("it takes no plan without a nonce")
	}
	encoded, err := encode(plan)
	if err != nil {
		return s.misuse("a plan of %s cannot be kept: %w", app, err)
	}
	k, nonce := planKey(app, plan), nonceKey(app, plan.Nonce)
	p, err := s.placing(k, encoded)
	if err != nil {
		return err
	}
	defer p.done()
	put := append([]clientv3.Op{clientv3.OpPut(nonce, string(k))}, p.ops...)
	// A nonce is nearly always new; where it is not, the answer says what it had.
	seen := clientv3.Compare(clientv3.CreateRevision(nonce), "=", 0)
	for then := put; ; {
		result, err := s.write(change{app: app, when: []clientv3.Cmp{seen}, then: then, size: p.size,
			otherwise: []clientv3.Op{clientv3.OpGet(nonce), clientv3.OpGet(k.value())}})
		if err != nil || result.held {
			return err
		}
		had, now := result.answers[0].Kvs, result.answers[1].Kvs
		if len(had) == 0 {
			seen, then = clientv3.Compare(clientv3.CreateRevision(nonce), "=", 0), put
			continue
		}
		old := key(had[0].Value)
		if old == k && len(now) > 0 && string(now[0].Value) == string(encoded) {
			return nil
		}
		seen, then = clientv3.Compare(clientv3.ModRevision(nonce), "=", had[0].ModRevision), put
		if old != k {
			then = append([]clientv3.Op{clientv3.OpDelete(old.value()), clientv3.OpDelete(old.parts(), clientv3.WithPrefix())}, put...)
		}
	}
}

// Plans implements state.Store. A limit of 0 or less is no limit.
func (s *Store) Plans(app state.App, limit int) ([]state.PlanRecord, error) {
	var plans []state.PlanRecord
	err := s.newest(keyOf(app, "plans/"), limit, func(kv *mvccpb.KeyValue, encoded []byte) error {
		var plan state.PlanRecord
		err := decode(encoded, &plan)
		plans = append(plans, plan)
		return err
	}, func() { plans = nil })
	return plans, err
}

// page is how many values are asked for at once: plans may be large, and one attempt has only so much time.
const page = 64

// newest goes over what is in a directory as it is at one moment, the highest key first, at most limit of it. Where that moment is
// forgotten meanwhile it calls again and begins anew.
func (s *core) newest(dir key, limit int, do func(kv *mvccpb.KeyValue, encoded []byte) error, again func()) error {
	var revision int64
	n, end := 0, clientv3.GetPrefixRangeEnd(dir.value())
	for more := true; more; {
		err := s.attempt(2*tryTime, func(ctx context.Context, client *clientv3.Client) error {
			size := page
			if limit > 0 {
				size = min(page, limit-n)
			}
			answers, at, err := s.readOnce(ctx, client, clientv3.OpGet(dir.value(), clientv3.WithRange(end), clientv3.WithRev(revision),
				clientv3.WithLimit(int64(size)), clientv3.WithSort(clientv3.SortByKey, clientv3.SortDescend)))
			if err != nil {
				return forgotten(err)
			}
			if revision == 0 {
				revision = at
			}
			// What one attempt has read stays read: the next goes on below it.
			for _, kv := range answers[0].Kvs {
				encoded, err := s.whole(ctx, client, kv, revision)
				if err != nil {
					return forgotten(err)
				}
				if err := do(kv, encoded); err != nil {
					return s.damaged(string(kv.Key), err)
				}
				n, end = n+1, string(kv.Key)
			}
			more = answers[0].More && (limit <= 0 || n < limit)
			return nil
		})
		switch {
		case isMoved(err):
			revision, n, end, more = 0, 0, clientv3.GetPrefixRangeEnd(dir.value()), true
			again()
		case err != nil:
			return err
		}
	}
	return nil
}

// forgotten has a reading of several steps begin anew, and not go on, when its moment is no longer known.
func forgotten(err error) error {
	if isMoved(err) || is(err, rpctypes.ErrGRPCCompacted, rpctypes.ErrGRPCFutureRev) { // the latter in a cluster that was restored
		return &settled{errMoved}
	}
	return err
}

func isMoved(err error) bool { return errors.Is(err, errMoved) }
