package etcd

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/kamald/kamald/state"
)

// patience is how long a call waits for the cluster in all, through the election of its leader. While it is away already, calls wait
// for two short attempts alone, of which a silent member has one: the many calls of one round would add up otherwise. Tests make it short.
var (
	patience      = 8 * time.Second
	shortPatience = 2500 * time.Millisecond
	tryTime       = 2 * time.Second // of one attempt with little in it
)

// change is a writing transaction: what to do when the conditions hold, and what otherwise.
type change struct {
	app       state.App // that is known from then on; the zero App: none
	when      []clientv3.Cmp
	then      []clientv3.Op
	otherwise []clientv3.Op
	size      int // of what is sent, in bytes
	// unsure is told that an attempt may have been carried out without an answer, and another follows.
	unsure func()
}

// outcome is what became of a transaction.
type outcome struct {
	held     bool  // the conditions did, and then was done
	revision int64 // the cluster's
	answers  []*clientv3.GetResponse
}

// write carries out a change, under the schema that this kamald knows and the term of the store.
func (s *Store) write(c change) (outcome, error) {
	inner := clientv3.OpTxn(c.when, append(c.then, c.index()...), c.otherwise)
	outer := []clientv3.Cmp{clientv3.Compare(clientv3.Value(keySchema), "=", schemaText)}
	instead := []clientv3.Op{clientv3.OpGet(keySchema)}
	if s.term != nil {
		outer = append(outer, clientv3.Compare(clientv3.CreateRevision(s.term.key), "=", s.term.number))
		instead = append(instead, clientv3.OpGet(s.term.key))
	}
	var result outcome
	attempted := false
	err := s.attempt(timeFor(c.size), func(ctx context.Context, client *clientv3.Client) error {
		if attempted && c.unsure != nil {
			c.unsure()
		}
		attempted = true
		before := s.memory.newest()
		response, err := client.Txn(ctx).If(outer...).Then(inner).Else(instead...).Commit()
		if err != nil {
			return err
		}
		restored := s.memory.seen(before, response.Header)
		if !response.Succeeded {
			if err := s.refused(response); err != nil {
				return err
			}
			attempted = false
			return s.found(ctx, client)
		}
		of := response.Responses[0].GetResponseTxn()
		// What was compared alone was compared with what may never have been there.
		result = outcome{held: of.Succeeded && !(restored && len(c.then) == 0), revision: response.Header.Revision}
		for _, one := range of.Responses {
			if got := one.GetResponseRange(); got != nil {
				result.answers = append(result.answers, (*clientv3.GetResponse)(got))
			}
		}
		return nil
	})
	return result, err
}

// index has the app in the list of apps.
func (c change) index() []clientv3.Op {
	if c.app == (state.App{}) {
		return nil
	}
	at := indexKey(c.app)
	return []clientv3.Op{clientv3.OpTxn([]clientv3.Cmp{clientv3.Compare(clientv3.CreateRevision(at), "=", 0)}, []clientv3.Op{clientv3.OpPut(at, "")}, nil)}
}

// refused tells why a change was: nil when the cluster only has no schema yet.
func (s *Store) refused(response *clientv3.TxnResponse) error {
	if s.term != nil {
		own := response.Responses[1].GetResponseRange()
		if len(own.Kvs) == 0 || own.Kvs[0].CreateRevision != s.term.number {
			s.term.lose()
			return &settled{fmt.Errorf("the store in %s took nothing: the term of %s for %s is over: %w", s.name(), s.term.name, s.term.app, state.ErrNotLeader)}
		}
	}
	return s.checkSchema((*clientv3.GetResponse)(response.Responses[0].GetResponseRange()))
}

// found writes the schema into a cluster that has none; the attempt is to be made again then.
func (s *core) found(ctx context.Context, client *clientv3.Client) error {
	_, err := client.Txn(ctx).If(clientv3.Compare(clientv3.CreateRevision(keySchema), "=", 0)).Then(clientv3.OpPut(keySchema, schemaText)).Commit()
	if err != nil {
		return err
	}
	return errMoved
}

