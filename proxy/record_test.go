package proxy

import (
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

func TestARolloutIsKeptInKamalProxysFields(t *testing.T) {
	f := startRollout(t, Split{Percent: 30, List: []string{"boss"}})
	var services []map[string]any
	readJSON(t, f.config.StatePath, &services)
	for path, want := range map[string]any{
		"rollout_controller":            "allowlist percentage percentage_split_point",
		"rollout_controller.percentage": 30.0,
	} {
		if got := at(services[0], path); got != want {
			t.Errorf("%s is %v, want %v", path, got, want)
		}
	}
	if got := at(services[0], "rollout_controller.percentage_split_point").(float64); got < 1288490188 || got > 1288490189 {
		t.Errorf("the split point is %v", got)
	}
	if got := services[0]["rollout_targets"].([]any); len(got) != 1 || got[0] != f.router.List()[0].Rollout.Targets[0].Target {
		t.Errorf("rollout_targets is %v", got)
	}
}

// rewriteServices edits the state file as another program would.
func rewriteServices(t *testing.T, f *fixture, edit func(services []map[string]any)) {
	t.Helper()
	var services []map[string]any
	readJSON(t, f.config.StatePath, &services)
	edit(services)
	data, err := json.Marshal(services)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(f.config.StatePath, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestAStateOfKamalProxyRestoresWithItsReadersAndRollout(t *testing.T) {
	f := startProxy(t)
	f.deploy(deployRequest("app", backend(t, says("writer")), "app.test"))
	reader, canary := backend(t, says("reader")), backend(t, says("canary"))
	rewriteServices(t, f, func(s []map[string]any) {
		delete(s[0], "kamald")
		s[0]["active_readers"] = []string{reader}
		s[0]["rollout_targets"] = []string{canary}
		s[0]["rollout_readers"] = nil
		s[0]["rollout_controller"] = map[string]any{"percentage": 300, "percentage_split_point": 1, "allowlist": nil}
	})
	f = f.restart()
	f.expectAnswer("canary", http.MethodGet)
	f.split(Split{Percent: 0})
	f.expectAnswer("reader", http.MethodGet)
	f.expectAnswer("writer", http.MethodPost)
}

func TestFieldsOfANewerProxyAreKeptInTheState(t *testing.T) {
	f := startProxy(t)
	f.deploy(deployRequest("app", backend(t, says("app")), "app.test"))
	f.deploy(deployRequest("other", backend(t, says("other")), "other.test"))
	rewriteServices(t, f, func(s []map[string]any) {
		s[0]["new_service"] = map[string]any{"a": 1}
		for _, part := range []string{"options", "target_options", "kamald"} {
			s[0][part].(map[string]any)["new_"+part] = []any{"b", 12345678901234567}
		}
	})
	f = f.restart()
	if err := f.stop("app", 0, "m"); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(f.config.StatePath)
	for _, want := range []string{`"new_service":{"a":1}`, `"new_options":["b",12345678901234567]`, `"new_target_options":`, `"new_kamald":`, `"stop_message":"m"`} {
		if err != nil || strings.Count(string(data), want) != 1 {
			t.Errorf("the state has no %s: %s, %v", want, data, err)
		}
	}
	// A deploy replaces the options as a whole and nothing else.
	f.deploy(deployRequest("app", backend(t, says("app")), "app.test"))
	data, err = os.ReadFile(f.config.StatePath)
	if text := string(data); err != nil || !strings.Contains(text, "new_service") || strings.Contains(text, "new_options") {
		t.Errorf("after a deploy the state is %s, %v", data, err)
	}
}

func TestARecordOfAWrongShapeAnswers502AndIsKeptAsItWas(t *testing.T) {
	f := startProxy(t)
	f.deploy(deployRequest("bad", backend(t, says("bad")), "bad.test"))
	f.deploy(deployRequest("good", backend(t, says("good")), "good.test"))
	rewriteServices(t, f, func(s []map[string]any) { s[0]["target_options"].(map[string]any)["response_timeout"] = "30s" })
	for range 2 {
		f = f.restart()
		f.expect("bad.test", "/", http.StatusBadGateway, "could not be restored")
		f.expect("good.test", "/", 200, "good")
		if err := f.resume("good"); err != nil { // saves
			t.Fatal(err)
		}
	}
	if data, err := os.ReadFile(f.config.StatePath); err != nil || !strings.Contains(string(data), `"response_timeout":"30s"`) {
		t.Errorf("the state is %s, %v", data, err)
	}
	if err := f.router.RolloutSet(RolloutSetRequest{Service: "bad"}); err == nil || !strings.Contains(err.Error(), "deploy it first") {
		t.Errorf("rollout set said %v", err)
	}
	f.deploy(deployRequest("bad", backend(t, says("mended")), "bad.test"))
	f.expect("bad.test", "/", 200, "mended")
}

func TestARolloutThatCannotBeRestoredLeavesItsServiceServing(t *testing.T) {
	f := startRollout(t, Split{Percent: 100})
	rewriteServices(t, f, func(s []map[string]any) { s[0]["rollout_targets"] = []string{"http://x"} })
	f = f.restart()
	f.expect("app.test", "/", 200, "old")
	if i := f.router.List()[0]; i.State != "running" || i.Rollout != nil {
		t.Errorf("list says %+v", i)
	}
}

func TestWhatKilledProxiesLeftIsRemovedAtStart(t *testing.T) {
	f := startProxy(t)
	f.deploy(deployRequest("app", backend(t, says("app")), "app.test"))
	old, young := f.config.StatePath+".new-1", f.config.StatePath+".new-2"
	for path, age := range map[string]time.Duration{old: time.Hour, young: 0} {
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		at := time.Now().Add(-age)
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
	f.restart()
	if _, err := os.Stat(old); !os.IsNotExist(err) {
		t.Errorf("the old one: %v", err)
	}
	if _, err := os.Stat(young); err != nil {
		t.Errorf("the young one: %v", err)
	}
}

func TestWhatThisVersionKnowsIsNeverKeptAsUnknown(t *testing.T) {
	f := startRollout(t, Split{Percent: 30, List: []string{"boss"}, Headers: []string{"A=b"}, By: RolloutByAddress, CookieMaxAge: time.Minute})
	req := deployRequest("app", backend(t, says("app")), "app.test")
	req.Fence, req.Balance = 3, BalanceLeastConnections
	f.deploy(req)
	records, err := stateFile{f.config.StatePath}.read()
	if err != nil || len(records) != 1 || !records[0].unknown.none() {
		t.Errorf("read %+v, %v", records, err)
	}
}
