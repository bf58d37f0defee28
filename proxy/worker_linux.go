package proxy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// Variables by which a supervisor tells a worker what it is.
const (
	workerVariable   = "KAMALD_PROXY_WORKER"   // the descriptors, as JSON: []handedDown
	programVariable  = "KAMALD_PROXY_PROGRAM"  // the path that a restart runs
	handOverVariable = "KAMALD_PROXY_HANDOVER" // for another supervisor
)

const (
	// endGrace is how long idle connections of an old worker are left open for their client's next request, which is
	// answered with `Connection: close`.
	endGrace = 10 * time.Second
)

// handedDown is a descriptor that a supervisor gives to a worker. Packets is set for a socket of datagrams.
type handedDown struct {
	Name    string `json:"name"`
	FD      int    `json:"fd"`
	Packets bool   `json:"packets,omitempty"`
}

// worker serves with the sockets of a supervisor and does what that says.
type worker struct {
	server  *Server
	link    *link
	sockets *sockets
	program string
	out     [2]int // the descriptors that are standard output and error once the worker is in charge, or -1

	follower *follower
	ended    chan error

	mu      sync.Mutex
	results chan message
	lastID  int64
	follows map[int64]chan struct{}
}

// work runs a worker until it is told to end, or the supervisor is gone: then it ends at once, for nobody owns it.
func (in invocation) work(settings runSettings) error {
	w := &worker{sockets: newSockets(), program: in.env[programVariable], out: [2]int{-1, -1}, ended: make(chan error, 1), follows: map[int64]chan struct{}{}}
	if err := w.inherit(in.env[workerVariable]); err != nil {
		return fmt.Errorf("%s: %w", workerVariable, err)
	}
	c := settings.Config
	c.Listen, c.ListenPacket, c.Inherited = w.sockets.listen, w.sockets.listenPacket, true
	for name, port := range map[string]*int{"http": &c.HTTPPort, "https": &c.HTTPSPort, "metrics": &c.MetricsPort} {
		if p := w.sockets.port(name); p != 0 {
			*port = p
		}
	}
	w.server = NewServer(c)
	w.server.control.upgrade = w.upgrade
	w.server.control.followed = w.tellOlder
	path, err := os.Executable()
	if err != nil {
		return err
	}
	a := aboutProgram(path)
	if err := w.link.send(message{Kind: sayHello, About: &a, Pings: true}); err != nil {
		return err
	}
	go w.obey()
	err = w.run(in.ctx)
	if err != nil {
		_ = w.link.send(message{Kind: sayFailed, Error: err.Error()})
	}
	return err
}

func (w *worker) run(ctx context.Context) error {
	select {
	case <-ctx.Done():
		w.server.config.Log.Info("Server stopping")
		return w.server.Shutdown()
	case err := <-w.server.failed:
		return errors.Join(err, w.server.Shutdown())
	case err := <-w.ended:
		return err
	}
}

// inherit takes the descriptors and lets no child of ours have them.
func (w *worker) inherit(text string) error {
	var down []handedDown
	if err := json.Unmarshal([]byte(text), &down); err != nil {
		return err
	}
	for _, d := range down {
		syscall.CloseOnExec(d.FD)
		var err error
		switch d.Name {
		case "link":
			w.link, err = openLink(d.FD)
		case "stdout":
			w.out[0] = d.FD
		case "stderr":
			w.out[1] = d.FD
		default:
			err = w.sockets.add(d)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", d.Name, err)
		}
	}
	if w.link == nil {
		return errors.New("there is no link to the supervisor")
	}
	return nil
}

func (s *sockets) add(d handedDown) error {
	file := os.NewFile(uintptr(d.FD), d.Name)
	defer file.Close() // the package net has its own copy
	h := &heldSocket{name: d.Name}
	var err error
	if d.Packets {
		h.packets, err = net.FilePacketConn(file)
	} else {
		h.listener, err = net.FileListener(file)
	}
	if unix, ok := h.listener.(*net.UnixListener); ok {
		unix.SetUnlinkOnClose(false)
	}
	s.held = append(s.held, h)
	return err
}

