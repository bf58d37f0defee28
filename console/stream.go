package console

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/kamald/kamald/reconcile/loop"
)

// The limits of streams of events. Whoever reads slower than it writes is cut off; a browser comes again by itself.
const (
	streamMost  = 128 // at once
	streamEach  = 16  // of one principal
	streamLife  = time.Hour
	streamBeat  = 15 * time.Second
	streamWrite = 10 * time.Second
)

// streams counts those that are open.
type streams struct {
	mu  sync.Mutex
	all int
	by  map[string]int
}

func (s *streams) take(who string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.by == nil {
		s.by = map[string]int{}
	}
	if s.all >= streamMost || s.by[who] >= streamEach {
		return false
	}
	s.all++
	s.by[who]++
	return true
}

func (s *streams) leave(who string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all--
	if s.by[who]--; s.by[who] == 0 {
		delete(s.by, who)
	}
}

// getEvents streams notices of what the principal sees until they go, their session ends, or an hour has passed.
func (s *Server) getEvents(c *call) error {
	only := c.r.URL.Query().Get("app")
	if only != "" {
		if _, err := AppOf(only); err != nil {
			return bad(err.Error(), "")
		}
	}
	if !s.streams.take(c.by.Name) {
		return failure{status: http.StatusTooManyRequests, retry: 30, text: "too many streams of events are open", next: "close others, or ask GET /v1/apps now and then"}
	}
	defer s.streams.leave(c.by.Name)
	out := stream{c: c, control: http.NewResponseController(c.w)}
	ctx, cancel := c.lasting()
	defer cancel()
	notices := s.opts.Daemon.Subscribe(ctx)
	c.w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
	c.w.WriteHeader(http.StatusOK)
	if out.write("retry: 2000\n\n") != nil {
		return nil
	}
	beat, life := time.NewTicker(streamBeat), time.NewTimer(streamLife)
	defer beat.Stop()
	defer life.Stop()
	for {
		var err error
		select {
		case notice, ok := <-notices:
			if !ok {
				return nil
			}
			err = s.tell(out, notice, only)
		case <-beat.C:
			if !s.lasting(c.by) {
				return nil
			}
			err = out.write(": still here\n\n")
		case <-life.C:
			return nil
		case <-ctx.Done():
			return nil
		}
		if err != nil {
			return nil // whoever listened is gone
		}
	}
}

func (s *Server) tell(out stream, notice loop.Notice, only string) error {
	name := NameOf(notice.App)
	if !out.c.by.Sees(notice.App) || only != "" && name != only {
		return nil
	}
	data, err := json.Marshal(NoticeEvent{Schema, name, trimmed(notice)})
	if err != nil {
		return err
	}
	return out.write(fmt.Sprintf("event: %s\ndata: %s\n\n", notice.Kind, data))
}

// trimmed is a notice as others may have it: its values are not the daemon's own.
func trimmed(notice loop.Notice) loop.Notice {
	if notice.Status != nil {
		status := appOf(*notice.Status).Status
		notice.Status = &status
	}
	if notice.Ticket != nil {
		ticket := ticketOf(*notice.Ticket)
		notice.Ticket = &ticket
	}
	return notice
}

type stream struct {
	c       *call
	control *http.ResponseController
}

func (s stream) write(text string) error {
	_ = s.control.SetWriteDeadline(time.Now().Add(streamWrite)) // where it can be set
	if _, err := s.c.w.Write([]byte(text)); err != nil {
		return err
	}
	return s.control.Flush()
}
