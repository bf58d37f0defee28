package etcd

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/kamald/kamald/state"
)

// A question lies below its app until a leader takes it, and the answer under its own key. Both hang on a lease of whoever asks, so that
// nothing stays of one that is gone.
const (
	keyAsked    = prefix + "v1/asked/"
	keyAnswered = prefix + "v1/answered/"

	askedFor   = 90 * time.Second // the lease
	answerTime = 30 * time.Second // how long an answer may take once somebody has taken the question
	answerWork = 25 * time.Second // how long of that whoever took it has for its work
	answerLast = 3 * time.Second  // the same from when it is to answer no more
)

// ErrNotTaken: no leader of the app has taken the question in time, and none will any more.
var ErrNotTaken = errors.New("nobody who leads the app has taken the question")

// asked is a question as it lies there.
type asked struct {
	Question []byte           `json:"question"`
	Lease    clientv3.LeaseID `json:"lease"`
}

// Ask puts a question to whoever leads an app, and waits for the answer: until the context ends for somebody to take it, and half a minute
// more for the answer of one who has. ErrNotTaken: nobody has, and nobody will.
func (b *Board) Ask(ctx context.Context, app state.App, question []byte) ([]byte, error) {
	client, err := b.e.s.dial()
	if err != nil {
		return nil, err
	}
	whole, cancel := context.WithTimeout(clientv3.WithRequireLeader(context.WithoutCancel(ctx)), askedFor)
	defer cancel()
	defer context.AfterFunc(b.e.life, cancel)()
	q := query{b: b, client: client, id: rand.Text()[:16]}
	q.key = keyAsked + dir(app) + q.id
	if err := q.grant(ctx); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotTaken, b.e.s.explain(err))
	}
	defer q.clear()
	if err := q.put(ctx, question); err != nil {
		return nil, b.e.s.explain(err)
	}
	return q.await(ctx, whole)
}

// query is one question that was put.
type query struct {
	b      *Board
	client *clientv3.Client
	id     string
	key    string
	lease  clientv3.LeaseID
	from   int64 // the revision at which it was put
}

func (q *query) grant(ctx context.Context) error {
	return q.b.e.s.single(ctx, tryTime, func(ctx context.Context, client *clientv3.Client) error {
		granted, err := client.Grant(ctx, int64(askedFor/time.Second))
		if err == nil {
			q.lease = granted.ID
		}
		return err
	})
}

func (q *query) put(ctx context.Context, question []byte) error {
	ctx, cancel := context.WithTimeout(clientv3.WithRequireLeader(ctx), timeFor(len(question)))
	defer cancel()
	data, err := json.Marshal(asked{question, q.lease})
	if err != nil {
		return err
	}
	response, err := q.client.Put(ctx, q.key, string(data), clientv3.WithLease(q.lease))
	if err != nil {
		return fmt.Errorf("it may have been taken: %w", err)
	}
	q.from = response.Header.Revision
	return nil
}

// errLeft: the connection by which an answer was waited for has been closed.
var errLeft = errors.New("the connection was closed meanwhile")

// await waits for the answer. patient ends when nobody who has not taken it may do so any more, whole ends all.
func (q *query) await(patient, whole context.Context) ([]byte, error) {
	answers := make(chan []byte, 1)
	failed := make(chan error, 1)
	go func() {
		for event := range q.client.Watch(whole, keyAnswered+q.id, clientv3.WithRev(q.from)) {
			if err := event.Err(); err != nil {
				failed <- err
				return
			}
			for _, change := range event.Events {
				if change.Type == clientv3.EventTypePut {
					answers <- change.Kv.Value
					return
				}
			}
		}
		err := context.Cause(whole)
		if err == nil {
			err = errLeft
		}
		failed <- err
	}()
	late := (<-chan time.Time)(nil)
	for over := patient.Done(); ; over = nil {
		select {
		case data := <-answers:
			return data, nil
		case err := <-failed:
			if q.takeBack() {
				return nil, ErrNotTaken
			}
			return nil, q.b.e.s.explain(err)
		case <-late:
			return nil, errors.New("it may have been taken, and was not answered in time")
		case <-over:
			if q.takeBack() {
				return nil, ErrNotTaken
			}
			late = time.After(answerTime)
		}
	}
}

