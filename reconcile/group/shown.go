package group

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/reconcile/loop"
)

// The limits of what is shown: a board may be a store whose values are small.
const (
	mostShown    = 512 << 10 // bytes as they are kept
	mostAnswered = 1 << 20   // the same, of an answer
	mostRead     = 64 << 20  // bytes as they are read
	shownLines   = 200
	shownOrders  = 32 // orders, the newest
)

// shown is what a daemon shows of an app that it leads.
type shown struct {
	By      string               `json:"by"` // the process
	Status  loop.Status          `json:"status"`
	Lines   []reconcile.Progress `json:"lines,omitempty"`   // the newest of what was under way, also when it has ended; the oldest first
	Tickets []loop.Ticket        `json:"tickets,omitempty"` // those that have not ended, and the newest that have; the oldest first
}

// pack is what is kept of it. What would be too large for the board is left out: first the plan that is pending, then the lines of progress.
func (s shown) pack() ([]byte, error) {
	for _, less := range []func(){
		func() {},
		func() { s.Status.Pending = nil },
		func() { s.Status.Doing, s.Lines, s.Tickets = nil, nil, nil },
	} {
		less()
		data, err := packed(s)
		if err != nil || len(data) <= mostShown {
			return data, err
		}
	}
	return nil, errors.New("the status is too large to be shown to other daemons")
}

// packed is what daemons write to each other: JSON, and small.
func packed(v any) ([]byte, error) {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if err := errors.Join(json.NewEncoder(w).Encode(v), w.Close()); err != nil {
		return nil, fmt.Errorf("it cannot be written for other daemons: %w", err)
	}
	return b.Bytes(), nil
}

// unpackTo reads what another daemon wrote.
func unpackTo(data []byte, v any) error {
	r, err := gzip.NewReader(bytes.NewReader(data))
	if err == nil {
		err = json.NewDecoder(io.LimitReader(r, mostRead)).Decode(v)
	}
	if err != nil {
		return fmt.Errorf("what another daemon wrote cannot be read: %w", err)
	}
	return nil
}

// briefly is a ticket without what is large in it and known elsewhere.
func briefly(t loop.Ticket) loop.Ticket {
	t.Order.Release = nil
	if t.Report != nil {
		report := *t.Report
		report.Plan.Steps, report.Plan.Items = nil, nil
		t.Report = &report
	}
	return t
}
