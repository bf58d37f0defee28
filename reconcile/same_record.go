package reconcile

import (
	"bytes"
	"sync"

	"github.com/kamald/kamald/state"
)

// sameRecord reads a record once that lies on every host of a fleet: it names them all, so reading it on each would cost their
// square.
type sameRecord struct {
	mu     sync.Mutex
	data   []byte
	record *state.Record
}

// parse gives the record that the text says; callers must not change it.
func (s *sameRecord) parse(data []byte, paths layout, n int) (*state.Record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.record != nil && bytes.Equal(s.data, data) {
		return s.record, nil
	}
	record, err := parseRecord(data, paths, n)
	if err != nil {
		return nil, err
	}
	s.data, s.record = data, &record
	return s.record, nil
}
