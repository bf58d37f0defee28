package proxy

import (
	"net/http"
	"runtime"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// metrics counts what the proxy does. Its first three have kamal-proxy's names and labels; the others are ours, and
// apart, since theirs know no side. Labels are services that were deployed, so that clients cannot make new ones.
// A nil *metrics counts nothing.
type metrics struct {
	registry *prometheus.Registry

	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	inFlight *prometheus.GaugeVec

	bySide         *prometheus.CounterVec
	durationBySide *prometheus.HistogramVec
	retries        *prometheus.CounterVec
	ejections      *prometheus.CounterVec
	drainsCut      *prometheus.CounterVec
}

func newMetrics() *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: counter("kamal_proxy_http_requests_total", "Requests answered, by service, method and status.", "service", "method", "status"),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "kamal_proxy_http_request_duration_seconds", Help: "Time of requests, by service, method and status.",
			Buckets: prometheus.DefBuckets,
		}, []string{"service", "method", "status"}),
		inFlight: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "kamal_proxy_http_in_flight_requests", Help: "Requests being answered, by service.",
		}, []string{"service"}),
		bySide: counter("kamald_proxy_requests_total",
			"Requests answered, by service, side of a rollout (active or rollout; empty when no target was asked) and class of status.",
			"service", "side", "status_class"),
		durationBySide: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "kamald_proxy_request_duration_seconds", Help: "Time of requests, by service and side of a rollout.",
			Buckets: prometheus.DefBuckets,
		}, []string{"service", "side"}),
		retries:   counter("kamald_proxy_retries_total", "Requests asked of another target because one could not be connected.", "service"),
		ejections: counter("kamald_proxy_ejections_total", "Targets taken out of their pool.", "service"),
		drainsCut: counter("kamald_proxy_drain_cut_total", "Requests cut because the drain's time was up.", "service"),
	}
	m.registry.MustRegister(m.requests, m.duration, m.inFlight, m.bySide, m.durationBySide, m.retries, m.ejections, m.drainsCut,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	gauge := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "kamald_proxy_build_info", Help: "Always 1; the labels say what runs.",
		ConstLabels: prometheus.Labels{"version": buildVersion(), "go_version": runtime.Version()},
	})
	gauge.Set(1)
	m.registry.MustRegister(gauge)
	return m
}

// observe adds what is read when it is asked for: targets and limits.
func (m *metrics) observe(s *Server) {
	m.registry.MustRegister(&targetCollector{s.router}, &certificateCollector{s.router})
	for _, f := range []struct {
		name, help string
		value      func() float64
	}{
		{"kamald_proxy_connections", "Open connections of clients.", func() float64 { return float64(s.limiter.count()) }},
		{"kamald_proxy_buffer_memory_bytes", "Buffered bodies in memory.", func() float64 { return float64(s.buffers.memoryUsed.Load()) }},
		{"kamald_proxy_buffer_disk_bytes", "Buffered bodies on disk.", func() float64 { return float64(s.buffers.diskUsed.Load()) }},
	} {
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: f.name, Help: f.help}, f.value))
	}
	for _, f := range []struct {
		name, help string
		value      func() float64
	}{
		{"kamald_proxy_connections_refused_total", "Connections refused at the limit.", func() float64 { return float64(s.limiter.refused.Load()) }},
		{"kamald_proxy_connections_evicted_total", "Idle connections closed at the limit.", func() float64 { return float64(s.limiter.evicted.Load()) }},
		{"kamald_proxy_log_lines_lost_total", "Log lines that nobody read in time.", func() float64 {
			if s.config.LogLinesLost == nil {
				return 0
			}
			return float64(s.config.LogLinesLost())
		}},
	} {
		m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: f.name, Help: f.help}, f.value))
	}
}

// began counts a request that belongs to a service.
func (m *metrics) began(service string) {
	if m != nil {
		m.inFlight.WithLabelValues(service).Inc()
	}
}

// ended counts the request's end. One of no service is counted without labels of its own.
func (m *metrics) ended(x *exchange, method, path string, status int) {
	if m == nil {
		return
	}
	if x.service != "" {
		m.inFlight.WithLabelValues(x.service).Dec()
	}
	if x.dep != nil && slices.Contains(x.dep.options.ExcludeMetricsPaths, path) {
		return
	}
	took, side := time.Since(x.started).Seconds(), x.side
	m.bySide.WithLabelValues(x.service, side, statusClass(status)).Inc()
	if x.service == "" {
		return
	}
	m.durationBySide.WithLabelValues(x.service, side).Observe(took)
	code := strconv.Itoa(status)
	if status < 100 || status > 599 {
		code = "other" // a target may answer 999
	}
	m.requests.WithLabelValues(x.service, methodLabel(method), code).Inc()
	m.duration.WithLabelValues(x.service, methodLabel(method), code).Observe(took)
}

// retried counts a request that is asked of another target.
func (m *metrics) retried(service string) {
	if m != nil {
		m.retries.WithLabelValues(service).Inc()
	}
}

// ejected counts a target that was taken out of its pool.
func (m *metrics) ejected(service string) {
	if m != nil {
		m.ejections.WithLabelValues(service).Inc()
	}
}

// cut counts requests that a drain did not wait for any longer.
func (m *metrics) cut(service string, requests int) {
	if m != nil && requests > 0 {
		m.drainsCut.WithLabelValues(service).Add(float64(requests))
	}
}

// forget drops the series of a service that was removed.
func (m *metrics) forget(service string) {
	if m == nil {
		return
	}
	of := prometheus.Labels{"service": service}
	for _, v := range []interface {
		DeletePartialMatch(prometheus.Labels) int
	}{m.requests, m.duration, m.bySide, m.durationBySide, m.retries, m.ejections, m.drainsCut} {
		v.DeletePartialMatch(of) // not inFlight: requests of it still end
	}
}

// targetCollector tells the targets of now, read from the router each time, so that those of the past are gone.
type targetCollector struct{ router *Router }

var (
	targetHealthy  = prometheus.NewDesc("kamald_proxy_target_healthy", "1 for a healthy target, else 0.", []string{"service", "target"}, nil)
	targetInFlight = prometheus.NewDesc("kamald_proxy_target_in_flight_requests", "Requests in flight on a target.", []string{"service", "target"}, nil)
)

// Describe implements prometheus.Collector.
func (c *targetCollector) Describe(ch chan<- *prometheus.Desc) {
	ch <- targetHealthy
	ch <- targetInFlight
}

// Collect implements prometheus.Collector.
func (c *targetCollector) Collect(ch chan<- prometheus.Metric) {
	for _, s := range c.router.List() {
		seen := map[string]bool{}
		targets := s.Targets
		if s.Rollout != nil {
			targets = slices.Concat(targets, s.Rollout.Targets)
		}
		for _, t := range targets {
			if seen[t.Target] {
				continue
			}
			seen[t.Target] = true
			healthy := 0.0
			if t.Healthy {
				healthy = 1
			}
			ch <- prometheus.MustNewConstMetric(targetHealthy, prometheus.GaugeValue, healthy, s.Service, t.Target)
			ch <- prometheus.MustNewConstMetric(targetInFlight, prometheus.GaugeValue, float64(t.InFlight), s.Service, t.Target)
		}
	}
}

func counter(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
}

// methodLabel bounds the label: a client may send any word for a method.
func methodLabel(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
		http.MethodConnect, http.MethodOptions, http.MethodTrace:
		return method
	}
	return "OTHER" // kamal-proxy's word for it
}

func statusClass(status int) string {
	if status < 100 || status > 599 {
		return "other"
	}
	return strconv.Itoa(status/100) + "xx"
}
