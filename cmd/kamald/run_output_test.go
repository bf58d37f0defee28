package main

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/reconcile/loop"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// What the daemon does is logged and traced as the app's file says: one file and one trace each, and a rollback beside a release is one of
// its own.
func TestWhatTheDaemonDoesIsLoggedWhereTheFileSays(t *testing.T) {
	var (
		mu    sync.Mutex
		roots []string
	)
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var body struct {
			ResourceSpans []struct {
				ScopeSpans []struct {
					Spans []struct {
						Name, ParentSpanID string
						Status             struct{ Code int }
					}
				}
			}
		}
		if r.URL.Path != "/v1/traces" || json.NewDecoder(r.Body).Decode(&body) != nil {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		spans := body.ResourceSpans[0].ScopeSpans[0].Spans
		text := spans[0].Name
		for _, s := range spans[1:] {
			text += " " + s.Name
		}
		roots = append(roots, text)
	}))
	defer collector.Close()
	dir := t.TempDir()
	app := state.App{Service: "shop"}
	o := newOutputs(zerolog.Nop())
	o.read(release.Release{Service: "shop", Output: release.Output{Dir: "log", OTel: collector.URL}}, release.Source{Kind: release.SourceFile, Path: filepath.Join(dir, "deploy.hcl")}, "")
	began := time.Now()
	does := func(kind plan.Kind) {
		o.take(loop.Notice{App: app, Kind: loop.NoticeStatus, Status: &loop.Status{Doing: &loop.Activity{Kind: kind, Version: "v2", Who: "kamald", Since: began}}})
	}
	step := func(id string) {
		o.take(loop.Notice{App: app, Kind: loop.NoticeProgress, Progress: &reconcile.Progress{At: time.Now(), Kind: "done", Step: id, Message: id}})
	}
	ends := func(kind plan.Kind, phase plan.Phase, err error, steps ...string) {
		report := reconcile.Report{Kind: kind, Version: "v2", Outcome: state.OutcomeSucceeded}
		for _, id := range steps {
			report.Plan.Steps = append(report.Plan.Steps, plan.Step{ID: id, Phase: phase})
		}
		o.take(loop.Notice{App: app, Kind: loop.NoticeEnded, Report: &report, Err: err})
	}
	step("nobody/began") // a look: of no deed
	does(plan.KindRelease)
	does(plan.KindRelease) // told again, as every line of it is
	step("create/h1")
	does(plan.KindRollback)
	step("start/h1")
	ends(plan.KindRelease, plan.PhaseCreate, errors.New("it was cancelled"), "create/h1")
	ends(plan.KindRollback, plan.PhasePrimary, nil, "start/h1")
	does(plan.KindHeal) // and nothing is begun
	began = began.Add(time.Second)
	does(plan.KindHeal)
	step("create/h2")
	ends(plan.KindHeal, plan.PhaseCreate, nil, "create/h2")
	o.close()
	slices.Sort(roots)
	if want := []string{"kamald heal create create", "kamald release create create", "kamald rollback primary start"}; !slices.Equal(roots, want) {
		t.Errorf("the traces are %q, want %q", roots, want)
	}
	files, _ := filepath.Glob(filepath.Join(dir, "log", "*.log"))
	said := ""
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		said += string(text)
	}
	if len(files) != 3 || strings.Contains(said, "nobody") || strings.Count(said, "create/h1") != 1 || strings.Count(said, "FAILED: it was cancelled") != 1 {
		t.Errorf("%d files:\n%s", len(files), said)
	}
}
