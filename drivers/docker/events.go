package docker

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/client"

	"github.com/kamald/kamald/state"
)

// heardActions are the actions that the engine is asked for. Commands that run in containers, as health checks do all the time, are
// none of them.
var heardActions = []string{
	state.ActionCreate, state.ActionStart, state.ActionRestart, state.ActionDie, state.ActionStop, state.ActionKill, state.ActionOOM,
	state.ActionDestroy, state.ActionRename, state.ActionUpdate, state.ActionPause, state.ActionUnpause, state.ActionHealth,
	state.ActionTag, state.ActionUntag, state.ActionDelete, state.ActionPull, state.ActionLoad, "connect", "disconnect",
}

// Events follows what happens to containers that bear the label service, to proxies, images, and containers' connections to networks.
func (e *Engine) Events(ctx context.Context, since time.Time, heard func(state.EngineEvent)) error {
	names, err := e.owned(ctx)
	if err != nil {
		return e.failure(err, "follow events")
	}
	stream, err := e.openEvents(ctx, since)
	if err == nil {
		defer stream.Close()
		for lines := (eventLines{source: bufio.NewReaderSize(stream, 16<<10)}); err == nil; {
			var message events.Message
			if message, err = lines.next(); err != nil {
				break
			}
			if event, ok := names.read(message); ok {
				heard(event)
			}
		}
	}
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return e.failure(err, "follow events")
}

// openEvents asks for the stream by itself: the engine's client would decode whatever comes, however long, and end with the first
// event that it cannot read. The connection is closed with the stream.
func (e *Engine) openEvents(ctx context.Context, since time.Time) (io.ReadCloser, error) {
	api, err := e.api(ctx)
	if err != nil {
		return nil, err
	}
	filters, err := json.Marshal(client.Filters{}.Add("event", heardActions...).
		Add("type", string(events.ContainerEventType), string(events.ImageEventType), string(events.NetworkEventType)))
	if err != nil {
		return nil, err
	}
	query := url.Values{"filters": {string(filters)}}
	if !since.IsZero() {
		query.Set("since", fmt.Sprintf("%d.%09d", since.Unix(), since.Nanosecond()))
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+client.DummyHost+"/v"+api+"/events?"+query.Encode(), nil)
	if err != nil {
		return nil, err
	}
	once := &http.Transport{DisableKeepAlives: true, DisableCompression: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return e.dialer.dial(ctx) }}
	answer, err := once.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	if answer.StatusCode != http.StatusOK {
		defer answer.Body.Close()
		said, _ := io.ReadAll(io.LimitReader(answer.Body, 4<<10))
		return nil, fmt.Errorf("the engine answers %s: %s", answer.Status, bytes.TrimSpace(said))
	}
	return answer.Body, nil
}

// bearers are the containers whose events are told, by ID: an event of a network names a container by that alone.
type bearers map[string]state.EngineEvent

// owned lists those that are there.
func (e *Engine) owned(ctx context.Context) (bearers, error) {
	list, err := e.client.ContainerList(ctx, client.ContainerListOptions{All: true})
	if err != nil {
		return nil, err
	}
	known := bearers{}
	for _, c := range list.Items {
		if owner, ok := bearer(c.ID, c.Labels); ok {
			if len(c.Names) > 0 {
				owner.Name = strings.TrimPrefix(c.Names[0], "/")
			}
			known[c.ID] = owner
		}
	}
	return known, nil
}

// bearer is what labels, or an event's attributes, say of a container; false when its events are nobody's here, as those of one that a
// person had made for one command.
func bearer(id string, labels map[string]string) (state.EngineEvent, bool) {
	if _, exec := labels[state.LabelExec]; exec {
		return state.EngineEvent{}, false
	}
	service, ours := labels[state.LabelService]
	_, proxy := labels[state.LabelProxyOwner]
	return state.EngineEvent{Container: id, Service: service, Role: labels[state.LabelRole], Destination: labels[state.LabelDestination]},
		ours || proxy || labels[state.LabelTitle] == state.ProxyTitle
}

// read turns an engine's message into an event; false when it is nobody's here.
func (b bearers) read(m events.Message) (state.EngineEvent, bool) {
	var event state.EngineEvent
	ok := false
	switch m.Type {
	case events.ContainerEventType:
		event, ok = b.ofContainer(m)
	case events.ImageEventType:
		event, ok = ofImage(m), true
	case events.NetworkEventType:
		event, ok = b[m.Actor.Attributes["container"]]
		ok = ok && (m.Action == events.ActionConnect || m.Action == events.ActionDisconnect)
		event.Action, event.Ref = "network "+string(m.Action), m.Actor.Attributes["name"]
	}
	event.Kind, event.At = string(m.Type), time.Unix(m.Time, 0).UTC()
	if m.TimeNano != 0 {
		event.At = time.Unix(0, m.TimeNano).UTC()
	}
	return event, ok
}

func (b bearers) ofContainer(m events.Message) (state.EngineEvent, bool) {
	attributes := m.Actor.Attributes
	event, ok := bearer(m.Actor.ID, attributes)
	if !ok {
		return state.EngineEvent{}, false
	}
	event.Name = attributes["name"]
	if b[event.Container] = event; m.Action == events.ActionDestroy {
		delete(b, event.Container)
	}
	action, health, _ := strings.Cut(string(m.Action), ": ")
	event.Action = action
	switch action {
	case state.ActionHealth:
		event.Health = health
	case state.ActionDie:
		event.ExitCode, _ = strconv.Atoi(attributes["exitCode"]) // always a number
	case state.ActionRename:
		event.Was = strings.TrimPrefix(attributes["oldName"], "/")
	}
	return event, true
}

// ofImage: an engine names an image by its ID, and beside it by what was done: the reference of a tag, or the ID once more.
func ofImage(m events.Message) state.EngineEvent {
	event := state.EngineEvent{Action: string(m.Action), Ref: m.Actor.Attributes["name"]}
	if event.Ref == "" || m.Action == events.ActionPull { // its name is then without the tag
		event.Ref = m.Actor.ID
	}
	return event
}

// eventLimit is how long an event may be in bytes; a longer one is skipped. Labels are in it, and specs in those.
const eventLimit = 1 << 20

// eventLines reads a stream of events, one a line.
type eventLines struct {
	source *bufio.Reader
	line   []byte
}

// next gives the next event; what is none, and what is too long, is skipped.
func (l *eventLines) next() (events.Message, error) {
	for {
		long, err := l.read()
		if err != nil {
			return events.Message{}, err // also where the end cuts a line off: that is none
		}
		var message events.Message
		text := bytes.TrimPrefix(l.line, []byte{0x1e}) // of JSON text sequences
		if !long && json.Unmarshal(text, &message) == nil {
			return message, nil
		}
	}
}

// read reads one line, and tells whether it was too long to be kept.
func (l *eventLines) read() (long bool, err error) {
	const memory = 64 << 10 // that is kept from one line to the next
	if cap(l.line) > memory {
		l.line = nil
	}
	l.line = l.line[:0]
	for {
		part, err := l.source.ReadSlice('\n')
		if long = long || len(l.line)+len(part) > eventLimit; !long {
			l.line = append(l.line, part...)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return long, err
		}
	}
}
