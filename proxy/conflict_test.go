package proxy

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
)

func TestOfTwoServicesThatWaitForOneHostTheFirstToSwitchHasIt(t *testing.T) {
	f := startProxy(t)
	var well atomic.Bool
	probed := make(chan struct{}, 1)
	late := backendWithHealth(t, func(w http.ResponseWriter, _ *http.Request) {
		select {
		case probed <- struct{}{}:
		default:
		}
		if !well.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	waits := make(chan error, 1)
	go func() { waits <- f.router.Deploy(t.Context(), deployRequest("late", late, "app.test")) }()
	receive(t, "a check of the deploy that waits", probed)
	f.deploy(deployRequest("first", backend(t, says("first")), "app.test"))
	well.Store(true)
	if err := receive(t, "the deploy that waited", waits); err == nil || !strings.Contains(err.Error(), "belongs to service first") {
		t.Errorf("the deploy that waited said %v", err)
	}
	f.expect("app.test", "/", http.StatusOK, "first")
	if len(f.router.List()) != 1 {
		t.Errorf("there are %+v", f.router.List())
	}
}
