package etcd

import (
	"context"
	"strconv"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/kamald/kamald/state"
)

// Term is a time during which this process, and no other, acts for an app.
type Term struct {
	session *session
	app     state.App
	name    string // the elector's
	key     string
	number  int64
	done    chan struct{}
	isOver  bool // under the session's mutex
}

// Done is closed as soon as the term is over or may be over. A process that is stopped hears of it late: Holds is to be asked before each
// act.
func (t *Term) Done() <-chan struct{} { return t.done }

// Holds tells whether no other can lead yet: by this machine's clocks alone, the newest renewal of the lease that was answered is younger
// than three quarters of what the lease lasts. Once false it stays false.
func (t *Term) Holds() bool {
	t.session.mu.Lock()
	defer t.session.mu.Unlock()
	return !t.isOver && t.session.holdsLocked()
}

// Number grows with every term of an app, whoever has it.
func (t *Term) Number() int64 { return t.number }

// Resign gives the term up, so that another can take over at once. The error tells that others have to wait, for the next renewal of the
// lease or its end: the cluster could not be told. The term is over in any case.
func (t *Term) Resign() error {
	s := t.session
	s.mu.Lock()
	was := t.isOver
	t.closeLocked()
	s.strayLocked(t.key)
	s.mu.Unlock()
	if was {
		return nil
	}
	return s.e.s.explain(s.drop(t.key))
}

// lose ends a term that etcd knows nothing of any more.
func (t *Term) lose() {
	t.session.mu.Lock()
	defer t.session.mu.Unlock()
	t.closeLocked()
}

func (t *Term) closeLocked() {
	if t.isOver {
		return
	}
	t.isOver = true
	close(t.done)
	delete(t.session.terms, t.app)
}

// stand queues for an app, and waits until whoever came before is gone.
func (s *session) stand(ctx context.Context, app state.App) (term *Term, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.life, cancel)()
	s.mu.Lock()
	leading := s.terms[app] != nil
	s.stands++
	key := leaderDir(app) + strconv.FormatInt(int64(s.lease), 16) + "." + strconv.Itoa(s.stands)
	s.mu.Unlock()
	if leading {
		return nil, &settled{s.e.s.misuse("%s leads %s already", s.e.name, app)}
	}
	defer func() {
		if term == nil && s.holds() {
			s.mu.Lock()
			s.strayLocked(key)
			s.mu.Unlock()
			_ = s.drop(key) // again after the next renewal
		}
	}()
	number, err := s.queue(ctx, key)
	for err == nil {
		var first bool
		if first, err = s.wait(ctx, leaderDir(app), key, number); first {
			return s.enter(app, key, number)
		}
	}
	if s.e.life.Err() == nil && !s.holds() {
		err = errOver
	}
	return nil, err
}

// enter makes the term.
func (s *session) enter(app state.App, key string, number int64) (*Term, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.holdsLocked() {
		return nil, errOver
	}
	t := &Term{session: s, app: app, name: s.e.name, key: key, number: number, done: make(chan struct{})}
	s.terms[app] = t
	return t, nil
}

// queue puts our key where the others are; the revision at which it was made is our place.
func (s *session) queue(ctx context.Context, key string) (number int64, err error) {
	put := clientv3.OpPut(key, s.e.name, clientv3.WithLease(s.lease))
	var response *clientv3.TxnResponse
	err = s.e.s.single(ctx, tryTime, func(ctx context.Context, client *clientv3.Client) (err error) {
		response, err = client.Txn(ctx).If(clientv3.Compare(clientv3.CreateRevision(key), "=", 0)).Then(put).Else(clientv3.OpGet(key)).Commit()
		return err
	})
	if err != nil {
		return 0, err
	}
	if response.Succeeded {
		return response.Header.Revision, nil
	}
	return response.Responses[0].GetResponseRange().Kvs[0].CreateRevision, nil // an answer was lost: it is ours
}

// wait returns when the one before us is gone, and whether nobody is before us then.
func (s *session) wait(ctx context.Context, dir, key string, number int64) (first bool, err error) {
	before := clientv3.OpGet(dir, append(clientv3.WithLastCreate(), clientv3.WithMaxCreateRev(number-1))...)
	var client *clientv3.Client
	var response *clientv3.TxnResponse
	err = s.e.s.single(ctx, tryTime, func(ctx context.Context, c *clientv3.Client) (err error) {
		client = c
		response, err = c.Txn(ctx).If(clientv3.Compare(clientv3.CreateRevision(key), "=", number)).Then(before).Commit()
		return err
	})
	switch {
	case err != nil:
		return false, err
	case !response.Succeeded:
		return false, errOver // somebody took our key away
	}
	got := response.Responses[0].GetResponseRange()
	if len(got.Kvs) == 0 {
		return true, nil
	}
	watched, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx))
	defer cancel()
	for event := range client.Watch(watched, string(got.Kvs[0].Key), clientv3.WithRev(response.Header.Revision+1)) {
		if err := event.Err(); is(err, rpctypes.ErrGRPCCompacted) {
			return false, nil // look again
		} else if err != nil {
			return false, err
		}
		for _, change := range event.Events {
			if change.Type == clientv3.EventTypeDelete {
				return false, nil
			}
		}
	}
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	return false, nil
}
