package proxy

import (
	"crypto/rand"
	"encoding/binary"
)

// closeGoingAway is the status of a close frame that says the server goes away (RFC 6455, section 7.4.1).
const closeGoingAway = 1001

// frameScanner follows one direction of a websocket, so that a frame can be put in between two others. It looks at no
// payload.
type frameScanner struct {
	head     [14]byte
	have     int    // bytes of the head so far
	left     uint64 // bytes of the payload to come
	sawClose bool   // a close frame has begun: nothing may come after it
}

// atBoundary says whether the next byte begins a frame.
func (s *frameScanner) atBoundary() bool { return s.have == 0 && s.left == 0 }

// scan follows bytes and returns how many: all of them, or with stop those up to the next boundary.
func (s *frameScanner) scan(p []byte, stop bool) (n int) {
	for n < len(p) && !(stop && s.atBoundary()) {
		if s.left > 0 {
			step := min(s.left, uint64(len(p)-n))
			s.left -= step
			n += int(step)
			continue
		}
		s.head[s.have] = p[n]
		s.have++
		n++
		if s.have >= 2 && s.have == s.headSize() {
			s.begin()
		}
	}
	return n
}

// headSize is known once the first two bytes are there (RFC 6455, section 5.2).
func (s *frameScanner) headSize() int {
	size := 2
	switch s.head[1] & 0x7f {
	case 126:
		size += 2
	case 127:
		size += 8
	}
	if s.head[1]&0x80 != 0 {
		size += 4 // the mask
	}
	return size
}

func (s *frameScanner) begin() {
	switch n := s.head[1] & 0x7f; n {
	case 126:
		s.left = uint64(binary.BigEndian.Uint16(s.head[2:]))
	case 127:
		s.left = binary.BigEndian.Uint64(s.head[2:])
	default:
		s.left = uint64(n)
	}
	s.sawClose = s.sawClose || s.head[0]&0x0f == 8
	s.have = 0
}

// closeFrame returns a close frame; that of a client is masked.
func closeFrame(status uint16, masked bool) []byte {
	frame := []byte{0x88, 2, byte(status >> 8), byte(status)}
	if !masked {
		return frame
	}
	var mask [4]byte
	_, _ = rand.Read(mask[:]) // never fails: it ends the program instead
	return []byte{0x88, 0x82, mask[0], mask[1], mask[2], mask[3], frame[2] ^ mask[0], frame[3] ^ mask[1]}
}
