package proxy

import (
	"bytes"
	"fmt"
	"io"
	"os"
)

// spool holds a body: its first part in memory, the rest in a temporary file that has no name any more.
type spool struct {
	memory int64 // bytes kept in memory at most
	head   bytes.Buffer
	tail   *os.File
	size   int64
}

func newSpool(memory int64) *spool {
	return &spool{memory: memory}
}

// fill reads from to its end, or to one byte over limit if limit is more than 0, and returns the bytes read.
func (s *spool) fill(from io.Reader, limit int64) (int64, error) {
	if limit > 0 {
		from = io.LimitReader(from, limit+1)
	}
	n, err := io.Copy(&s.head, io.LimitReader(from, s.memory))
	s.size = n
	if err != nil || n < s.memory {
		return n, err
	}
	var next [1]byte
	if _, err := io.ReadFull(from, next[:]); err != nil {
		if err == io.EOF {
			return n, nil
		}
		return n, err
	}
	if err := s.open(); err != nil {
		return n, err
	}
	rest, err := io.Copy(s.tail, io.MultiReader(bytes.NewReader(next[:]), from))
	s.size += rest
	return s.size, err
}

// reader returns a reader from the start. The spool must be filled and open.
func (s *spool) reader() io.Reader {
	head := bytes.NewReader(s.head.Bytes())
	if s.tail == nil {
		return head
	}
	return io.MultiReader(head, io.NewSectionReader(s.tail, 0, s.size-int64(s.head.Len())))
}

func (s *spool) close() {
	if s.tail != nil {
		_ = s.tail.Close()
	}
}

func (s *spool) open() error {
	// A container made from scratch has no /tmp.
	if err := os.MkdirAll(os.TempDir(), 0o700); err != nil {
		return fmt.Errorf("buffering a body on disk: %w", err)
	}
	f, err := os.CreateTemp("", "kamald-proxy-body-")
	if err != nil {
		return fmt.Errorf("buffering a body on disk: %w", err)
	}
	s.tail = f
	return os.Remove(f.Name())
}
