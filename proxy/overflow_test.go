package proxy

import (
	"io"
	"math"
	"net/http"
	"strings"
	"testing"
)

func TestTheLargestLimitsAreNoLimits(t *testing.T) {
	f := startProxy(t)
	if err := f.Shutdown(); err != nil {
		t.Fatal(err)
	}
	f.config.Limits.BufferMemory, f.config.Limits.BufferDisk = math.MaxInt64, math.MaxInt64
	f = startProxyWith(t, f.config)
	req := deployRequest("app", backend(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) }), "app.test")
	req.TargetOptions.BufferRequests, req.TargetOptions.BufferResponses = true, true
	req.TargetOptions.MaxRequestBodySize, req.TargetOptions.MaxResponseBodySize = math.MaxInt64, math.MaxInt64
	req.TargetOptions.MaxMemoryBufferSize = math.MaxInt64
	f.deploy(req)
	for _, body := range []io.Reader{strings.NewReader("known length"), io.MultiReader(strings.NewReader("no length"))} {
		if status, got, _ := f.do(f.request(http.MethodPost, "app.test", "/", body)); status != 200 || !strings.Contains(got, "length") {
			t.Errorf("%d %q", status, got)
		}
	}
}
