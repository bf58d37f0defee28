package etcd

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/kamald/kamald/state"
)

// errOver: the session, or the place in the queue, is lost; a campaign begins anew.
var errOver = errors.New("the lease is lost")

// now is the time; its monotonic reading stands still while the machine sleeps, and its wall clock may be set: see session.holds.
var now = time.Now

// session is a lease and what hangs on it. It lasts from the moment before the request of the newest renewal that was answered: etcd may
// count from later, and never from earlier. A quarter of its time is left out, for clocks that run at another speed than etcd's.
type session struct {
	e     *Elector
	lease clientv3.LeaseID
	lasts time.Duration // since confirmed
	ttl   time.Duration
	life  context.Context // until it is over
	end   context.CancelFunc

	mu        sync.Mutex
	confirmed time.Time // when the newest renewal that was answered was sent
	isOver    bool
	timer     *time.Timer
	terms     map[state.App]*Term
	strays    map[string]time.Time // keys of ours that may be there, and that nobody stands behind: since when
	stands    int                  // every stand has a key of its own
}

// straysFor is how long a request whose answer was lost may still be carried out: what it made is taken away then, too.
const straysFor = 20 * time.Second

func (e *Elector) newSession(ctx context.Context) (*session, error) {
	sent := now()
	var granted *clientv3.LeaseGrantResponse
	err := e.s.single(ctx, tryTime, func(ctx context.Context, client *clientv3.Client) (err error) {
		granted, err = client.Grant(ctx, int64(e.ttl/time.Second))
		return err
	})
	if err != nil {
		return nil, err
	}
	ttl := time.Duration(granted.TTL) * time.Second
	s := &session{e: e, lease: granted.ID, ttl: ttl, lasts: ttl - ttl/4, confirmed: sent,
		terms: map[state.App]*Term{}, strays: map[string]time.Time{}}
	s.life, s.end = context.WithCancel(e.life)
	s.timer = time.AfterFunc(s.lasts, func() { s.holds() })
	return s, nil
}

// holds tells whether the lease is there for certain, and ends everything when it is not: once over, it stays over. It asks the clocks
// alone, so that it is right at the first moment after this process was stopped, or the machine slept.
func (s *session) holds() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.holdsLocked()
}

func (s *session) holdsLocked() bool {
	if s.isOver {
		return false
	}
	at := now()
	// A clock that is set forward ends it too soon, one that is set back not too late.
	if passed := max(at.Sub(s.confirmed), at.Round(0).Sub(s.confirmed.Round(0))); passed >= s.lasts {
		s.overLocked()
		return false
	}
	return true
}

// over ends every term.
func (s *session) over() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.overLocked()
}

func (s *session) overLocked() {
	if s.isOver {
		return
	}
	s.isOver = true
	s.timer.Stop()
	s.end()
	for _, t := range s.terms {
		t.closeLocked()
	}
}

// confirm notes that a renewal was answered that was sent at a time.
func (s *session) confirm(sent time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.holdsLocked() {
		return // it was over in between; whoever saw that must not see otherwise later
	}
	s.confirmed = sent
	s.timer.Reset(s.lasts - now().Sub(sent))
}

// keep renews the lease until it is over, and gives it back then.
func (s *session) keep() {
	for wait := s.ttl / 4; ; {
		select {
		case <-s.life.Done():
			s.over()
			if s.e.life.Err() == nil { // Close gives it back itself
				s.e.leaders.lose()
				_ = s.revoke() // it ends by itself
			}
			return
		case <-time.After(wait):
		}
		sent := now()
		err := s.renew()
		switch {
		case err == nil:
			s.confirm(sent)
			s.sweep()
			wait = s.ttl/4 - min(now().Sub(sent), s.ttl/4)
		case is(err, rpctypes.ErrGRPCLeaseNotFound):
			s.over()
		default:
			wait = min(s.ttl/16, time.Second)
		}
	}
}

// renew asks once, and leaves time for two other members to be asked: one that is silent keeps nobody from renewing.
func (s *session) renew() error {
	return s.e.s.single(s.life, max(s.ttl/8, 500*time.Millisecond), func(ctx context.Context, client *clientv3.Client) error {
		_, err := client.KeepAliveOnce(ctx, s.lease)
		return err
	})
}

// revoke gives the lease back, and with it every key that hangs on it.
func (s *session) revoke() error {
	err := s.e.s.single(s.e.s.life, tryTime, func(ctx context.Context, client *clientv3.Client) error {
		_, err := client.Revoke(ctx, s.lease)
		return err
	})
	if err != nil && !is(err, rpctypes.ErrGRPCLeaseNotFound) {
		return s.e.s.explain(err)
	}
	return nil
}

// strayLocked notes that nobody stands behind a key any more. While it is there nobody behind it comes to lead.
func (s *session) strayLocked(key string) { s.strays[key] = now() }

// drop takes a stray key away.
func (s *session) drop(key string) error {
	sent := now()
	err := s.e.s.single(s.e.s.life, tryTime, func(ctx context.Context, client *clientv3.Client) error {
		_, err := client.Delete(ctx, key)
		return err
	})
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if sent.Sub(s.strays[key]) > straysFor {
		delete(s.strays, key)
	}
	return nil
}

// sweep tries again to take away what could not be, or may have come since.
func (s *session) sweep() {
	s.mu.Lock()
	keys := slices.Collect(maps.Keys(s.strays))
	s.mu.Unlock()
	for _, key := range keys {
		_ = s.drop(key) // again after the next renewal
	}
}