// takeBack tells whether nobody had taken the question; then nobody can any more.
func (q *query) takeBack() bool {
	ctx, cancel := context.WithTimeout(clientv3.WithRequireLeader(q.b.e.life), tryTime)
	defer cancel()
	gone, err := q.client.Delete(ctx, q.key)
	return err == nil && gone.Deleted > 0
}

// clear gives the lease back, and with it what lies there of the question.
func (q *query) clear() {
	ctx, cancel := context.WithTimeout(q.b.e.s.life, tryTime)
	defer cancel()
	_, _ = q.client.Revoke(ctx, q.lease) // it ends by itself
}

// Answer takes the questions about an app that this daemon leads, each once, until the context ends or the cluster does not answer any more.
// They are answered at the same time. It returns when all of them are: soon after the context has ended, which ends theirs.
func (b *Board) Answer(ctx context.Context, app state.App, answer func(ctx context.Context, question []byte) []byte) error {
	client, err := b.e.s.dial()
	if err != nil {
		return err
	}
	var under sync.WaitGroup
	defer under.Wait()
	answers := ctx
	ctx, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx))
	defer cancel()
	one, end := context.WithTimeout(ctx, tryTime)
	got, err := client.Get(one, keyAsked+dir(app), clientv3.WithPrefix())
	end()
	if err != nil {
		return b.e.s.explain(err)
	}
	take := func(key string, made int64, value []byte) {
		under.Go(func() {
			b.answerOne(ctx, client, app, key, made, value, func(question []byte) []byte {
				within, cancel := whileAnswering(answers)
				defer cancel()
				return answer(within, question)
			})
		})
	}
	for _, kv := range got.Kvs {
		take(string(kv.Key), kv.CreateRevision, kv.Value)
	}
	for event := range client.Watch(ctx, keyAsked+dir(app), clientv3.WithPrefix(), clientv3.WithRev(got.Header.Revision+1), clientv3.WithFilterDelete()) {
		if err := event.Err(); err != nil {
			return b.e.s.explain(err)
		}
		for _, change := range event.Events {
			take(string(change.Kv.Key), change.Kv.CreateRevision, change.Kv.Value)
		}
	}
	return ctx.Err()
}

// answerOne takes a question, unless another has, or this daemon leads no more.
func (b *Board) answerOne(ctx context.Context, client *clientv3.Client, app state.App, key string, made int64, value []byte, answer func([]byte) []byte) {
	var q asked
	t, err := b.term(app)
	if err != nil || json.Unmarshal(value, &q) != nil || !t.Holds() {
		return
	}
	one, cancel := context.WithTimeout(ctx, tryTime)
	taken, err := client.Txn(one).If(clientv3.Compare(clientv3.CreateRevision(key), "=", made), t.leads()).Then(clientv3.OpDelete(key)).Commit()
	cancel()
	if err != nil || !taken.Succeeded {
		return // whoever asks hears that nobody has taken it, or that it is not known
	}
	data := answer(q.Question)
	id := key[len(keyAsked+dir(app)):]
	one, cancel = context.WithTimeout(clientv3.WithRequireLeader(b.e.s.life), timeFor(len(data)))
	defer cancel()
	_, _ = client.Put(one, keyAnswered+id, string(data), clientv3.WithLease(q.Lease)) // whoever asked may be gone
}

// whileAnswering is what an answer may take its time in. What is nearly done when no more is to be answered is let end.
func whileAnswering(answers context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(answers), answerWork)
	stop := context.AfterFunc(answers, func() { time.AfterFunc(answerLast, cancel) })
	return ctx, func() { stop(); cancel() }
}
