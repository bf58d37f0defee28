package main

import (
	"net"
	"sync"
	"time"
)

// delayed is a TCP proxy on loopback that hands every chunk on after a delay, each way, and holds back no throughput.
type delayed struct {
	listener net.Listener
	target   string
	delay    time.Duration

	mu    sync.Mutex
	conns []net.Conn
	ended bool
}

func newDelayed(target string, delay time.Duration) (*delayed, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	d := &delayed{listener: listener, target: target, delay: delay}
	go d.serve()
	return d, nil
}

func (d *delayed) port() int { return d.listener.Addr().(*net.TCPAddr).Port }

// close ends the proxy and every connection through it.
func (d *delayed) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ended = true
	_ = d.listener.Close()
	for _, conn := range d.conns {
		_ = conn.Close()
	}
}

func (d *delayed) serve() {
	for {
		near, err := d.listener.Accept()
		if err != nil {
			return // closed
		}
		far, err := net.Dial("tcp", d.target)
		if err != nil {
			_ = near.Close()
			continue
		}
		d.mu.Lock()
		if d.ended {
			_, _ = near.Close(), far.Close()
		}
		d.conns = append(d.conns, near, far)
		d.mu.Unlock()
		go d.pass(near, far)
		go d.pass(far, near)
	}
}

// chunk is what was read at once, and when it is due at the other end.
type chunk struct {
	data []byte
	due  time.Time
}

// pass hands on one direction. The queue is long enough that reading never waits for what is under way.
func (d *delayed) pass(from, to net.Conn) {
	queue := make(chan chunk, 1<<14)
	go func() {
		defer close(queue)
		for {
			data := make([]byte, 64<<10)
			n, err := from.Read(data)
			quickAck(from)
			if n > 0 {
				queue <- chunk{data[:n], time.Now().Add(d.delay)}
			}
			if err != nil {
				return
			}
		}
	}()
	for c := range queue {
		time.Sleep(time.Until(c.due))
		if _, err := to.Write(c.data); err != nil {
			break
		}
	}
	_, _ = to.Close(), from.Close()
	for range queue { // the reader ends with its connection
	}
}
