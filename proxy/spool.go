package proxy

import (
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"sync"
)

// A body takes memory in pieces, the first one small and each next one twice as large, as most bodies are small.
const (
	firstChunk = 2 << 10
	maxChunk   = 32 << 10
)

// errSpool is why a body could not be buffered for reasons of this machine: no room, a disk that does not work.
var errSpool = errors.New("buffering a body")

// spool holds a body: its first part in memory, as far as its own limit and everybody's budget allow, the rest in a
// temporary file that has no name any more.
type spool struct {
	memory int64 // bytes kept in memory at most
	budget *budget
	size   int64

	mu     sync.RWMutex // a reader that outlives the request finds it closed
	chunks [][]byte
	held   int64 // bytes of memory taken
	tail   *os.File
	onDisk int64
	closed bool
}

func newSpool(memory int64, b *budget) *spool {
	return &spool{memory: memory, budget: b}
}

// fill reads from to its end, or to one byte over limit if limit is more than 0, and returns the bytes read. An error
// that is no errSpool is the reader's.
func (s *spool) fill(from io.Reader, limit int64) (int64, error) {
	if limit > 0 && limit < math.MaxInt64 { // the largest is none
		from = io.LimitReader(from, limit+1)
	}
	for {
		chunk := s.nextChunk()
		if chunk == nil {
			return s.fillFile(from)
		}
		n, err := fillChunk(from, chunk)
		s.chunks = append(s.chunks, chunk[:n])
		s.size += int64(n)
		if err == io.EOF {
			return s.size, nil
		}
		if err != nil {
			return s.size, err
		}
	}
}

// reader returns a reader from the start. The spool must be filled.
func (s *spool) reader() io.Reader { return &spoolReader{spool: s} }

// close gives back what the body takes. A reader then fails.
func (s *spool) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.closed = true
	s.budget.give(s.held, s.onDisk)
	s.chunks = nil
	if s.tail != nil {
		_ = s.tail.Close()
	}
}

// nextChunk returns room for the next part in memory, nil when the rest goes to disk.
func (s *spool) nextChunk() []byte {
	room := min(s.memory-s.held, firstChunk<<min(len(s.chunks), 10), maxChunk)
	if room <= 0 || !s.budget.takeMemory(room) {
		return nil
	}
	s.held += room
	return make([]byte, room)
}

// fillFile writes the rest to disk.
func (s *spool) fillFile(from io.Reader) (int64, error) {
	buffer := copyBuffers.Get()
	defer copyBuffers.Put(buffer)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			if writeErr := s.writeFile(buffer[:n]); writeErr != nil {
				return s.size, fmt.Errorf("%w: %w", errSpool, writeErr)
			}
		}
		if err == io.EOF {
			return s.size, nil
		}
		if err != nil {
			return s.size, err
		}
	}
}

func (s *spool) writeFile(p []byte) error {
	if s.tail == nil {
		if err := s.open(); err != nil {
			return err
		}
	}
	if !s.budget.takeDisk(int64(len(p))) {
		return errNoRoom
	}
	s.onDisk += int64(len(p))
	n, err := s.tail.Write(p)
	s.size += int64(n)
	return err
}

func (s *spool) open() error {
	// A container made from scratch has no /tmp.
	if err := os.MkdirAll(os.TempDir(), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp("", "kamald-proxy-body-")
	if err != nil {
		return err
	}
	s.tail = f
	return os.Remove(f.Name())
}

// fillChunk reads until p is full or from ends, which is io.EOF. Unlike io.ReadFull it keeps the reader's own
// io.ErrUnexpectedEOF, a body that broke off, apart from its end.
func fillChunk(from io.Reader, p []byte) (n int, err error) {
	for n < len(p) && err == nil {
		var m int
		m, err = from.Read(p[n:])
		n += m
	}
	return n, err
}

// spoolReader reads a spool from the start.
type spoolReader struct {
	spool  *spool
	chunk  int   // the next to read from
	within int   // where in it
	disk   int64 // where in the file
}

func (r *spoolReader) Read(p []byte) (int, error) {
	s := r.spool
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return 0, http.ErrBodyReadAfterClose
	}
	for r.chunk < len(s.chunks) {
		n := copy(p, s.chunks[r.chunk][r.within:])
		r.within += n
		if r.within == len(s.chunks[r.chunk]) {
			r.chunk, r.within = r.chunk+1, 0
		}
		if n > 0 || len(p) == 0 {
			return n, nil
		}
	}
	if s.tail == nil {
		return 0, io.EOF
	}
	n, err := s.tail.ReadAt(p, r.disk)
	r.disk += int64(n)
	if n > 0 && err == io.EOF {
		err = nil
	}
	return n, err
}
