package etcd

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

const (
	clear       = 2 << 10 // up to so many bytes of JSON are kept as they are; more is compressed
	partLifeFor = 120     // seconds that a part may lie there without the value that it is of
)

// most is how many bytes one key holds: etcd takes requests up to 1.5 MiB. Tests make it small.
var most = 1 << 20

// A value at its key is JSON, or gzip of JSON, or says that it is in parts: what follows partsMark is their generation, their number and
// the SHA-256 of them together. JSON begins with neither '#' nor 0x1f.
const partsMark = "#parts "

func encode(value any) ([]byte, error) {
	data, err := json.Marshal(value)
	if err != nil || len(data) <= clear {
		return data, err
	}
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, err = w.Write(data)
	err = errors.Join(err, w.Close())
	return packed.Bytes(), err
}

func decode(encoded []byte, into any) error {
	if len(encoded) == 0 || encoded[0] != 0x1f {
		return json.Unmarshal(encoded, into)
	}
	r, err := gzip.NewReader(bytes.NewReader(encoded))
	if err != nil {
		return err
	}
	data, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	return json.Unmarshal(data, into)
}

// place is what puts a value at a key, in place of the one before and its parts.
type place struct {
	ops  []clientv3.Op
	text string // what is put at the key itself
	size int
	done func() // when it was put, or was not: what is not part of a value goes
}

// placing prepares to put a value at a key. One that is too large for one key is written in parts ahead of that; until the transaction
// that makes a value of them they hang on a lease, so that nothing stays of them when this process dies, or another was faster.
func (s *Store) placing(k key, encoded []byte) (place, error) {
	if len(encoded) <= most {
		return place{ops: []clientv3.Op{clientv3.OpPut(k.value(), string(encoded)), clientv3.OpDelete(k.parts(), clientv3.WithPrefix())},
			text: string(encoded), size: len(encoded), done: func() {}}, nil
	}
	var lease clientv3.LeaseID
	err := s.attempt(tryTime, func(ctx context.Context, client *clientv3.Client) error {
		granted, err := client.Grant(ctx, partLifeFor)
		if err == nil {
			lease = granted.ID
		}
		return err
	})
	if err != nil {
		return place{}, err
	}
	p := place{done: func() { s.revoke(lease) }}
	generation := strconv.FormatInt(int64(lease), 16)
	own := k.parts() + generation
	p.ops = []clientv3.Op{
		clientv3.OpDelete(k.parts(), clientv3.WithRange(own+"/")),
		clientv3.OpDelete(own+"0", clientv3.WithRange(clientv3.GetPrefixRangeEnd(k.parts()))), // '0' comes after '/'
	}
	parts := 0
	for rest := encoded; len(rest) > 0; parts++ {
		n := min(len(rest), most)
		at := own + "/" + padded(uint64(parts))
		_, err := s.write(change{then: []clientv3.Op{clientv3.OpPut(at, string(rest[:n]), clientv3.WithLease(lease))}, size: n})
		if err != nil {
			p.done()
			return place{}, err
		}
		p.ops = append(p.ops, clientv3.OpPut(at, "", clientv3.WithIgnoreValue())) // it hangs on no lease then
		rest = rest[n:]
	}
	sum := sha256.Sum256(encoded)
	p.text = fmt.Sprint(partsMark, generation, " ", parts, " ", hex.EncodeToString(sum[:]))
	p.ops = append(p.ops, clientv3.OpPut(k.value(), p.text))
	return p, nil
}

// revoke ends a lease; one that cannot be ended ends by itself.
func (s *core) revoke(lease clientv3.LeaseID) {
	_ = s.attempt(tryTime, func(ctx context.Context, client *clientv3.Client) error {
		_, err := client.Revoke(ctx, lease)
		if err != nil && is(err, rpctypes.ErrGRPCLeaseNotFound) {
			return nil
		}
		return err
	})
}

// whole gives what is at a key, put together where it is in parts, as it was at a revision. errMoved: that is forgotten already.
func (s *core) whole(ctx context.Context, client *clientv3.Client, kv *mvccpb.KeyValue, revision int64) ([]byte, error) {
	text, inParts := bytes.CutPrefix(kv.Value, []byte(partsMark))
	if !inParts {
		return kv.Value, nil
	}
	var generation, sum string
	var parts int
	if _, err := fmt.Sscanf(string(text), "%s %d %s", &generation, &parts, &sum); err != nil {
		return nil, s.damaged(string(kv.Key), err)
	}
	at := key(strings.TrimPrefix(string(kv.Key), keyValues)).parts() + generation + "/"
	var encoded []byte
	for i := range parts { // one by one: an attempt's time is for one of them
		got, err := client.Get(ctx, at+padded(uint64(i)), clientv3.WithRev(revision))
		if err != nil {
			if is(err, rpctypes.ErrGRPCCompacted) {
				return nil, errMoved
			}
			return nil, err
		}
		if len(got.Kvs) == 0 {
			return nil, s.damaged(string(kv.Key), fmt.Errorf("part %d of %d is not there", i+1, parts))
		}
		encoded = append(encoded, got.Kvs[0].Value...)
	}
	if found := sha256.Sum256(encoded); hex.EncodeToString(found[:]) != sum {
		return nil, s.damaged(string(kv.Key), errors.New("its parts are not what was written"))
	}
	return encoded, nil
}

// valueAt reads what is at one key, and the revision that it is of; errMoved: nothing is, any more.
func (s *core) valueAt(k key) (encoded []byte, revision int64, err error) {
	err = s.attempt(tryTime, func(ctx context.Context, client *clientv3.Client) error {
		answers, at, err := s.readOnce(ctx, client, clientv3.OpGet(k.value()))
		if err != nil {
			return err
		}
		if len(answers[0].Kvs) == 0 {
			return &settled{errMoved}
		}
		revision = answers[0].Kvs[0].ModRevision
		encoded, err = s.whole(ctx, client, answers[0].Kvs[0], at)
		return err
	})
	return encoded, revision, err
}

func (s *core) damaged(key string, err error) error {
	return &settled{s.misuse("what is at %s does not read: %w\n  next: the servers have the truth; `etcdctl del %s` takes it away", key, err, key)}
}
