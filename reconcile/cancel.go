package reconcile

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/kamald/kamald/plan"
)

// cancelEvery is the pause between two looks of a running release for a request to end. The looks are beside its steps and
// cost them nothing.
const cancelEvery = 2 * time.Second

// CancelledError: somebody asked the running release to end.
type CancelledError struct{ Who, Where, Why string }

func (e *CancelledError) Error() string { return e.By() + ": " + e.Why }

// By says who it was.
func (e *CancelledError) By() string {
	return fmt.Sprintf("cancelled by %s@%s", orUnknown(e.Who), e.Where)
}

// cancelRequest lies on the hosts of a running release, beside its records. It names the lock it is about: to any other run it
// means nothing.
type cancelRequest struct {
	Schema int       `json:"schema"`
	Nonce  string    `json:"nonce"` // the lock's
	Fence  int       `json:"fence"`
	Who    string    `json:"who"`
	Where  string    `json:"where"`
	Why    string    `json:"why"`
	At     time.Time `json:"at"`
}

// heed looks for a request to end until the locks are given back: on the first host each time, and on one of the others in
// turn, for the first may be the one that cannot be reached.
func (l *Locks) heed(first string) {
	for turn := 0; sleep(l.renewing, cancelEvery) == nil; turn++ {
		hosts := []string{first}
		if all := l.all(); len(all) > 0 && all[turn%len(all)].host != first {
			hosts = append(hosts, all[turn%len(all)].host)
		}
		for _, host := range hosts {
			if request, ok := l.asked(host); ok && l.renewing.Err() == nil {
				l.cancel(&CancelledError{Who: request.Who, Where: request.Where, Why: request.Why})
				return
			}
		}
	}
}

// asked reads whether a host has a request for this run.
func (l *Locks) asked(host string) (cancelRequest, bool) {
	ctx, done := context.WithTimeout(l.renewing, lease/6)
	defer done()
	conn, err := l.reach(ctx, host)
	if err != nil {
		return cancelRequest{}, false
	}
	data, err := conn.Files.Read(ctx, l.paths.cancel())
	if err != nil {
		return cancelRequest{}, false
	}
	var request cancelRequest
	err = json.Unmarshal(data, &request)
	return request, err == nil && request.Nonce == l.nonce
}

// cancel ends the run at its next safe point, unless its last phase has begun: then it serves, and finishing is quicker.
func (l *Locks) cancel(cause *CancelledError) {
	l.mu.Lock()
	late := l.finishing
	if !late {
		l.cancelled = cause
	}
	l.mu.Unlock()
	if late {
		l.c.report(Progress{Kind: "warn", Message: cause.Error() + "; it comes too late: every server has switched, and the release is being recorded"})
		return
	}
	l.c.report(Progress{Kind: "warn", Message: cause.Error()})
	l.lose(cause)
}

// enter tells whether a step may begin: with the first of the last phase it is too late to cancel.
func (l *Locks) enter(phase plan.Phase) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if phase != plan.PhaseFinish {
		return nil
	}
	if l.cancelled != nil {
		return l.cancelled
	}
	l.finishing = true
	return nil
}

// cancelledBy gives the request that ended the run; nil when none did.
func (l *Locks) cancelledBy() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cancelled == nil {
		return nil
	}
	return l.cancelled
}

// IsCancelled tells whether a run ended because somebody asked it to.
func IsCancelled(err error) bool {
	var cancelled *CancelledError
	return errors.As(err, &cancelled)
}

// writeCancel leaves a request on a host.
func (c *Controller) writeCancel(ctx context.Context, conn *Connection, paths layout, other *otherRun) error {
	data, err := json.Marshal(cancelRequest{Schema: 1, Nonce: other.nonce, Fence: other.lock.Fence, Who: c.Owner.Who, Where: c.Owner.Where(), Why: "rollback asked for", At: c.now()})
	if err != nil {
		return err
	}
	return conn.Files.Write(ctx, paths.cancel(), append(data, '\n'), 0o600)
}

// removeCancel takes a request away, if it is the one about that run.
func removeCancel(ctx context.Context, conn *Connection, paths layout, nonce string) error {
	data, err := conn.Files.Read(ctx, paths.cancel())
	var request cancelRequest
	if err != nil || json.Unmarshal(data, &request) != nil || request.Nonce != nonce {
		return unless(err, fs.ErrNotExist)
	}
	return conn.Files.Remove(ctx, paths.cancel())
}
