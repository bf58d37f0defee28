package console

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/reconcile/loop"
	"github.com/kamald/kamald/state"
)

// scrape gives the lines of the metrics that are ours.
func (m *Metrics) scrape(t *testing.T) []string {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "GET", "/metrics", nil))
	if w.Code != 200 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	var lines []string
	for line := range strings.Lines(w.Body.String()) {
		if strings.HasPrefix(line, "kamald_") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}

func TestMetricsCountWhatTheDaemonDoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newModel(time.Now)
		m := NewMetrics(MetricsOptions{Daemon: d, Version: "1.2.3", StoreBytes: func() (int64, error) { return 4096, nil }})
		ctx, cancel := context.WithCancel(t.Context())
		go m.Run(ctx)
		synctest.Wait()
		if _, err := d.Order(loop.Order{Verb: loop.VerbRelease, App: shop, Version: "v2"}); err != nil {
			t.Fatal(err)
		}
		if _, err := d.Order(loop.Order{Verb: loop.VerbRollback, App: shop}); err != nil {
			t.Fatal(err)
		}
		d.begin("t1")
		if !slices.Contains(m.scrape(t), "kamald_queue 1") {
			t.Error("one order waits")
		}
		d.finish("t1", "")
		d.begin("t2")
		d.finish("t2", "web-1: unhealthy")
		d.mu.Lock()
		d.tell(loop.Notice{Kind: loop.NoticeEnded, App: shop, Report: &reconcile.Report{Kind: plan.KindHeal, Outcome: state.OutcomeSucceeded}})
		d.tell(loop.Notice{Kind: loop.NoticeEnded, App: shop, Report: &reconcile.Report{Kind: plan.KindNone, Outcome: state.OutcomeSucceeded}})
		d.mu.Unlock()
		d.change(mailer, func(s *loop.Status) {
			s.Round = loop.Round{Number: s.Round.Number + 3, Why: "event", Error: "no route to web-1", Took: 3 * time.Second}
			s.Places[0].Unreachable, s.Places[2].Cordoned = "no route", "new disk"
			s.Findings = []state.Finding{{Class: "stopped", Severity: "high"}, {Class: "stopped", Severity: "high"}, {Class: "image", Severity: "low"}}
			s.Conditions = []state.Condition{{Kind: loop.ConditionUnreachable, Host: "web-1"}, {Kind: "new-kind"}}
		})
		synctest.Wait()
		got := m.scrape(t)
		for _, want := range []string{
			`kamald_rounds_total{app="shop",outcome="done",why="timer"} 2`,
			`kamald_rounds_total{app="mailer",outcome="failed",why="event"} 1`,
			`kamald_rounds_total{app="mailer",outcome="unknown",why="unknown"} 2`,
			`kamald_round_seconds_count{app="mailer"} 1`, `kamald_round_seconds_bucket{app="mailer",le="5"} 1`, `kamald_round_seconds_bucket{app="mailer",le="2.5"} 0`,
			`kamald_releases_total{app="shop",kind="release",outcome="succeeded"} 1`, `kamald_releases_total{app="shop",kind="rollback",outcome="failed"} 1`,
			`kamald_heals_total{app="shop",outcome="succeeded"} 1`,
			`kamald_drift{app="mailer",class="stopped",severity="high"} 2`, `kamald_drift{app="mailer",class="image",severity="low"} 1`,
			`kamald_hosts{app="mailer",state="unreachable"} 1`, `kamald_hosts{app="mailer",state="cordoned"} 1`, `kamald_hosts{app="mailer",state="reachable"} 0`, `kamald_hosts{app="shop@eu",state="reachable"} 2`,
			`kamald_conditions{app="mailer",kind="unreachable"} 1`, `kamald_conditions{app="mailer",kind="other"} 1`, `kamald_conditions{app="mailer",kind="drifted"} 0`,
			`kamald_queue 0`, `kamald_store_bytes 4096`,
		} {
			if !slices.Contains(got, want) {
				t.Errorf("no %s in\n%s", want, strings.Join(got, "\n"))
			}
		}
		cancel()
		synctest.Wait()
	})
}

// TestNoticesThatWereMissedAreMadeUpFor: whoever is too slow is cut off, comes again, and asks how far it is.
func TestNoticesThatWereMissedAreMadeUpFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newModel(time.Now)
		m := NewMetrics(MetricsOptions{Daemon: d, StoreBytes: func() (int64, error) { return 0, errors.New("gone") }})
		ctx, cancel := context.WithCancel(t.Context())
		go m.Run(ctx)
		synctest.Wait()
		d.mu.Lock()
		for sub := range d.subs {
			delete(d.subs, sub)
			close(sub)
		}
		d.mu.Unlock()
		for range 3 {
			if err := d.Look(shop); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(2 * time.Second)
		got := m.scrape(t)
		for _, want := range []string{`kamald_rounds_total{app="shop",outcome="done",why="order"} 1`, `kamald_rounds_total{app="shop",outcome="unknown",why="unknown"} 2`} {
			if !slices.Contains(got, want) {
				t.Errorf("no %s in\n%s", want, strings.Join(got, "\n"))
			}
		}
		if strings.Contains(strings.Join(got, "\n"), "kamald_store_bytes") {
			t.Error("a size that cannot be told is told")
		}
		cancel()
		synctest.Wait()
	})
}

