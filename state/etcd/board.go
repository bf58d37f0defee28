package etcd

import (
	"context"
	"fmt"
	"strings"
	"sync"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/kamald/kamald/state"
)

// What the daemons show each other. It hangs on the lease of whoever shows it.
const keyShown = prefix + "v1/shown/"

// Board is where the daemons that share a cluster show each other what they do with the apps that they lead, and ask each other for what
// only the leader of an app may do.
type Board struct {
	e *Elector

	mu   sync.Mutex
	seen map[state.App]bool // what was shown when it was last looked at
}

// Board gives the board as this daemon uses it.
func (e *Elector) Board() *Board { return &Board{e: e, seen: map[state.App]bool{}} }

// Show keeps what is shown of an app, until something else is, or this daemon's lease ends. state.ErrNotLeader: this daemon does not lead the
// app, and nothing was written.
func (b *Board) Show(ctx context.Context, app state.App, data []byte) error {
	return b.leading(ctx, app, len(data), func(t *Term) clientv3.Op {
		return clientv3.OpPut(shownKey(app), string(data), clientv3.WithLease(t.session.lease))
	})
}

// Hide takes away what this daemon shows of an app. It must lead the app still, as for Show.
func (b *Board) Hide(ctx context.Context, app state.App) error {
	return b.leading(ctx, app, 0, func(*Term) clientv3.Op { return clientv3.OpDelete(shownKey(app)) })
}

// Leader names who leads an app now; not ok: nobody does, or the cluster does not answer.
func (b *Board) Leader(app state.App) (name string, ok bool) { return b.e.Leader(app) }

// Standing names those that would lead each app, the one that does first; nil: the cluster does not answer.
func (b *Board) Standing() map[state.App][]string { return b.e.leaders.standing() }

// Watch gives what is shown of every app, and then each change, until the context ends or the cluster does not answer any more. Data is nil
// for what is shown no more. A call that follows another tells, too, what was taken away in between.
func (b *Board) Watch(ctx context.Context, saw func(app state.App, data []byte)) error {
	client, err := b.e.s.dial()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx))
	defer cancel()
	one, end := context.WithTimeout(ctx, tryTime)
	got, err := client.Get(one, keyShown, clientv3.WithPrefix())
	end()
	if err != nil {
		return b.e.s.explain(err)
	}
	b.list(got, saw)
	for event := range client.Watch(ctx, keyShown, clientv3.WithPrefix(), clientv3.WithRev(got.Header.Revision+1)) {
		if err := event.Err(); err != nil {
			return b.e.s.explain(err)
		}
		for _, change := range event.Events {
			if app, ok := appOf(strings.TrimPrefix(string(change.Kv.Key), keyShown)); ok {
				b.tell(app, change.Kv.Value, change.Type == clientv3.EventTypeDelete, saw)
			}
		}
	}
	return ctx.Err()
}

// list tells what there is, and what is there no more.
func (b *Board) list(got *clientv3.GetResponse, saw func(state.App, []byte)) {
	there := map[state.App]bool{}
	for _, kv := range got.Kvs {
		if app, ok := appOf(strings.TrimPrefix(string(kv.Key), keyShown)); ok {
			there[app] = true
			b.tell(app, kv.Value, false, saw)
		}
	}
	b.mu.Lock()
	var gone []state.App
	for app := range b.seen {
		if !there[app] {
			gone = append(gone, app)
		}
	}
	b.mu.Unlock()
	for _, app := range gone {
		b.tell(app, nil, true, saw)
	}
}

func (b *Board) tell(app state.App, data []byte, gone bool, saw func(state.App, []byte)) {
	b.mu.Lock()
	if gone {
		delete(b.seen, app)
		data = nil
	} else {
		b.seen[app] = true
	}
	b.mu.Unlock()
	saw(app, data)
}

// leading does something under this daemon's term of an app.
func (b *Board) leading(ctx context.Context, app state.App, size int, do func(*Term) clientv3.Op) error {
	t, err := b.term(app)
	if err != nil {
		return err
	}
	var response *clientv3.TxnResponse
	err = b.e.s.single(ctx, timeFor(size), func(ctx context.Context, client *clientv3.Client) (err error) {
		response, err = client.Txn(ctx).If(t.leads()).Then(do(t)).Commit()
		return err
	})
	switch {
	case err != nil:
		return b.e.s.explain(err)
	case !response.Succeeded:
		t.lose()
		return b.notLeader(app)
	}
	return nil
}

// term gives this daemon's term of an app.
func (b *Board) term(app state.App) (*Term, error) {
	b.e.mu.Lock()
	s := b.e.session
	b.e.mu.Unlock()
	if s == nil {
		return nil, b.notLeader(app)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.terms[app]; t != nil {
		return t, nil
	}
	return nil, b.notLeader(app)
}

func (b *Board) notLeader(app state.App) error {
	return fmt.Errorf("%s and %s: %w", b.e.name, app, state.ErrNotLeader)
}

// leads is true in etcd as long as the term is not over.
func (t *Term) leads() clientv3.Cmp {
	return clientv3.Compare(clientv3.CreateRevision(t.key), "=", t.number)
}

func shownKey(app state.App) string { return keyShown + strings.TrimSuffix(dir(app), "/") }
