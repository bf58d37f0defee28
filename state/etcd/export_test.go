package etcd

import "time"

// SetPatience makes calls wait less for a cluster that is away.
func SetPatience(whole, short, try time.Duration) (back func()) {
	w, s, t := patience, shortPatience, tryTime
	patience, shortPatience, tryTime = whole, short, try
	return func() { patience, shortPatience, tryTime = w, s, t }
}

// SetMost makes what one key holds small, so that values come in parts.
func SetMost(bytes int) (back func()) {
	before := most
	most = bytes
	return func() { most = before }
}

// SetRemembered leaves so much room for release records in memory.
func SetRemembered(bytes int) (back func()) {
	before := remembered
	remembered = bytes
	return func() { remembered = before }
}

// Lose has the store believe that the cluster does not answer, until something is answered.
func (s *Store) Lose() { s.contact.failed(ErrAway) }
