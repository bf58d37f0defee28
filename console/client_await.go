package console

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/reconcile/loop"
)

// How an order is followed: each question waits so long for its end, and so many may fail one after another.
const (
	awaitStep   = 30 * time.Second
	awaitFails  = 5
	awaitPause  = 2 * time.Second
	awaitRest   = time.Second // for the last lines, when the end is known
	eventsBytes = 4 << 20     // of one event
)

// Await follows an order until it has ended, and gives what the worker of its app does meanwhile, line by line. A daemon that does not
// answer for some seconds (it is started anew) does not end it; one that knows no such order any more does. watch may be nil.
func (c *Client) Await(ctx context.Context, ticket loop.Ticket, watch func(reconcile.Progress)) (loop.Ticket, error) {
	within, stop := context.WithCancel(ctx)
	told, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		if watch != nil {
			c.follow(within, ticket, watch, told)
		}
	}()
	defer func() { stop(); <-ended }() // no line comes after the end
	fails := 0
	for {
		var got TicketAnswer
		err := c.do(ctx, http.MethodGet, "/v1/tickets/"+url.PathEscape(ticket.ID)+"?wait="+awaitStep.String(), nil, &got)
		var said *Error
		switch {
		case err == nil && got.Ticket.Done():
			rest, done := context.WithTimeout(ctx, awaitRest)
			defer done()
			select {
			case <-told:
			case <-ended:
			case <-rest.Done():
			}
			return got.Ticket, nil
		case err == nil:
			fails = 0
			continue
		case ctx.Err() != nil:
			return ticket, ctx.Err()
		case errors.As(err, &said) && said.Status < http.StatusInternalServerError && said.Status != http.StatusTooManyRequests:
			return ticket, err
		}
		if fails++; fails >= awaitFails {
			return ticket, err
		}
		if !pause(ctx, awaitPause) {
			return ticket, ctx.Err()
		}
	}
}

func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// follow gives the lines of the order's app from its beginning on, until the context ends. Progress is for a person: what is lost of it while
// the daemon cannot be asked is lost. told is closed when all lines were given.
func (c *Client) follow(ctx context.Context, ticket loop.Ticket, watch func(reconcile.Progress), told chan<- struct{}) {
	begun := !ticket.Begun.IsZero()
	for ctx.Err() == nil {
		if answer, err := c.send(ctx, http.MethodGet, "/v1/events?app="+url.QueryEscape(NameOf(ticket.Order.App)), nil); err == nil {
			events := bufio.NewScanner(answer.Body)
			events.Buffer(nil, eventsBytes)
			for events.Scan() {
				data, ok := cutData(events.Bytes())
				var event NoticeEvent
				if !ok || json.Unmarshal(data, &event) != nil {
					continue
				}
				if event.Ticket != nil && event.Ticket.ID == ticket.ID {
					begun = !event.Ticket.Begun.IsZero()
					if event.Ticket.Done() {
						_ = answer.Body.Close()
						close(told)
						return
					}
				}
				if begun && event.Progress != nil { // before, it is another's
					watch(*event.Progress)
				}
			}
			_ = answer.Body.Close() // it has ended
		}
		// A notice of the beginning may have been lost with the stream.
		var got TicketAnswer
		if c.do(ctx, http.MethodGet, "/v1/tickets/"+url.PathEscape(ticket.ID), nil, &got) == nil {
			begun = !got.Ticket.Begun.IsZero()
		}
		pause(ctx, awaitPause)
	}
}

func cutData(line []byte) ([]byte, bool) {
	const prefix = "data: "
	if len(line) < len(prefix) || string(line[:len(prefix)]) != prefix {
		return nil, false
	}
	return line[len(prefix):], true
}
