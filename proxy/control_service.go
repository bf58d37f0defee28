package proxy

import (
	"context"
	"errors"
	"net/http"
)

// serviceRoutes are the commands on services other than deploy.
func (c *controlServer) serviceRoutes(mux *http.ServeMux) {
	r := c.router
	for path, run := range map[string]func(context.Context, gateRequest) error{
		"remove": r.remove, "pause": r.pause, "stop": r.stop, "resume": r.resume, "rollout/stop": r.stopRollout,
	} {
		mux.HandleFunc("POST /v1/"+path, command(run))
	}
	mux.HandleFunc("POST /v1/rollout/deploy", command(r.RolloutDeploy))
	mux.HandleFunc("POST /v1/rollout/set", command(func(_ context.Context, q RolloutSetRequest) error { return r.RolloutSet(q) }))
	mux.HandleFunc("GET /v1/services", func(w http.ResponseWriter, _ *http.Request) { reply(w, http.StatusOK, r.List()) })
	mux.HandleFunc("GET /v1/inspect", func(w http.ResponseWriter, q *http.Request) {
		switch inspection, err := r.Inspect(q.URL.Query().Get("service")); {
		case errors.Is(err, ErrServiceNotFound):
			reply(w, http.StatusNotFound, controlError{err.Error()})
		default:
			reply(w, http.StatusOK, inspection)
		}
	})
}
