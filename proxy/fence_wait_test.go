package proxy

import (
	"errors"
	"log/slog"
	"net/http"
	"testing"
)

func TestTheFenceOfADeployThatWaitsOutlivesTheProxy(t *testing.T) {
	f := startProxy(t)
	f.deploy(deployRequest("app", backend(t, says("old")), "app.test"))
	waiting, probes := sick(t, http.StatusServiceUnavailable, "booting")
	for _, service := range []string{"app", "new"} {
		req := deployRequest(service, waiting, service+".test")
		req.Fence = 7
		failed, before := make(chan error, 1), probes.Load()
		go func() { failed <- f.router.Deploy(t.Context(), req) }()
		eventually(t, "the deploy probes", func() bool { return probes.Load() > before })
		killed := NewRouter(f.config.StatePath, slog.New(slog.DiscardHandler)) // what comes up after a kill -9 reads this
		if err := killed.Restore(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(killed.cutAll)
		late := deployRequest(service, backend(t, says("late")), service+".test")
		late.Fence = 6
		if err := killed.Deploy(t.Context(), late); !errors.Is(err, ErrFenced) {
			t.Errorf("an older writer of %s: %v", service, err)
		}
		if err := f.remove(service); err != nil && !errors.Is(err, ErrServiceNotFound) {
			t.Fatal(err)
		}
		receive(t, "the end of the deploy that waited", failed)
	}
}
