package proxy

import (
	"fmt"
	"io"
	"net/http"
	"testing"
)

// TestAnAppThatSwitchesProtocolsUnaskedIsA502 is about an answer by which an app could end the whole proxy: the goroutines of
// an upgrade have no handler above them that takes a panic.
func TestAnAppThatSwitchesProtocolsUnaskedIsA502(t *testing.T) {
	for _, c := range []struct{ name, asks, answer string }{
		{"nobody asked, no headers", "", ""},
		{"nobody asked, an upgrade", "", "Connection: Upgrade\r\nUpgrade: foo\r\n"},
		{"asked, no headers", "foo", ""},
		{"asked, no Connection", "foo", "Upgrade: foo\r\n"},
		{"asked, another protocol", "foo", "Connection: Upgrade\r\nUpgrade: bar\r\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f, log := startLoggingProxy(t)
			f.deploy(deployRequest("app", backend(t, func(w http.ResponseWriter, _ *http.Request) {
				conn, _, err := http.NewResponseController(w).Hijack()
				if err != nil {
					t.Error(err)
					return
				}
				defer conn.Close()
				_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\n"+c.answer+"\r\n")
			}), "app.test"))
			r := f.request(http.MethodGet, "app.test", "/", nil)
			if c.asks != "" {
				r.Header.Set("Connection", "Upgrade")
				r.Header.Set("Upgrade", c.asks)
			}
			status, body, _ := f.do(r)
			if status != http.StatusBadGateway {
				t.Errorf("the client got %d %q", status, body)
			}
			line := fmt.Sprintf(`"status":%d`, http.StatusBadGateway)
			eventually(t, "the log has the status that the client got", func() bool { return log.count(line) > 1 })
		})
	}
}
