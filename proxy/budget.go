package proxy

import (
	"errors"
	"math"
	"sync/atomic"
)

// errNoRoom is why a body is not buffered: the buffered bodies of all requests take all the disk they may.
var errNoRoom = errors.New("no room to buffer a body: the limit on buffered bytes on disk is reached")

// budget bounds what the buffered bodies of all requests take together, in bytes.
type budget struct {
	memory, disk         int64
	memoryUsed, diskUsed atomic.Int64
}

func newBudget(l Limits) *budget {
	return &budget{memory: l.BufferMemory, disk: l.BufferDisk}
}

func (b *budget) takeMemory(n int64) bool { return take(&b.memoryUsed, n, b.memory) }
func (b *budget) takeDisk(n int64) bool   { return take(&b.diskUsed, n, b.disk) }

func (b *budget) give(memory, disk int64) {
	b.memoryUsed.Add(-memory)
	b.diskUsed.Add(-disk)
}

// room is what one body may take when there is no other.
func (b *budget) room() int64 {
	if b.memory > math.MaxInt64-b.disk {
		return math.MaxInt64
	}
	return b.memory + b.disk
}

func take(used *atomic.Int64, n, limit int64) bool {
	if used.Add(n) > limit {
		used.Add(-n)
		return false
	}
	return true
}
