package proxy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
)

// rawLog keeps a log as it is written.
type rawLog struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *rawLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *rawLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// requests returns the lines of the access log.
func (l *rawLog) requests(t *testing.T) (lines []map[string]any) {
	t.Helper()
	for text := range strings.Lines(l.String()) {
		var line map[string]any
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			t.Fatalf("the log has a line that is no JSON: %q", text)
		}
		if line["msg"] == "Request" {
			lines = append(lines, line)
		}
	}
	return lines
}

func startLogged(t *testing.T) (*fixture, *rawLog) {
	t.Helper()
	c, log := proxyConfig(t), &rawLog{}
	c.Log = newJSONLog(log)
	return startProxyWith(t, c), log
}

func TestNothingAClientSendsMakesAnotherLogLine(t *testing.T) {
	f, log := startLogged(t)
	req := deployRequest("app", backend(t, says("fine")), "app.test")
	req.TargetOptions.LogRequestHeaders = []string{"X-Foo"}
	f.deploy(req)
	forged := `"}` + "%0a%0d" + `{"msg":"Request","status":200,"forged":true}`
	f.raw("GET /" + strings.ReplaceAll(forged, " ", "") + "?q=" + forged + " HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\n" +
		"User-Agent: a\"}\t\xff\xfe{\"forged\":true}\r\nX-Foo: \xe2\x80\xa8\"}{\"forged\":true}\r\nX-Request-Id: \"},{\"forged\":true}\r\n\r\n")
	f.raw("GET /" + strings.Repeat("a", 30_000) + " HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\nUser-Agent: " + strings.Repeat("b", 30_000) + "\r\n\r\n")
	eventually(t, "both requests are logged", func() bool { return len(log.requests(t)) == 2 })
	for _, line := range log.requests(t) {
		if line["forged"] != nil || line["service"] != "app" {
			t.Errorf("forged: %v", line)
		}
	}
	for text := range strings.Lines(log.String()) {
		if len(text) > 3*loggedBytes {
			t.Errorf("a line has %d bytes", len(text))
		}
	}
}

func TestTheAccessLogHasItsFieldsAndNoHeaderThatWasNotAskedFor(t *testing.T) {
	f, log := startLogged(t)
	f.deploy(deployRequest("app", backend(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Secret-Answer", "hush")
		w.Header().Set("Content-Type", "text/plain")
		_, _ = io.WriteString(w, "fine")
	}), "app.test"))
	r := f.request(http.MethodPut, "app.test", "/x?y=z", strings.NewReader("body"))
	r.Header.Set("Authorization", "Bearer hush")
	r.Header.Set("Cookie", "a=hush")
	r.Header.Set("X-Forwarded-For", "9.9.9.9, 8.8.8.8")
	f.do(r)
	eventually(t, "it is logged", func() bool { return len(log.requests(t)) == 1 })
	line := log.requests(t)[0]
	var fields []string
	for name := range line {
		fields = append(fields, name)
	}
	slices.Sort(fields)
	want := "client_addr client_port duration host level method msg path port proto query remote_addr req_content_length " +
		"req_content_type request_id resp_content_length resp_content_type scheme service side status target time user_agent"
	if got := strings.Join(fields, " "); got != want {
		t.Errorf("fields %s,\nwant %s", got, want)
	}
	if line["remote_addr"] != "9.9.9.9" || line["client_addr"] != "127.0.0.1" || line["side"] != "active" || line["req_content_length"] != 4.0 {
		t.Errorf("%v", line)
	}
	if strings.Contains(log.String(), "hush") {
		t.Errorf("the log has a secret: %s", log)
	}
}

func TestARemoteAddressThatIsNotToBeBelievedIsNotLogged(t *testing.T) {
	f, log := startLogged(t)
	req := deployRequest("app", backend(t, says("fine")), "app.test")
	req.TargetOptions.ForwardHeaders = false
	f.deploy(req)
	r := f.request(http.MethodGet, "app.test", "/", nil)
	r.Header.Set("X-Forwarded-For", "9.9.9.9")
	f.do(r)
	eventually(t, "it is logged", func() bool { return len(log.requests(t)) == 1 })
	if got := log.requests(t)[0]["remote_addr"]; got != "127.0.0.1" {
		t.Errorf("remote address %v", got)
	}
}

func TestTheLogSaysWhyAnExchangeDidNotComeToItsEnd(t *testing.T) {
	f, log := startLogged(t)
	arrived := make(chan struct{}, 1)
	req := deployRequest("app", backend(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "10")
		_, _ = io.WriteString(w, "half")
		w.(http.Flusher).Flush()
		arrived <- struct{}{}
		if r.URL.Path == "/broken" {
			panic(http.ErrAbortHandler)
		}
		<-r.Context().Done()
	}), "app.test")
	f.deploy(req)
	outcome := func(path string) any {
		var found any
		eventually(t, path+" is logged", func() bool {
			for _, line := range log.requests(t) {
				if line["path"] == path {
					found = fmt.Sprint(line["status"], " ", line["outcome"])
					return true
				}
			}
			return false
		})
		return found
	}
	half := func(path string) io.ReadCloser {
		resp, err := f.client.Do(f.request(http.MethodGet, "app.test", path, nil))
		if err != nil {
			t.Fatal(err)
		}
		receive(t, "the request", arrived)
		return resp.Body
	}
	broken := half("/broken")
	if _, err := io.ReadAll(broken); err == nil {
		t.Error("an answer that broke off looks whole")
	}
	_ = broken.Close()
	if got := outcome("/broken"); got != "200 "+outcomeBroken {
		t.Errorf("a target that broke off: %v", got)
	}
	_ = half("/gone").Close()
	if got := outcome("/gone"); got != "200 "+outcomeClientGone {
		t.Errorf("a client that went away: %v", got)
	}
	body := half("/cut")
	defer body.Close()
	req.Targets, req.DrainTimeout = []string{backend(t, says("new"))}, 0
	f.deploy(req)
	if got := outcome("/cut"); got != "200 "+outcomeCut {
		t.Errorf("a request that was cut: %v", got)
	}
	f.expect("app.test", "/well", 200, "new")
	if got := outcome("/well"); got != "200 <nil>" {
		t.Errorf("a request that went well: %v", got)
	}
}
