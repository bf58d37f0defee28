package proxy

import (
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"
)

func TestAStoppedServiceAnswers503WithItsMessageUntilResumedThroughDeploysAndRestarts(t *testing.T) {
	f := startProxy(t)
	f.deploy(deployRequest("app", backend(t, says("v1")), "app.test"))
	if err := f.stop("app", patience, "back <soon>"); err != nil {
		t.Fatal(err)
	}
	f.expect("app.test", "/", http.StatusServiceUnavailable, "back &lt;soon&gt;")
	f.expect("app.test", "/up", http.StatusOK, "")
	f.deploy(deployRequest("app", backend(t, says("v2")), "app.test"))
	f.expect("app.test", "/", http.StatusServiceUnavailable, "back &lt;soon&gt;")
	f = f.restart()
	f.expect("app.test", "/", http.StatusServiceUnavailable, "back &lt;soon&gt;")
	if state := f.router.List()[0].State; state != "stopped" {
		t.Errorf("list says %s", state)
	}
	if err := f.resume("app"); err != nil {
		t.Fatal(err)
	}
	f.expect("app.test", "/", 200, "v2")
}

func TestAPausedServiceHoldsRequestsAndLetsThemGoOnResume(t *testing.T) {
	f := startProxy(t)
	f.deploy(deployRequest("app", backend(t, says("v1")), "app.test"))
	if err := f.pause("app", patience, patience); err != nil {
		t.Fatal(err)
	}
	answered := make(chan string, 1)
	go func() {
		_, body := f.get("app.test", "/")
		answered <- body
	}()
	// A deploy while paused: the held request goes to the new target.
	f.deploy(deployRequest("app", backend(t, says("v2")), "app.test"))
	select {
	case body := <-answered:
		t.Fatalf("a paused service answered %q", body)
	default:
	}
	if err := f.resume("app"); err != nil {
		t.Fatal(err)
	}
	if body := receive(t, "the held request", answered); body != "v2" {
		t.Errorf("the held request got %q", body)
	}
}

func TestARequestHeldLongerThanThePauseAllowsGets504(t *testing.T) {
	f := startProxy(t)
	f.deploy(deployRequest("app", backend(t, says("v1")), "app.test"))
	if err := f.pause("app", patience, 20*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	f.expect("app.test", "/", http.StatusGatewayTimeout, "in time")
}

func TestRemovingAPausedServiceAnswersTheHeldRequests(t *testing.T) {
	f := startProxy(t)
	f.deploy(deployRequest("app", backend(t, says("v1")), "app.test"))
	if err := f.pause("app", patience, patience); err != nil {
		t.Fatal(err)
	}
	answered := make(chan int, 1)
	go func() {
		status, _ := f.get("app.test", "/")
		answered <- status
	}()
	eventually(t, "the request is held", func() bool {
		stacks := make([]byte, 1<<20)
		return strings.Contains(string(stacks[:runtime.Stack(stacks, true)]), "proxy.hold(")
	})
	if err := f.remove("app"); err != nil {
		t.Fatal(err)
	}
	if status := receive(t, "the held request", answered); status != http.StatusNotFound {
		t.Errorf("the held request got %d", status)
	}
}

func TestCommandsOnAnUnknownServiceSayNotFound(t *testing.T) {
	f := startProxy(t)
	for name, err := range map[string]error{
		"remove": f.remove("x"), "pause": f.pause("x", 0, time.Second), "stop": f.stop("x", 0, ""), "resume": f.resume("x"),
	} {
		if err != ErrServiceNotFound {
			t.Errorf("%s said %v", name, err)
		}
	}
}

func TestTheHealthPathOfAStoppedServiceMayHaveAQuery(t *testing.T) {
	f := startProxy(t)
	req := deployRequest("app", backend(t, says("v1")), "app.test")
	req.TargetOptions.HealthCheckConfig.Path = "/up?full=1"
	f.deploy(req)
	if err := f.stop("app", patience, ""); err != nil {
		t.Fatal(err)
	}
	f.expect("app.test", "/up?full=1", http.StatusOK, "")
	f.expect("app.test", "/other", http.StatusServiceUnavailable, "")
}
