package proxy

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestACommandThatPanicsDoesNotKeepTheStateFromBeingHandedOver(t *testing.T) {
	c := &controlServer{changes: newChanges()}
	guarded := c.guard(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	func() {
		defer func() { _ = recover() }()
		guarded.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/v1/deploy", strings.NewReader("{}")))
	}()
	if err := c.changes.freeze(10 * time.Millisecond); err != nil {
		t.Error(err)
	}
}
