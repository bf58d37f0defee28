package console

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"sync"
	"time"
)

// How long a browser stays logged in, and how many may be.
const (
	sessionLife = 12 * time.Hour
	sessionIdle = 2 * time.Hour
	sessionMost = 1000
)

// sessions are the browsers that are logged in. They live in memory: a daemon that starts anew knows none. A session has the name of
// its token and nothing else of it; what is kept to find it by is a hash of what the browser holds.
type sessions struct {
	mu   sync.Mutex
	open map[string]*session
}

type session struct {
	token string // its name
	ends  time.Time
	used  time.Time
}

func (s *session) over(now time.Time) bool {
	return !now.Before(s.ends) || now.Sub(s.used) >= sessionIdle
}

// begin makes a session and gives what the browser is to hold. Beyond the limit the one that was used longest ago goes.
func (s *sessions) begin(token string, now time.Time) string {
	var random [32]byte
	_, _ = rand.Read(random[:]) // it never fails (crypto/rand)
	id := base64.RawURLEncoding.EncodeToString(random[:])
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open == nil {
		s.open = map[string]*session{}
	}
	oldest := ""
	for key, other := range s.open {
		if other.over(now) {
			delete(s.open, key)
		} else if oldest == "" || other.used.Before(s.open[oldest].used) {
			oldest = key
		}
	}
	if len(s.open) >= sessionMost {
		delete(s.open, oldest)
	}
	s.open[sessionKey(id)] = &session{token: token, ends: now.Add(sessionLife), used: now}
	return id
}

// use finds a session by what the browser holds: the name of its token, and its key here. It counts as used.
func (s *sessions) use(id string, now time.Time) (token, key string, ok bool) {
	key = sessionKey(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	found := s.open[key]
	if found == nil || found.over(now) {
		delete(s.open, key)
		return "", "", false
	}
	found.used = now
	return found.token, key, true
}

// lasts tells whether a session is still there, without using it.
func (s *sessions) lasts(key string, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := s.open[key]
	return found != nil && !found.over(now)
}

func (s *sessions) end(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, key)
}

func sessionKey(id string) string {
	hash := sha256.Sum256([]byte(id))
	return hex.EncodeToString(hash[:])
}
