package docker

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
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
	filters := client.Filters{}.Add("event", heardActions...).
		Add("type", string(events.ContainerEventType), string(events.ImageEventType), string(events.NetworkEventType))
	options := client.EventsListOptions{Filters: filters}
	if !since.IsZero() {
		options.Since = since.UTC().Format(time.RFC3339Nano)
	}
	following, stop := context.WithCancel(ctx)
	defer stop() // the client's own goroutine ends with it
	stream := e.client.Events(following, options)
	for {
		select {
		case message := <-stream.Messages:
			if event, ok := names.read(message); ok {
				heard(event)
			}
		case err := <-stream.Err:
			switch {
			case ctx.Err() != nil:
				err = context.Cause(ctx)
			case err == nil: // the client closes the channel when all was read
				err = io.EOF
			}
			return e.failure(err, "follow events")
		}
	}
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

// bearer is what labels, or an event's attributes, say of a container; false when its events are nobody's here.
func bearer(id string, labels map[string]string) (state.EngineEvent, bool) {
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

// boundEvents has a stream of events go through a filter: the client decodes whatever comes, however long, and ends with the first
// that it cannot read.
func boundEvents(answer *http.Response) {
	if answer.StatusCode == http.StatusOK && strings.HasSuffix(answer.Request.URL.Path, "/events") {
		answer.Body = &eventLines{body: answer.Body, lines: bufio.NewReaderSize(answer.Body, 16<<10)}
	}
}

// eventLines gives on those lines that are events and not too long.
type eventLines struct {
	body  io.ReadCloser
	lines *bufio.Reader
	line  []byte // what is left to be read of it
	kept  []byte // its memory
}

// Read implements io.Reader.
func (l *eventLines) Read(b []byte) (int, error) {
	for len(l.line) == 0 {
		if err := l.next(); err != nil {
			return 0, err
		}
	}
	n := copy(b, l.line)
	l.line = l.line[n:]
	return n, nil
}

// Close implements io.Closer.
func (l *eventLines) Close() error { return l.body.Close() }

// next reads one line; it is empty when it is skipped. A line that the end cuts off is none.
func (l *eventLines) next() error {
	const memory = 64 << 10 // that is kept from one line to the next
	if cap(l.kept) > memory {
		l.kept = nil
	}
	l.kept = l.kept[:0]
	long := false
	for {
		part, err := l.lines.ReadSlice('\n')
		if long = long || len(l.kept)+len(part) > eventLimit; !long {
			l.kept = append(l.kept, part...)
		}
		if err == bufio.ErrBufferFull {
			continue
		}
		if err != nil {
			return err
		}
		break
	}
	const separator = 0x1e // of JSON text sequences
	text := strings.TrimPrefix(string(l.kept), string(rune(separator)))
	if !long && json.Unmarshal([]byte(text), new(events.Message)) == nil {
		l.line = l.kept
	}
	return nil
}
