package runlog

import (
	"strconv"
	"time"
)

// The severities of the OpenTelemetry log data model that are used.
const (
	info    = 9
	warning = 13
	failure = 17
)

var severityText = map[int]string{info: "INFO", warning: "WARN", failure: "ERROR"}

// What follows is OTLP's JSON form of logs (opentelemetry-proto, ExportLogsServiceRequest): 64-bit numbers are strings there.
type (
	exportRequest struct {
		ResourceLogs []resourceLogs `json:"resourceLogs"`
	}
	resourceLogs struct {
		Resource  resource    `json:"resource"`
		ScopeLogs []scopeLogs `json:"scopeLogs"`
	}
	resource struct {
		Attributes []attribute `json:"attributes"`
	}
	scopeLogs struct {
		Scope      scope       `json:"scope"`
		LogRecords []logRecord `json:"logRecords"`
	}
	scope struct {
		Name    string `json:"name"`
		Version string `json:"version,omitempty"`
	}
	logRecord struct {
		TimeUnixNano   string      `json:"timeUnixNano"`
		SeverityNumber int         `json:"severityNumber"`
		SeverityText   string      `json:"severityText"`
		EventName      string      `json:"eventName,omitempty"`
		TraceID        string      `json:"traceId,omitempty"`
		Body           value       `json:"body"`
		Attributes     []attribute `json:"attributes,omitempty"`
	}
	attribute struct {
		Key   string `json:"key"`
		Value value  `json:"value"`
	}
	value struct {
		StringValue string `json:"stringValue"`
	}
)

// pairs makes attributes of keys and values; those without a value are left out.
func pairs(keysAndValues ...string) []attribute {
	var all []attribute
	for i := 0; i+1 < len(keysAndValues); i += 2 {
		if keysAndValues[i+1] != "" {
			all = append(all, attribute{keysAndValues[i], value{keysAndValues[i+1]}})
		}
	}
	return all
}

func (r Run) request(records []logRecord) exportRequest {
	return exportRequest{[]resourceLogs{{Resource: r.about(), ScopeLogs: []scopeLogs{{Scope: scope{"kamald", r.Kamald}, LogRecords: records}}}}}
}

// about is what logs and traces of the run are of.
func (r Run) about() resource {
	return resource{pairs("service.name", "kamald", "service.version", r.Kamald, "service.namespace", r.Service, "kamald.run_id", r.ID,
		"kamald.performer", r.Performer, "kamald.command", r.Command, "kamald.deploy_version", r.Version, "deployment.environment.name", r.Destination)}
}

// event is a named record of the run as a whole.
func (r Run) event(name string, at time.Time, severity int, body string) logRecord {
	return logRecord{TimeUnixNano: nanos(at), SeverityNumber: severity, SeverityText: severityText[severity], EventName: name, Body: value{body}}
}

func (r Run) record(e Entry) logRecord {
	severity := info
	switch e.Kind {
	case "failed":
		severity = failure
	case "warn", "undone":
		severity = warning
	}
	took := ""
	if e.Took > 0 {
		took = strconv.FormatFloat(e.Took.Seconds(), 'f', 3, 64)
	}
	return logRecord{TimeUnixNano: nanos(e.At), SeverityNumber: severity, SeverityText: severityText[severity], Body: value{oneLine(e.Message)},
		Attributes: pairs("server.address", e.Host, "kamald.role", e.Role, "kamald.step", e.Step, "kamald.kind", e.Kind, "kamald.seconds", took)}
}

func (e Ending) attributes() []attribute {
	number := ""
	if e.Release > 0 {
		number = strconv.Itoa(e.Release)
	}
	status := "succeeded"
	if e.Err != nil {
		status = "failed"
	}
	return pairs("deployment.id", number, "deployment.name", e.Version, "deployment.status", status, "kamald.outcome", e.Outcome)
}

func nanos(t time.Time) string { return strconv.FormatInt(t.UnixNano(), 10) }
