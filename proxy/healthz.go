package proxy

import (
	"fmt"
	"net/http"
	"time"
)

// healthTimeout bounds the health command: a proxy that does not answer it in this time is not well.
const healthTimeout = 5 * time.Second

const (
	healthServing  = "serving"
	healthStopping = "stopping"
)

// Health says how the proxy itself is. Services that are broken or stopped are named and make it no less healthy: to
// restart the proxy for them would only take the others away.
type Health struct {
	Status   string   `json:"status"` // serving or stopping
	Version  string   `json:"version"`
	Services int      `json:"services"`
	Broken   []string `json:"broken"`
}

// Health returns the proxy's health. It answers while a deploy runs.
func (s *Server) Health() Health {
	h := Health{Status: healthServing, Version: buildVersion(), Broken: []string{}}
	select {
	case <-s.ending:
		h.Status = healthStopping
	default:
	}
	for _, i := range s.router.List() {
		h.Services++
		if i.State == "broken" {
			h.Broken = append(h.Broken, i.Service)
		}
	}
	return h
}

// health is the command for a container's health check: exit code 0 when the running proxy serves, else 1.
func (in invocation) health(args []string) error {
	f := in.newFlagSet("health", "")
	if _, err := f.parse(args, 0); err != nil {
		return err
	}
	var h Health
	c := newClient(f.socket)
	c.http.Timeout = healthTimeout
	if err := c.do(in.ctx, http.MethodGet, "/v1/health", nil, &h); err != nil {
		return err
	}
	if h.Status != healthServing {
		return fmt.Errorf("the proxy is %s", h.Status)
	}
	fmt.Fprintln(in.stdout, h.Status)
	return nil
}