func TestLabelsAreNotWithoutEnd(t *testing.T) {
	d := newModel(time.Now)
	m := NewMetrics(MetricsOptions{Daemon: d})
	for i := range 500 {
		d.change(shop, func(s *loop.Status) {
			s.Findings = []state.Finding{{Class: fmt.Sprint("class", i), Severity: fmt.Sprint("severity", i)}}
			s.Conditions = []state.Condition{{Kind: fmt.Sprint("kind", i)}}
			s.Round.Number, s.Round.Why = i+10, fmt.Sprint("why", i)
		})
		m.round(d.mustStatus(t, shop))
		m.ended(shop, reconcile.Report{Kind: plan.Kind(fmt.Sprint("kind", i)), Outcome: state.Outcome(fmt.Sprint("outcome", i))})
		m.scrape(t)
	}
	if got := len(m.scrape(t)); got > 150 {
		t.Errorf("%d series", got)
	}
}

// TestWhatDashboardAndAlertsAskForExists holds the files of contrib to the metrics that there are, their labels included.
func TestWhatDashboardAndAlertsAskForExists(t *testing.T) {
	d := newModel(time.Now)
	full(d)
	m := NewMetrics(MetricsOptions{Daemon: d, Version: "1", StoreBytes: func() (int64, error) { return 1, nil }})
	m.round(loop.Status{App: shop, Round: loop.Round{Number: 99}})
	m.ended(shop, reconcile.Report{Kind: plan.KindHeal})
	m.ended(shop, reconcile.Report{Kind: plan.KindRelease})
	exist := map[string]bool{}
	labels := map[string]bool{"job": true, "instance": true}
	for _, line := range m.scrape(t) {
		name, rest, _ := strings.Cut(line, "{")
		exist[strings.Fields(name)[0]] = true
		for _, label := range regexp.MustCompile(`([a-z_]+)="`).FindAllStringSubmatch(rest, -1) {
			labels[label[1]] = true
		}
	}
	asked := map[string]bool{}
	for file, exprs := range map[string][]string{"grafana": panelExprs(t), "prometheus": alertExprs(t)} {
		if len(exprs) < 8 {
			t.Errorf("%s asks for %d things only", file, len(exprs))
		}
		for _, expr := range exprs {
			if strings.Count(expr, "(") != strings.Count(expr, ")") || strings.Count(expr, "{") != strings.Count(expr, "}") {
				t.Errorf("%s: %s is cut", file, expr)
			}
			for _, name := range regexp.MustCompile(`kamald_[a-z_]+`).FindAllString(expr, -1) {
				asked[name] = true
				if !exist[name] {
					t.Errorf("%s: %s: no metric is named %s", file, expr, name)
				}
			}
			for _, label := range regexp.MustCompile(`([a-z_]+)(?:=~|!~|!=|=)"`).FindAllStringSubmatch(expr, -1) {
				if !labels[label[1]] {
					t.Errorf("%s: %s: no label is named %s", file, expr, label[1])
				}
			}
			for _, kind := range regexp.MustCompile(`kind=~?"([^"$]+)"`).FindAllStringSubmatch(expr, -1) {
				for word := range strings.SplitSeq(kind[1], "|") {
					if !slices.Contains(slices.Concat(conditions, kinds), word) {
						t.Errorf("%s: %s: nothing is of the kind %s", file, expr, word)
					}
				}
			}
		}
	}
	for name := range exist {
		base := strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(name, "_bucket"), "_sum"), "_count")
		if !asked[name] && !asked[base+"_bucket"] {
			t.Errorf("%s is on no panel and in no alert", name)
		}
	}
}

func panelExprs(t *testing.T) (exprs []string) {
	data, err := os.ReadFile("../contrib/grafana/kamald.json")
	if err != nil {
		t.Fatal(err)
	}
	var board struct {
		Title  string
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
		Templating struct{ List []struct{ Query any } }
	}
	if err := json.Unmarshal(data, &board); err != nil || board.Title == "" {
		t.Fatalf("no dashboard: %v", err)
	}
	for _, panel := range board.Panels {
		for _, target := range panel.Targets {
			exprs = append(exprs, target.Expr)
		}
	}
	for _, variable := range board.Templating.List {
		if text, ok := variable.Query.(string); ok && strings.Contains(text, "kamald") {
			exprs = append(exprs, text)
		}
	}
	return exprs
}

func alertExprs(t *testing.T) (exprs []string) {
	data, err := os.ReadFile("../contrib/prometheus/alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	var rules struct {
		Groups []struct {
			Rules []struct {
				Alert, Expr string
				Annotations map[string]string
				Labels      map[string]string
			}
		}
	}
	if err := yaml.Unmarshal(data, &rules); err != nil {
		t.Fatal(err)
	}
	for _, group := range rules.Groups {
		for _, rule := range group.Rules {
			if rule.Alert == "" || rule.Labels["severity"] == "" || rule.Annotations["summary"] == "" || rule.Annotations["next"] == "" {
				t.Errorf("the alert %q says too little", rule.Alert)
			}
			exprs = append(exprs, rule.Expr)
		}
	}
	return exprs
}
