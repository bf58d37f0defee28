package runlog

import (
	"cmp"
	"crypto/rand"
	"encoding/hex"
	"maps"
	"slices"
	"time"
)

// trace makes spans of a run's events: the run is the root, the phases of its plan are beneath it, and the steps beneath those.
type trace struct {
	id    string
	run   Run
	steps map[string]*work // by the step's ID
	marks []spanEvent
}

// work is one step.
type work struct {
	first      Entry
	began      time.Time
	ended      time.Time // zero: it has not
	kind, said string    // of its last event
}

func newTrace(run Run) *trace { return &trace{id: randomID(16), run: run, steps: map[string]*work{}} }

func randomID(bytes int) string {
	id := make([]byte, bytes)
	_, _ = rand.Read(id) // it never fails
	return hex.EncodeToString(id)
}

// take remembers an event of a step, and what befell the run as a whole.
func (t *trace) take(e Entry) {
	switch e.Kind {
	case "begin", "done", "failed", "skipped":
	case "warn", "undone":
		t.marks = append(t.marks, spanEvent{TimeUnixNano: nanos(e.At), Name: e.Kind,
			Attributes: pairs("message", oneLine(e.Message), "server.address", e.Host, "kamald.role", e.Role)})
		return
	default:
		return
	}
	if e.Step == "" {
		return
	}
	w := t.steps[e.Step]
	if w == nil {
		w = &work{first: e, began: e.At.Add(-e.Took)}
		t.steps[e.Step] = w
	}
	if w.kind = e.Kind; e.Kind != "begin" {
		w.ended, w.said = e.At, oneLine(e.Message)
	}
}

// spans gives the whole trace, the root first; none of a run in which nothing was done and nothing failed.
func (t *trace) spans(end Ending) []span {
	if len(t.steps) == 0 && end.Err == nil {
		return nil
	}
	kind := cmp.Or(end.Kind, t.run.Command)
	root := t.span("", "kamald "+kind, t.run.Began, end.At)
	root.Attributes = append(pairs("kamald.kind", kind, "kamald.app", t.run.Service, "kamald.destination", t.run.Destination, "kamald.deploy_version", cmp.Or(end.Version, t.run.Version)), end.attributes()...)
	root.Events, root.Status = t.marks, spanStatus{Code: statusOK}
	if end.Err != nil {
		root.Status = spanStatus{Code: statusError, Message: oneLine(end.Err.Error())}
	}
	all, phases := []span{root}, map[string][]string{}
	for _, id := range slices.Sorted(maps.Keys(t.steps)) {
		phase := end.Phases[id]
		phases[phase] = append(phases[phase], id)
	}
	for _, phase := range slices.Sorted(maps.Keys(phases)) {
		all = append(all, t.phase(root, phase, phases[phase], end)...)
	}
	return all
}

// phase gives the spans of a phase's steps, and before them its own; steps without a phase are beneath the root.
func (t *trace) phase(root span, name string, steps []string, end Ending) []span {
	list := make([]span, 0, len(steps)+1)
	above := root.SpanID
	if name != "" {
		own := t.span(root.SpanID, name, t.run.Began, end.At)
		own.Attributes = pairs("kamald.phase", name)
		list, above = append(list, own), own.SpanID
	}
	var first, last time.Time
	failed := false
	for _, id := range steps {
		w := t.steps[id]
		until := w.over(end)
		s := t.span(above, spanName(id), t.within(w.began, end), t.within(until, end)) // clocks are read one after the other
		s.Attributes = pairs("kamald.step", id, "kamald.phase", name, "server.address", w.first.Host, "kamald.role", w.first.Role)
		switch w.kind {
		case "done":
			s.Status = spanStatus{Code: statusOK}
		case "failed":
			s.Status, failed = spanStatus{Code: statusError, Message: w.said}, true
		case "begin":
			s.Status, failed = spanStatus{Code: statusError, Message: "it did not end"}, true
		}
		list = append(list, s)
		if first.IsZero() || w.began.Before(first) {
			first = w.began
		}
		if until.After(last) {
			last = until
		}
	}
	if name != "" {
		list[0].StartTimeUnixNano, list[0].EndTimeUnixNano = nanos(t.within(first, end)), nanos(t.within(last, end))
		if list[0].Status.Code = statusOK; failed {
			list[0].Status.Code = statusError
		}
	}
	return list
}

// over is when a step ended, or the run did.
func (w *work) over(end Ending) time.Time {
	if w.ended.IsZero() {
		return end.At
	}
	return w.ended
}

// within keeps a time within the run.
func (t *trace) within(at time.Time, end Ending) time.Time {
	switch {
	case at.Before(t.run.Began):
		return t.run.Began
	case at.After(end.At):
		return end.At
	}
	return at
}

func (t *trace) span(above, name string, from, to time.Time) span {
	return span{TraceID: t.id, SpanID: randomID(8), ParentSpanID: above, Name: name, Kind: spanInternal, StartTimeUnixNano: nanos(from), EndTimeUnixNano: nanos(to)}
}

// spanName is what a step does: names are to be few, and where it is done is in the attributes.
func spanName(step string) string {
	for i, r := range step {
		if r == '/' {
			return step[:i]
		}
	}
	return step
}

// traceRequest has the form of logs' requests.
func (r Run) traceRequest(spans []span) traceRequest {
	return traceRequest{[]resourceSpans{{Resource: r.about(), ScopeSpans: []scopeSpans{{Scope: scope{"kamald", r.Kamald}, Spans: spans}}}}}
}

// What follows is OTLP's JSON form of traces (ExportTraceServiceRequest): IDs are in hexadecimal there.
type (
	traceRequest struct {
		ResourceSpans []resourceSpans `json:"resourceSpans"`
	}
	resourceSpans struct {
		Resource   resource     `json:"resource"`
		ScopeSpans []scopeSpans `json:"scopeSpans"`
	}
	scopeSpans struct {
		Scope scope  `json:"scope"`
		Spans []span `json:"spans"`
	}
	span struct {
		TraceID           string      `json:"traceId"`
		SpanID            string      `json:"spanId"`
		ParentSpanID      string      `json:"parentSpanId,omitempty"`
		Name              string      `json:"name"`
		Kind              int         `json:"kind"`
		StartTimeUnixNano string      `json:"startTimeUnixNano"`
		EndTimeUnixNano   string      `json:"endTimeUnixNano"`
		Attributes        []attribute `json:"attributes,omitempty"`
		Events            []spanEvent `json:"events,omitempty"`
		Status            spanStatus  `json:"status"`
	}
	spanEvent struct {
		TimeUnixNano string      `json:"timeUnixNano"`
		Name         string      `json:"name"`
		Attributes   []attribute `json:"attributes,omitempty"`
	}
	spanStatus struct {
		Code    int    `json:"code,omitempty"`
		Message string `json:"message,omitempty"`
	}
)

const (
	spanInternal = 1
	statusOK     = 1
	statusError  = 2
)
