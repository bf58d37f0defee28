package console

import (
	"context"
	"net/http"
	"runtime"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/reconcile/loop"
	"github.com/kamald/kamald/state"
)

// MetricsOptions are what metrics are made of.
type MetricsOptions struct {
	Daemon     Daemon
	Version    string
	StoreBytes func() (int64, error) // nil: it is not told
}

// Metrics says in Prometheus' form how the daemon's apps are, and counts what it does. Labels are apps of kamald.hcl and words of closed
// sets: nothing that a server or a client says makes a new one without end.
type Metrics struct {
	daemon   Daemon
	registry *prometheus.Registry

	rounds   *prometheus.CounterVec
	took     *prometheus.HistogramVec
	detected *prometheus.HistogramVec
	releases *prometheus.CounterVec
	heals    *prometheus.CounterVec

	mu   sync.Mutex
	seen map[state.App]int // the newest round that is counted
}

// NewMetrics makes them. Run must run for them to count.
func NewMetrics(opts MetricsOptions) *Metrics {
	m := &Metrics{
		daemon: opts.Daemon, registry: prometheus.NewRegistry(), seen: map[state.App]int{},
		rounds: counters("kamald_rounds_total", "Looks at an app's servers, by what they were for and how they ended (done, failed, unknown).", "app", "why", "outcome"),
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "kamald_round_seconds", Help: "Time of a look at an app's servers, with what was done in it.",
			Buckets: []float64{0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900}}, []string{"app"}),
		detected: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "kamald_detection_seconds", Help: "Time from an engine's event to the end of the look that found drift by it.",
			Buckets: []float64{0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60}}, []string{"app"}),
		releases: counters("kamald_releases_total", "Releases, rollbacks and changes of configuration that ended, by kind and outcome.", "app", "kind", "outcome"),
		heals:    counters("kamald_heals_total", "Repairs that ended, by outcome.", "app", "outcome"),
	}
	m.registry.MustRegister(m.rounds, m.took, m.detected, m.releases, m.heals, newGauges(opts.Daemon),
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	info := prometheus.NewGauge(prometheus.GaugeOpts{Name: "kamald_info", Help: "Always 1; the labels say what runs.",
		ConstLabels: prometheus.Labels{"version": opts.Version, "go_version": runtime.Version()}})
	info.Set(1)
	m.registry.MustRegister(info)
	if opts.StoreBytes != nil {
		m.registry.MustRegister(storeBytes{opts.StoreBytes})
	}
	return m
}

// Handler answers Prometheus. It asks for no token: it belongs on a listener of its own, on this machine.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4, Timeout: 10 * time.Second})
}

// Run counts what happens until the context ends. Notices that it was too slow for are made up for by what the statuses say.
func (m *Metrics) Run(ctx context.Context) {
	for _, status := range m.daemon.Statuses() { // what was before is not counted
		m.mu.Lock()
		m.seen[status.App] = status.Round.Number
		m.mu.Unlock()
	}
	for ctx.Err() == nil {
		within, stop := context.WithCancel(ctx)
		notices := m.daemon.Subscribe(within)
		for _, status := range m.daemon.Statuses() {
			m.round(status)
		}
		for notice := range notices {
			m.take(notice)
		}
		stop()
		if !pause(ctx, time.Second) {
			return
		}
	}
}

func (m *Metrics) take(notice loop.Notice) {
	if notice.Status != nil {
		m.round(*notice.Status)
	}
	if notice.Kind == loop.NoticeEnded && notice.Report != nil {
		m.ended(notice.App, *notice.Report)
	}
}

// round counts a look once. Of those that nobody told of only the number is known.
func (m *Metrics) round(status loop.Status) {
	m.mu.Lock()
	missed := status.Round.Number - m.seen[status.App] - 1
	if missed < 0 {
		m.mu.Unlock()
		return
	}
	m.seen[status.App] = status.Round.Number
	m.mu.Unlock()
	app, outcome := NameOf(status.App), "done"
	if status.Round.Error != "" {
		outcome = "failed"
	}
	m.rounds.WithLabelValues(app, oneOf(status.Round.Why, whys), outcome).Inc()
	m.took.WithLabelValues(app).Observe(status.Round.Took.Seconds())
	if round := status.Round; !round.EventAt.IsZero() {
		m.detected.WithLabelValues(app).Observe(round.Seen.Sub(round.EventAt).Seconds())
	}
	if missed > 0 {
		m.rounds.WithLabelValues(app, "unknown", "unknown").Add(float64(missed))
	}
}

func (m *Metrics) ended(app state.App, report reconcile.Report) {
	outcome := oneOf(string(report.Outcome), outcomes)
	switch report.Kind {
	case plan.KindNone:
	case plan.KindHeal:
		m.heals.WithLabelValues(NameOf(app), outcome).Inc()
	default:
		m.releases.WithLabelValues(NameOf(app), oneOf(string(report.Kind), kinds), outcome).Inc()
	}
}

func counters(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
}
