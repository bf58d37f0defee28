package console

import (
	"slices"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/reconcile/loop"
	"github.com/kamald/kamald/state"
)

// The words that labels may have; any other is "other".
var (
	whys     = []string{"timer", "again", "event", "source", "order", "start"}
	outcomes = []string{string(state.OutcomeSucceeded), string(state.OutcomePartial), string(state.OutcomeFailed), string(state.OutcomeCancelled)}
	kinds    = []string{string(plan.KindRelease), string(plan.KindConfig), string(plan.KindRollback), string(plan.KindPrune)}

	// conditions are in the order of their weight: the first that an app has is what it is called by.
	conditions = []string{
		loop.ConditionStoreBroken, loop.ConditionLeaderless, loop.ConditionQuarantined, loop.ConditionFailed, loop.ConditionNotConverging, loop.ConditionFlapping, loop.ConditionDependency, loop.ConditionOverBudget,
		loop.ConditionUnreachable, loop.ConditionLowDisk, loop.ConditionApproval, loop.ConditionMovedByHand, loop.ConditionSourceBroken, loop.ConditionReleasing,
		loop.ConditionHealing, loop.ConditionDrifted, loop.ConditionWaiting, loop.ConditionHeld, loop.ConditionPaused, loop.ConditionFrozen, loop.ConditionReportOnly,
	}
)

func oneOf(word string, known []string) string {
	if slices.Contains(known, word) {
		return word
	}
	return "other"
}

// The states of a host.
const (
	hostReachable   = "reachable"
	hostUnreachable = "unreachable"
	hostCordoned    = "cordoned"
)

// gauges say how the apps are when they are asked.
type gauges struct {
	daemon Daemon

	drift, hosts, conditions, leads, queue *prometheus.Desc

	classes, severities words
}

func newGauges(daemon Daemon) *gauges {
	return &gauges{daemon: daemon,
		drift:      prometheus.NewDesc("kamald_drift", "Differences between what is held and what is there, by class and severity.", []string{"app", "class", "severity"}, nil),
		hosts:      prometheus.NewDesc("kamald_hosts", "Hosts of an app, by state (reachable, unreachable, cordoned).", []string{"app", "state"}, nil),
		conditions: prometheus.NewDesc("kamald_conditions", "Conditions of an app, by kind. An app without any is as it should be.", []string{"app", "kind"}, nil),
		leads:      prometheus.NewDesc("kamald_leads", "Whether this daemon drives an app that it shares with others: 1, or 0.", []string{"app"}, nil),
		queue:      prometheus.NewDesc("kamald_queue", "Orders that wait to be begun.", nil, nil),
		classes:    words{most: 32}, severities: words{most: 8},
	}
}

// Describe implements prometheus.Collector.
func (g *gauges) Describe(to chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{g.drift, g.hosts, g.conditions, g.leads, g.queue} {
		to <- desc
	}
}

// Collect implements prometheus.Collector.
func (g *gauges) Collect(to chan<- prometheus.Metric) {
	send := func(desc *prometheus.Desc, value int, labels ...string) {
		to <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, float64(value), labels...)
	}
	for _, status := range g.daemon.Statuses() {
		app := NameOf(status.App)
		found := map[[2]string]int{}
		for _, f := range status.Findings {
			found[[2]string{g.classes.of(f.Class), g.severities.of(f.Severity)}]++
		}
		for labels, n := range found {
			send(g.drift, n, app, labels[0], labels[1])
		}
		hosts := hostStates(status)
		for _, word := range []string{hostReachable, hostUnreachable, hostCordoned} {
			n := 0
			for _, is := range hosts {
				if is == word {
					n++
				}
			}
			send(g.hosts, n, app, word)
		}
		if leads, shared := leadsOf(status); shared {
			send(g.leads, leads, app)
		}
		has := map[string]int{}
		for _, c := range status.Conditions {
			has[oneOf(c.Kind, conditions)]++
		}
		for _, kind := range append(slices.Clone(conditions), "other") { // those that it has not, too: an alert sees it end
			send(g.conditions, has[kind], app, kind)
		}
	}
	waiting := 0
	for _, ticket := range g.daemon.Open() {
		if ticket.Begun.IsZero() {
			waiting++
		}
	}
	send(g.queue, waiting)
}

// leadsOf is 1 for an app that the daemon that was asked drives; shared: several could.
func leadsOf(status loop.Status) (leads int, shared bool) {
	nobody := slices.ContainsFunc(status.Conditions, func(c state.Condition) bool { return c.Kind == loop.ConditionLeaderless })
	if status.Leader != nil && status.Leader.Self {
		leads = 1
	}
	return leads, status.Leader != nil || nobody
}

// hostStates tells of each host of an app how it is.
func hostStates(status loop.Status) map[string]string {
	hosts := map[string]string{}
	for _, p := range status.Places {
		switch {
		case p.Cordoned != "":
			hosts[p.Host] = hostCordoned
		case p.Unreachable != "" && hosts[p.Host] != hostCordoned:
			hosts[p.Host] = hostUnreachable
		case hosts[p.Host] == "":
			hosts[p.Host] = hostReachable
		}
	}
	return hosts
}

// words lets the first so many different words through, and calls others "other": the set is closed elsewhere, and a mistake there makes no
// series without end here.
type words struct {
	mu   sync.Mutex
	most int
	seen []string
}

func (w *words) of(word string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if slices.Contains(w.seen, word) {
		return word
	}
	if len(w.seen) >= w.most {
		return "other"
	}
	w.seen = append(w.seen, word)
	return word
}

// storeBytes is the size of the store, as long as it can be told.
type storeBytes struct{ size func() (int64, error) }

var storeDesc = prometheus.NewDesc("kamald_store_bytes", "Size of the daemon's store.", nil, nil)

// Describe implements prometheus.Collector.
func (storeBytes) Describe(to chan<- *prometheus.Desc) { to <- storeDesc }

// Collect implements prometheus.Collector.
func (s storeBytes) Collect(to chan<- prometheus.Metric) {
	if bytes, err := s.size(); err == nil {
		to <- prometheus.MustNewConstMetric(storeDesc, prometheus.GaugeValue, float64(bytes))
	}
}