func (s *core) checkSchema(got *clientv3.GetResponse) error {
	if len(got.Kvs) == 0 {
		return nil
	}
	text := string(got.Kvs[0].Value)
	version, err := strconv.Atoi(text)
	if err != nil || version < 1 {
		return &settled{s.misuse("%s is %q there, and is none of kamald's\n  next: give kamald a cluster of its own", keySchema, text)}
	}
	if version > Schema {
		return &settled{s.misuse("it was written by a newer kamald (schema %d; this one knows %d)\n  next: upgrade this kamald", version, Schema)}
	}
	return nil
}

// read asks for several things as they are at one moment, which is given too.
func (s *core) read(ops ...clientv3.Op) (answers []*clientv3.GetResponse, revision int64, err error) {
	err = s.attempt(tryTime, func(ctx context.Context, client *clientv3.Client) error {
		answers, revision, err = s.readOnce(ctx, client, ops...)
		return err
	})
	return answers, revision, err
}

func (s *core) readOnce(ctx context.Context, client *clientv3.Client, ops ...clientv3.Op) (answers []*clientv3.GetResponse, revision int64, err error) {
	before := s.memory.newest()
	response, err := client.Txn(ctx).Then(append(ops, clientv3.OpGet(keySchema))...).Commit()
	if err != nil {
		return nil, 0, err
	}
	if s.memory.seen(before, response.Header) {
		return nil, 0, errMoved // what was asked for may have depended on what was remembered
	}
	for _, one := range response.Responses {
		answers = append(answers, (*clientv3.GetResponse)(one.GetResponseRange()))
	}
	last := len(answers) - 1
	return answers[:last], response.Header.Revision, s.checkSchema(answers[last])
}

// attempt does something until it succeeds, fails for good or has had its time, and notes whether the cluster answers. What it does must
// bear being done again when its answer was lost.
func (s *core) attempt(each time.Duration, do func(context.Context, *clientv3.Client) error) error {
	whole := max(patience, 2*each)
	if since, _ := s.contact.lost(); !since.IsZero() {
		whole = max(shortPatience, each)
		each = whole / 2
	}
	ctx, cancel := context.WithTimeout(s.life, whole)
	defer cancel()
	var err error
	for pause := 20 * time.Millisecond; ; pause = min(2*pause, 500*time.Millisecond) {
		last := s.once(ctx, each, do)
		if err == nil || last == nil || !errors.Is(last, context.DeadlineExceeded) {
			err = last // that the time is over says less than what came before
		}
		if last == nil || s.life.Err() != nil || !passing(last) {
			break
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
		if ctx.Err() != nil {
			break
		}
	}
	if s.life.Err() != nil && err != nil {
		err = errClosed
	}
	if err != nil && away(err) {
		if why := s.why(); why != "" {
			err = fmt.Errorf("%s: %w", why, err)
		}
	}
	if err != nil && s.life.Err() == nil && away(err) {
		s.contact.failed(s.explain(err))
	}
	return s.explain(err)
}

// single makes one request, which is not made again here but with a password that was changed, and notes whether the cluster answers.
func (s *core) single(ctx context.Context, each time.Duration, do func(context.Context, *clientv3.Client) error) error {
	sent := time.Now()
	err := s.once(ctx, each, do)
	if errors.Is(err, errUser) {
		err = s.once(ctx, each, do)
	}
	if err != nil && ctx.Err() == nil && away(err) {
		s.contact.doubt(sent, len(s.config.Endpoints)/2+1, s.explain(err))
	}
	return err
}

// once makes one attempt. A member that has no leader says so at once, and another can be asked.
func (s *core) once(ctx context.Context, each time.Duration, do func(context.Context, *clientv3.Client) error) error {
	client, err := s.dial()
	if err != nil {
		return err
	}
	one, cancel := context.WithTimeout(clientv3.WithRequireLeader(ctx), each)
	defer cancel()
	err = do(one, client)
	switch {
	case err == nil:
		s.contact.met()
	case is(err, rpctypes.ErrGRPCAuthFailed) && s.outdated(client):
		err = fmt.Errorf("%w: %w", errUser, err)
	}
	return err
}

// timeFor is how long one attempt to send so much may take, over a slow line too.
func timeFor(size int) time.Duration {
	return tryTime + time.Duration(size/(256<<10))*time.Second
}
