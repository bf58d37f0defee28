package proxy

import (
	"net/http"
	"testing"
	"time"
)

// TestARequestOfTheRolloutIsCutByWhateverEndsItsService has a request in flight on the rollout that never ends by itself.
func TestARequestOfTheRolloutIsCutByWhateverEndsItsService(t *testing.T) {
	const drain = 50 * time.Millisecond
	for name, end := range map[string]func(*fixture) error{
		"pause":        func(f *fixture) error { return f.pause("app", drain, patience) },
		"stop":         func(f *fixture) error { return f.stop("app", drain, "") },
		"remove":       func(f *fixture) error { return f.remove("app") },
		"rollout stop": func(f *fixture) error { return f.stopRollout("app", 0) },
	} {
		t.Run(name, func(t *testing.T) {
			f := startMetered(t, Limits{})
			req := deployRequest("app", backend(t, says("old")), "app.test")
			req.DrainTimeout = drain
			f.deploy(req)
			asked := make(chan struct{}, 1)
			slow := backend(t, func(_ http.ResponseWriter, r *http.Request) {
				asked <- struct{}{}
				<-r.Context().Done()
			})
			err := f.router.RolloutDeploy(t.Context(), RolloutDeployRequest{Service: "app", Targets: []string{slow}, DeployTimeout: patience, DrainTimeout: drain})
			if err == nil {
				err = f.router.RolloutSet(RolloutSetRequest{Service: "app", Split: Split{Percent: 100}})
			}
			if err != nil {
				t.Fatal(err)
			}
			status := make(chan int, 1)
			go func() {
				code, _ := f.get("app.test", "/")
				status <- code
			}()
			receive(t, "the request at the rollout", asked)
			if err := end(f); err != nil {
				t.Fatal(err)
			}
			// Those of a removed service are forgotten.
			if got, want := f.scrape("kamald_proxy_drain_cut_total"), "kamald_proxy_drain_cut_total{service=\"app\"} 1\n"; got != want && name != "remove" {
				t.Errorf("cut: %q, want %q", got, want)
			}
			if code := receive(t, "the answer", status); code != http.StatusGatewayTimeout {
				t.Errorf("the request got %d", code)
			}
		})
	}
}
