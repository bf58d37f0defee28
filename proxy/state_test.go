package proxy

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestTheStateFileHasKamalProxysFieldNames(t *testing.T) {
	f := startProxy(t)
	target := backend(t, says("v1"))
	f.deploy(deployRequest("app", target, "app.test"))
	if err := f.pause("app", 0, 7*time.Second); err != nil {
		t.Fatal(err)
	}
	var services []map[string]any
	readJSON(t, f.config.StatePath, &services)
	if len(services) != 1 {
		t.Fatalf("%d services in the state", len(services))
	}
	for path, want := range map[string]any{
		"name": "app",
		"options": "acme_cache_path acme_directory canonical_host client_ip_header error_page_path exclude_metrics_paths hosts path_prefixes " +
			"read_targets_accept_websockets strip_prefix tls_certificate_path tls_enabled tls_on_demand_url tls_private_key_path tls_redirect writer_affinity_timeout",
		"target_options": "buffer_requests buffer_responses forward_headers health_check_config log_request_headers log_response_headers " +
			"max_memory_buffer_size max_request_body_size max_response_body_size response_timeout scope_cookie_paths",
		"target_options.health_check_config":          "host interval path port timeout",
		"target_options.health_check_config.interval": float64(20 * time.Millisecond),
		"pause_controller":                            "fail_after state stop_message",
		"pause_controller.state":                      float64(1),
		"pause_controller.fail_after":                 float64(7 * time.Second),
		"rollout_controller":                          nil,
	} {
		if got := at(services[0], path); got != want {
			t.Errorf("%s is %v, want %v", path, got, want)
		}
	}
	if got := services[0]["active_targets"].([]any); len(got) != 1 || got[0] != target {
		t.Errorf("active_targets is %v", got)
	}
	for _, name := range []string{"active_readers", "rollout_targets", "rollout_readers"} {
		if _, ok := services[0][name]; !ok {
			t.Errorf("%s is missing", name)
		}
	}
}

// at returns the value at a dotted path; of an object, its sorted keys.
func at(v any, path string) any {
	for key := range strings.SplitSeq(path, ".") {
		v = v.(map[string]any)[key]
	}
	object, ok := v.(map[string]any)
	if !ok {
		return v
	}
	var keys []string
	for key := range object {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return strings.Join(keys, " ")
}

func readJSON(t *testing.T, path string, into any) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, into); err != nil {
		t.Fatalf("%v in %s", err, data)
	}
}

func TestARestartServesTheSameAtOnceWithTheSameState(t *testing.T) {
	f := startProxy(t)
	down := deployRequest("down", nobody(t), "down.test")
	down.Force = true
	down.TargetOptions.BufferRequests, down.TargetOptions.MaxRequestBodySize = true, 99
	f.deploy(down)
	f.deploy(deployRequest("app", backend(t, says("app")), "app.test", "*.app.test"))
	before, err := os.ReadFile(f.config.StatePath)
	if err != nil {
		t.Fatal(err)
	}
	f = f.restart()
	f.expect("app.test", "/", 200, "app")
	f.expect("x.app.test", "/", 200, "app")
	f.expect("down.test", "/", http.StatusBadGateway, "")
	if err := f.resume("app"); err != nil {
		t.Fatal(err)
	}
	after, err := os.ReadFile(f.config.StatePath)
	if err != nil || string(after) != string(before) {
		t.Errorf("the state is another after the restart, %v:\n%s\n%s", err, before, after)
	}
}

func TestAServiceThatCannotBeRestoredAnswers502AndTheOthersServe(t *testing.T) {
	f := startProxy(t)
	f.deploy(deployRequest("bad", backend(t, says("bad")), "bad.test"))
	f.deploy(deployRequest("good", backend(t, says("good")), "good.test"))
	rewrite(t, f.config.StatePath, `"interval":20000000`, `"interval":0`, 1)
	f = f.restart()
	f.expect("bad.test", "/", http.StatusBadGateway, "could not be restored")
	f.expect("good.test", "/", 200, "good")
	if bad := f.router.List()[0]; bad.State != "broken" || !strings.Contains(bad.Error, "health-check-interval") {
		t.Errorf("list says %+v", bad)
	}
	// It is not forgotten by the next save, and a deploy mends it.
	f.deploy(deployRequest("good", backend(t, says("good")), "good.test"))
	f = f.restart()
	f.expect("bad.test", "/", http.StatusBadGateway, "could not be restored")
	f.deploy(deployRequest("bad", backend(t, says("mended")), "bad.test"))
	f.expect("bad.test", "/", 200, "mended")
}

