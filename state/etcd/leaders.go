package etcd

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/kamald/kamald/state"
)

// leaders is who stands for each app, as the cluster told last. The one who came first leads.
type leaders struct {
	mu      sync.Mutex
	known   bool
	anew    context.CancelFunc // ends the listening, which begins again
	entries map[string]stander // by key
}

type stander struct {
	name   string
	number int64
}

func (l *leaders) of(app state.App) (name string, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.known {
		return "", false
	}
	dir, first := leaderDir(app), int64(0)
	for key, s := range l.entries {
		if strings.HasPrefix(key, dir) && (first == 0 || s.number < first) {
			name, first = s.name, s.number
		}
	}
	return name, first > 0
}

// standing names those that stand for each app, the first first.
func (l *leaders) standing() map[state.App][]string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.known {
		return nil
	}
	keys := map[state.App][]string{}
	for key := range l.entries {
		if app, ok := appOf(strings.TrimPrefix(key, keyLeaders)); ok {
			keys[app] = append(keys[app], key)
		}
	}
	names := map[state.App][]string{}
	for app, list := range keys {
		slices.SortFunc(list, func(a, b string) int { return cmp.Compare(l.entries[a].number, l.entries[b].number) })
		for _, key := range list {
			names[app] = append(names[app], l.entries[key].name)
		}
	}
	return names
}

// lose forgets who leads until the cluster tells again.
func (l *leaders) lose() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.known = false
	if l.anew != nil {
		l.anew()
	}
}

// Leading tells who leads which app, asked of the cluster now.
func (s *Store) Leading() (map[state.App]string, error) {
	answers, _, err := s.read(clientv3.OpGet(keyLeaders, clientv3.WithPrefix()))
	if err != nil {
		return nil, err
	}
	found := leaders{known: true, entries: entriesOf(answers[0])}
	leading := map[state.App]string{}
	for key := range found.entries {
		if app, ok := appOf(strings.TrimPrefix(key, keyLeaders)); ok {
			leading[app], _ = found.of(app)
		}
	}
	return leading, nil
}

func entriesOf(got *clientv3.GetResponse) map[string]stander {
	entries := map[string]stander{}
	for _, kv := range got.Kvs {
		entries[string(kv.Key)] = stander{string(kv.Value), kv.CreateRevision}
	}
	return entries
}

// follow keeps up with who stands, until the elector is closed.
func (e *Elector) follow() {
	for pause := 50 * time.Millisecond; e.life.Err() == nil; pause = min(2*pause, 2*time.Second) {
		if e.followOnce() {
			pause = 50 * time.Millisecond
		}
		e.leaders.lose()
		select {
		case <-e.life.Done():
		case <-time.After(pause):
		}
	}
}

// followOnce lists, then listens from there on; met: it could list.
func (e *Elector) followOnce() (met bool) {
	ctx, cancel := context.WithCancel(clientv3.WithRequireLeader(e.life))
	defer cancel()
	var client *clientv3.Client
	var got *clientv3.GetResponse
	err := e.s.single(ctx, tryTime, func(ctx context.Context, c *clientv3.Client) (err error) {
		client = c
		got, err = c.Get(ctx, keyLeaders, clientv3.WithPrefix())
		return err
	})
	if err != nil {
		return false
	}
	e.leaders.mu.Lock()
	e.leaders.entries, e.leaders.known, e.leaders.anew = entriesOf(got), true, cancel
	e.leaders.mu.Unlock()
	e.missing(got)
	for event := range client.Watch(ctx, keyLeaders, clientv3.WithPrefix(), clientv3.WithRev(got.Header.Revision+1)) {
		if event.Err() != nil {
			return true
		}
		e.leaders.mu.Lock()
		for _, change := range event.Events {
			if change.Type == clientv3.EventTypeDelete {
				delete(e.leaders.entries, string(change.Kv.Key))
			} else {
				e.leaders.entries[string(change.Kv.Key)] = stander{string(change.Kv.Value), change.Kv.CreateRevision}
			}
		}
		e.leaders.mu.Unlock()
		for _, change := range event.Events {
			if change.Type == clientv3.EventTypeDelete {
				e.gone(string(change.Kv.Key), change.Kv.ModRevision)
			}
		}
	}
	return true
}

// gone ends a term whose key somebody took away, at a revision: another can lead then.
func (e *Elector) gone(key string, at int64) {
	e.terms(func(t *Term) bool { return t.key == key && t.number < at })
}

// missing ends the terms whose keys are not there.
func (e *Elector) missing(got *clientv3.GetResponse) {
	there := entriesOf(got)
	e.terms(func(t *Term) bool { return there[t.key].number != t.number && t.number <= got.Header.Revision })
}

// terms ends those terms that are over.
func (e *Elector) terms(isOver func(*Term) bool) {
	e.mu.Lock()
	s := e.session
	e.mu.Unlock()
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.terms {
		if isOver(t) {
			t.closeLocked()
		}
	}
}
