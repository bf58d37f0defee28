package proxy_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/kamald/kamald/drivers/proxy"
	"github.com/kamald/kamald/state"
)

func TestARolloutIsDrivenByTheProxysOwnCommands(t *testing.T) {
	r := &recorder{}
	d := proxy.New(r)
	for _, err := range []error{
		d.RolloutDeploy(t.Context(), "kamal-proxy", "shop-web", []string{"0123456789ab:3000"}, 30*time.Second, 5*time.Second),
		d.RolloutSet(t.Context(), "kamal-proxy", "shop-web", 10),
		d.RolloutStop(t.Context(), "kamal-proxy", "shop-web", 5*time.Second),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	want := [][]string{
		{"kamal-proxy", "rollout", "deploy", "shop-web", "--target=0123456789ab:3000", "--deploy-timeout=30s", "--drain-timeout=5s"},
		{"kamal-proxy", "rollout", "set", "shop-web", "--percent=10"},
		{"kamal-proxy", "rollout", "stop", "shop-web"},
	}
	if !reflect.DeepEqual(r.argv, want) {
		t.Errorf("got  %q\nwant %q", r.argv, want)
	}
}

func TestARolloutThatIsNotThereEndsAndIsNotSplit(t *testing.T) {
	for said, want := range map[string]error{"Error: service not found": state.ErrNotFound, "Error: rollout target not set": state.ErrNoRollout} {
		d := proxy.New(&recorder{result: state.ExecResult{Code: 1, Stderr: said + "\n"}})
		if err := d.RolloutSet(t.Context(), "kamal-proxy", "shop-web", 10); !errors.Is(err, want) || !strings.Contains(err.Error(), "shop-web") {
			t.Errorf("%s: set says %v", said, err)
		}
		if err := d.RolloutStop(t.Context(), "kamal-proxy", "shop-web", 0); err != nil {
			t.Errorf("%s: stop says %v", said, err)
		}
	}
}

func TestAShareThatIsNoneIsRefusedBeforeTheProxyIsAsked(t *testing.T) {
	r := &recorder{}
	d := proxy.New(r)
	for what, err := range map[string]error{
		"300 %":     d.RolloutSet(t.Context(), "kamal-proxy", "shop-web", 300),
		"no target": d.RolloutDeploy(t.Context(), "kamal-proxy", "shop-web", nil, time.Second, 0),
		"a flag":    d.RolloutStop(t.Context(), "kamal-proxy", "--help", 0),
	} {
		if err == nil {
			t.Errorf("%s was taken", what)
		}
	}
	if len(r.argv) > 0 {
		t.Errorf("the proxy was asked %q", r.argv)
	}
}

func TestTheSidesOfARolloutAreReadFromWhatTheProxySaysOfARoute(t *testing.T) {
	text := `{"service": "shop-web", "rollout": {"targets": [{"target": "0123456789ab:3000", "healthy": false, "cause": "refused"}]},
		"sides": {"active": {"requests": 360, "errors": 1}, "rollout": {"requests": 40, "errors": 12}}}`
	got, err := proxy.New(&recorder{result: state.ExecResult{Stdout: text}}).Sides(t.Context(), "kamal-proxy", "shop-web")
	want := state.Sides{Active: state.Side{Requests: 360, Errors: 1}, Rollout: state.Side{Requests: 40, Errors: 12},
		Targets: []state.LiveTarget{{Target: "0123456789ab:3000", Health: "unhealthy", Cause: "refused"}}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v %v", got, err)
	}
	for text, want := range map[string]string{
		`{"service": "shop-web"}`: "no rollout", `{"rollout": {"targets": []}}`: "does not count", "Usage: kamal-proxy": "cannot be read",
	} {
		_, err := proxy.New(&recorder{result: state.ExecResult{Stdout: text}}).Sides(t.Context(), "kamal-proxy", "shop-web")
		if err == nil || !strings.Contains(err.Error(), want) || errors.Is(err, state.ErrNotFound) != (want == "no rollout") {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func splitsAndCounts(t *testing.T, port, one, two string) {
	d := proxy.New(dockerEngine{})
	const container = testContainer
	if about, err := d.About(t.Context(), container); err != nil || !strings.Contains(strings.Join(about.Features, " "), state.FeatureSides) {
		t.Fatalf("%+v, %v", about, err)
	}
	route := state.Route{Name: "shop-web", Targets: []string{one + ":3000"}, Options: plain()}
	route.Options.HealthInterval = 100 * time.Millisecond
	if err := d.Deploy(t.Context(), container, route, 20*time.Second, time.Second); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Sides(t.Context(), container, "shop-web"); !errors.Is(err, state.ErrNoRollout) {
		t.Errorf("without a rollout: %v", err)
	}
	if err := d.RolloutDeploy(t.Context(), container, "shop-web", []string{two + ":3000"}, 20*time.Second, time.Second); err != nil {
		t.Fatal(err)
	}
	if err := d.RolloutSet(t.Context(), container, "shop-web", 100); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if status, body := get(t, port); status != 200 || body != two {
			t.Errorf("%d %q", status, body)
		}
	}
	sides, err := d.Sides(t.Context(), container, "shop-web")
	if err != nil || sides.Rollout.Requests < 2 || sides.Rollout.Errors != 0 || len(sides.Targets) != 1 || sides.Targets[0].Health != "healthy" {
		t.Errorf("%+v %v", sides, err)
	}
	routes, err := d.Routes(t.Context(), container)
	if err != nil || len(routes) != 1 || routes[0].Rollout == nil || !routes[0].Rollout.On || routes[0].Rollout.Percent != 100 {
		t.Errorf("%+v %v", routes, err)
	}
	for range 2 {
		if err := d.RolloutStop(t.Context(), container, "shop-web", time.Second); err != nil {
			t.Fatal(err)
		}
	}
	if status, body := get(t, port); status != 200 || body != one {
		t.Errorf("after it: %d %q", status, body)
	}
}
