package runlog

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	batch       = 100 // records a request
	flushEvery  = 5 * time.Second
	spansAtOnce = 1000  // spans a request
	queue       = 10000 // records that wait; more are counted and dropped

	connectLimit = 2 * time.Second
	answerLimit  = 5 * time.Second
	endLimit     = 10 * time.Second // for all that still waits when the run is over
)

// Collector sends a run to an OpenTelemetry collector: logs as they come, and one trace at the end, in OTLP's JSON form over HTTP. It
// never waits for it but at the end, and then not for long.
type Collector struct {
	url     string // of logs
	traces  string // of traces
	run     Run
	client  *http.Client
	records chan logRecord
	ended   chan struct{}
	failed  error  // the first thing that went wrong; the sender's until ended
	spans   []span // the sender's once no more records come

	mu      sync.Mutex
	trace   *trace
	closed  bool
	dropped int
}

// NewCollector sends to the endpoint's /v1/logs and /v1/traces, and begins with the event kamald.start.
func NewCollector(endpoint string, run Run) *Collector {
	dialer := &net.Dialer{Timeout: connectLimit}
	c := &Collector{
		url: strings.TrimSuffix(endpoint, "/") + "/v1/logs", traces: strings.TrimSuffix(endpoint, "/") + "/v1/traces", run: run, trace: newTrace(run),
		client: &http.Client{Timeout: answerLimit, Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, DialContext: dialer.DialContext, TLSHandshakeTimeout: connectLimit}},
		records: make(chan logRecord, queue), ended: make(chan struct{}),
	}
	go c.send()
	c.put(run.event("kamald.start", run.Began, info, fmt.Sprintf("%s of %s began", run.Command, run.Service)))
	return c
}

// Write takes an event; one that comes after End is dropped. It is safe for concurrent use.
func (c *Collector) Write(e Entry) {
	c.mu.Lock()
	if !c.closed {
		c.trace.take(e)
	}
	c.mu.Unlock()
	c.put(c.run.record(e))
}

// End sends kamald.complete or kamald.failed and all that waits. The error is of sending: what did not arrive.
func (c *Collector) End(end Ending) error {
	event, severity, body := "kamald.complete", info, fmt.Sprintf("%s of %s: %s", c.run.Command, c.run.Service, end.Outcome)
	if end.Err != nil {
		event, severity, body = "kamald.failed", failure, oneLine(end.Err.Error())
	}
	record := c.run.event(event, end.At, severity, body)
	record.Attributes = append(record.Attributes, end.attributes()...)
	c.put(record)
	c.mu.Lock()
	c.closed = true
	c.spans = c.trace.spans(end) // before the channel is closed: the sender reads them after
	close(c.records)
	dropped := c.dropped
	c.mu.Unlock()
	select {
	case <-c.ended:
	case <-time.After(endLimit):
		return fmt.Errorf("the log could not be sent to %s within %s", c.url, endLimit)
	}
	c.client.CloseIdleConnections()
	if dropped > 0 {
		return errors.Join(c.failed, fmt.Errorf("%d events of the log were not sent to %s", dropped, c.url))
	}
	return c.failed
}

func (c *Collector) put(record logRecord) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	record.TraceID = c.trace.id
	select {
	case c.records <- record:
	default:
		c.dropped++
	}
}

// send gathers records and posts them, until no more come.
func (c *Collector) send() {
	defer close(c.ended)
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	var waiting []logRecord
	for {
		select {
		case record, more := <-c.records:
			if more {
				waiting = append(waiting, record)
			}
			if !more || len(waiting) >= batch {
				c.post(waiting)
				waiting = nil
			}
			if !more {
				c.postTrace()
				return
			}
		case <-tick.C:
			c.post(waiting)
			waiting = nil
		}
	}
}

// post sends one request. After the first that failed nothing more is tried: a collector that is down must not take its time
// again and again.
func (c *Collector) post(records []logRecord) {
	if len(records) == 0 || c.failed != nil {
		return
	}
	body, err := json.Marshal(c.run.request(records))
	if err == nil {
		err = c.request(c.url, body)
	}
	if err != nil {
		c.failed = fmt.Errorf("the log could not be sent to %s: %w", c.url, err)
	}
}

// postTrace sends the spans. A collector that takes logs only has no such path, and that is no failure.
func (c *Collector) postTrace() {
	for part := range slices.Chunk(c.spans, spansAtOnce) {
		if c.failed != nil {
			return
		}
		body, err := json.Marshal(c.run.traceRequest(part))
		if err == nil {
			err = c.request(c.traces, body)
		}
		if errors.Is(err, errNoSuchPath) {
			return
		}
		if err != nil {
			c.failed = fmt.Errorf("the trace could not be sent to %s: %w", c.traces, err)
		}
	}
}

// errNoSuchPath: the collector has nothing at the path.
var errNoSuchPath = errors.New("it has no such path")

func (c *Collector) request(url string, body []byte) error {
	request, err := http.NewRequestWithContext(context.Background(), http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := c.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	said, _ := io.ReadAll(io.LimitReader(response.Body, 512))
	if response.StatusCode == http.StatusNotFound {
		return fmt.Errorf("%w: it answered %s %s", errNoSuchPath, response.Status, oneLine(string(said)))
	}
	if response.StatusCode/100 != 2 {
		return fmt.Errorf("it answered %s %s", response.Status, oneLine(string(said)))
	}
	return nil
}