// obey does what the supervisor says. What takes long is done beside the next message.
func (w *worker) obey() {
	for {
		m, err := w.link.receive()
		if err != nil {
			// The supervisor was killed. Its sockets would live on in this process and keep the next one off the ports.
			os.Exit(1)
		}
		switch m.Kind {
		case sayRestore:
			w.answer(sayReady, w.restore())
		case sayAccept:
			w.sockets.accept()
			w.takeOutput()
			w.answer(sayAccepting, nil)
		case sayFreeze:
			go func() { w.answer(sayFrozen, w.server.control.changes.freeze(m.Limit)) }()
		case sayThaw:
			w.follower = nil
			w.sockets.accept()
			w.server.control.changes.thaw()
		case sayYield:
			w.answer(sayYielded, w.yield())
		case sayFollow:
			go w.follow(m)
		case sayFollowed:
			w.heard(m.ID)
		case sayResult:
			w.deliver(m)
		case sayPing:
			_ = w.link.send(message{Kind: sayPong})
		case sayDrain:
			go w.drain(m.Limit)
		}
	}
}

// answer says that something is done. Services go with ready and frozen, for the supervisor compares those two.
func (w *worker) answer(kind string, err error) {
	m := message{Kind: kind, Services: map[string]string{}}
	if err != nil {
		m.Error = err.Error()
	}
	if kind == sayReady || kind == sayFrozen {
		for _, info := range w.server.router.List() {
			m.Services[info.Service] = info.State
		}
	}
	_ = w.link.send(m) // a supervisor that is gone ends this process
}

func (w *worker) restore() error { return w.server.Start() }

func (w *worker) yield() error {
	follower, err := newFollower(w.server.router)
	if err != nil {
		return err
	}
	w.follower = follower
	w.sockets.pause()
	return nil
}

// drain ends this worker: another one is in charge.
func (w *worker) drain(limit time.Duration) {
	changes := w.server.control.changes
	changes.handOver()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go w.follower.run(ctx)
	w.server.config.Log.Info("Old program finishes its requests", "limit", limit.String())
	w.ended <- w.server.end(endGrace, limit, true)
}

func (w *worker) follow(m message) {
	if w.follower != nil {
		w.follower.follow(m.Limit)
	}
	_ = w.link.send(message{Kind: sayFollowed, ID: m.ID})
}

// tellOlder has older workers, which may still have requests in flight on the targets that went, do what the state
// says now. wait returns when they have, or ctx ends.
func (w *worker) tellOlder(ctx context.Context, drain time.Duration) (wait func()) {
	done := make(chan struct{})
	w.mu.Lock()
	w.lastID++
	id := w.lastID
	w.follows[id] = done
	w.mu.Unlock()
	if err := w.link.send(message{Kind: sayFollow, ID: id, Limit: drain}); err != nil {
		w.heard(id)
	}
	return func() {
		select {
		case <-done:
		case <-ctx.Done():
		}
	}
}

func (w *worker) heard(id int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if done := w.follows[id]; done != nil {
		close(done)
		delete(w.follows, id)
	}
}

// upgrade verifies the new program and leaves the rest to the supervisor.
func (w *worker) upgrade(ctx context.Context, req upgradeRequest) (upgradeResult, error) {
	results := make(chan message, 1)
	w.mu.Lock()
	busy := w.results != nil
	if !busy {
		w.results = results
	}
	w.mu.Unlock()
	if busy {
		return upgradeResult{}, errors.New("another upgrade is under way")
	}
	defer func() {
		w.mu.Lock()
		w.results = nil
		w.mu.Unlock()
	}()
	if req.Binary == "" {
		req.Binary = w.program
	}
	if _, err := verifyProgram(ctx, req.Binary); err != nil {
		return upgradeResult{}, err
	}
	staged, err := stage(req.Binary, w.program)
	if err != nil {
		return upgradeResult{}, err
	}
	binary := req.Binary
	req.Binary = staged
	m := message{Kind: sayResult}
	if err := w.link.send(message{Kind: sayUpgrade, Upgrade: &req}); err != nil {
		m.Error = err.Error()
	} else {
		m = <-results // the supervisor bounds it; a caller that goes away does not stop what has begun
	}
	if m.Error != "" {
		if staged != binary {
			_ = removeStage(staged)
		}
		return upgradeResult{}, errors.New(m.Error)
	}
	if staged != binary {
		_ = removeStage(binary) // it has moved, like one that lay beside the old program
	}
	return *m.Result, nil
}

func (w *worker) deliver(m message) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.results != nil {
		w.results <- m
	}
}

// takeOutput lets this worker write where the supervisor does. Until it is in charge, what it writes is kept for the
// error of a failed upgrade.
func (w *worker) takeOutput() {
	for i, from := range w.out {
		if from >= 0 {
			_ = syscall.Dup3(from, i+1, 0)
			_ = syscall.Close(from)
			w.out[i] = -1
		}
	}
}