func rewrite(t *testing.T, path, old, new string, times int) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(data), old) {
		t.Fatalf("no %s in %s", old, data)
	}
	if err := os.WriteFile(path, []byte(strings.Replace(string(data), old, new, times)), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestATruncatedStateIsKeptAsideAndWhatIsWholeInItServes(t *testing.T) {
	f := startProxy(t)
	f.deploy(deployRequest("a", backend(t, says("a")), "a.test"))
	f.deploy(deployRequest("b", backend(t, says("b")), "b.test"))
	data, err := os.ReadFile(f.config.StatePath)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(f.config.StatePath, data[:len(data)-100], 0o600); err != nil {
		t.Fatal(err)
	}
	f = f.restart()
	f.expect("a.test", "/", 200, "a")
	f.expect("b.test", "/", 404, "")
	aside, err := os.ReadFile(f.config.StatePath + ".corrupt")
	if err != nil || len(aside) != len(data)-100 {
		t.Errorf("kept aside: %d bytes, %v", len(aside), err)
	}
}

func TestWhenTheStateCannotBeSavedNothingChangesAndTheCallerIsTold(t *testing.T) {
	f := startProxy(t)
	f.deploy(deployRequest("app", backend(t, says("old")), "app.test"))
	// A directory in the file's place: rename onto it fails for every user, root too.
	if err := os.Remove(f.config.StatePath); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(f.config.StatePath, "in-the-way"), 0o700); err != nil {
		t.Fatal(err)
	}
	err := f.router.Deploy(t.Context(), deployRequest("app", backend(t, says("new")), "app.test"))
	if err == nil || !strings.Contains(err.Error(), "saving the state") {
		t.Errorf("the deploy said %v", err)
	}
	f.expect("app.test", "/", 200, "old")
	if err := f.stop("app", 0, ""); err == nil {
		t.Error("stop succeeded")
	}
	f.expect("app.test", "/", 200, "old")
	left, err := filepath.Glob(f.config.StatePath + ".new-*")
	if err != nil || len(left) != 0 {
		t.Errorf("temporary files are left: %v, %v", left, err)
	}
}

func TestAReaderNeverSeesAPartOfTheStateWhileItChanges(t *testing.T) {
	f := startProxy(t)
	f.deploy(deployRequest("app", backend(t, says("app")), "app.test"))
	stop, done := make(chan struct{}), make(chan int)
	go func() {
		reads := 0
		defer func() { done <- reads }()
		for {
			select {
			case <-stop:
				return
			default:
			}
			var services []serviceRecord
			data, err := os.ReadFile(f.config.StatePath)
			if err == nil {
				err = json.Unmarshal(data, &services)
			}
			if err != nil || len(services) != 1 {
				t.Errorf("read %d services, %v: %q", len(services), err, data)
				return
			}
			reads++
		}
	}()
	for i := range 50 {
		if err := f.stop("app", 0, strings.Repeat("m", i*100)); err != nil {
			t.Error(err)
		}
	}
	close(stop)
	if reads := receive(t, "the reader", done); reads == 0 {
		t.Error("nothing was read")
	}
}

func TestAGateThatThisVersionDoesNotKnowIsNoEmptyAnswer(t *testing.T) {
	f := startProxy(t)
	f.deploy(deployRequest("app", backend(t, says("v1")), "app.test"))
	rewrite(t, f.config.StatePath, `"pause_controller":{"state":0`, `"pause_controller":{"state":7`, 1)
	f = f.restart()
	f.expect("app.test", "/", http.StatusBadGateway, "could not be restored")
	if i := f.router.List()[0]; i.State != "broken" || !strings.Contains(i.Error, "pause_controller") {
		t.Errorf("list says %+v", i)
	}
	f.deploy(deployRequest("app", backend(t, says("v2")), "app.test"))
	f.expect("app.test", "/", 200, "v2")
}
