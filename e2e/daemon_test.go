package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/kamald/kamald/lab"
)

// keeps is the reconcile block of these tests.
const keeps = `
reconcile {
  mode     = "release"
  interval = "1m"
  budget   = "100%"
  flap     = 1000
}`

// daemon is a kamald that drives the fixture's app.
type daemon struct {
	*process
	f *fixture
}

// drives starts one and returns when it has looked at the servers.
func (f *fixture) drives(args ...string) *daemon {
	f.t.Helper()
	d := &daemon{f.begin(append([]string{"run"}, args...)...), f}
	d.hears("kamald runs", 1)
	f.eventually("the daemon has looked", func() bool { return d.status().Round.Number > 0 && d.status().Round.Error == "" })
	return d
}

// standing is what the tests read of an app's status.
type standing struct {
	Conditions []struct{ Kind, Host, Role, Reason string }
	Findings   []struct{ ID, Class, Host, Role, Event string }
	Held       *struct {
		Number       int
		Version, Who string
	}
	Round struct {
		Number int
		Error  string
	}
	Approve string
}

// status asks the daemon's socket, as any program would.
func (d *daemon) status() standing {
	d.t.Helper()
	var answer struct {
		App struct{ Status standing } `json:"app"`
	}
	var status standing
	client := socketClient(d.f.store + ".sock")
	response, err := client.Get("http://kamald/v1/apps/shop")
	if err != nil {
		return status
	}
	defer response.Body.Close()
	var raw map[string]json.RawMessage
	if err := json.NewDecoder(response.Body).Decode(&raw); err != nil || response.StatusCode != http.StatusOK {
		d.t.Fatalf("the daemon's status: %d %v", response.StatusCode, err)
	}
	if err := json.Unmarshal(raw["app"], &answer.App); err != nil {
		d.t.Fatal(err)
	}
	if err := json.Unmarshal(raw["app"], &status); err != nil {
		d.t.Fatal(err)
	}
	return status
}

func (s standing) kinds() string {
	var kinds []string
	for _, c := range s.Conditions {
		kinds = append(kinds, c.Kind)
	}
	slices.Sort(kinds)
	return strings.Join(slices.Compact(kinds), " ")
}

// end asks the daemon to end, and wants it to do so well.
func (d *daemon) end() {
	d.t.Helper()
	d.signal(syscall.SIGTERM)
	if r := d.wait(); r.code != 0 {
		d.t.Errorf("the daemon ended with %d", r.code)
	}
}

// eventually waits until something is so.
func (f *fixture) eventually(what string, so func() bool) {
	f.t.Helper()
	for until := time.Now().Add(time.Minute); !so(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(until) {
			f.t.Fatalf("it does not come: %s", what)
		}
	}
}

// serves tells whether a web host answers with a version.
func serves(h *lab.Host, version string) bool {
	response, err := (&http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}).Get("http://" + h.Address + "/")
	if err != nil {
		return false
	}
	defer response.Body.Close()
	body := make([]byte, 64)
	n, _ := response.Body.Read(body)
	return response.StatusCode == http.StatusOK && strings.Contains(string(body[:n]), version)
}

// A web container that somebody removes is replaced, and serves, before anybody has looked.
func TestADaemonReplacesWhatIsRemoved(t *testing.T) {
	f := newFixture(t)
	f.image("v1", nil)
	traces := newReceiver(t)
	f.deploy(settings{root: "version = \"v1\"", more: keeps + fmt.Sprintf("\noutput {\n  otel = %q\n}\n", traces.URL)})
	f.must(0, "apply")
	d := f.drives()
	defer d.end()
	detected := d.detections()
	h := f.host(1)
	var took []time.Duration
	for range count(3, 10) {
		old := f.containers(h, "name=shop-web-v1")[0].ID
		f.exec(h, "docker", "rm", "-f", "shop-web-v1")
		began := time.Now()
		f.eventually("another container serves", func() bool { return serves(h, "v1") })
		took = append(took, time.Since(began))
		f.eventually("nothing is otherwise any more", func() bool { return d.status().kinds() == "" })
		if now := f.containers(h, "name=shop-web-v1"); len(now) != 1 || now[0].ID == old {
			t.Fatalf("it was not replaced: %v", now)
		}
		time.Sleep(time.Second) // what comes right after a repair counts as its own echo, and is found by the round after it
	}
	slices.Sort(took)
	t.Logf("from the removal to an answer: median %s, %v", took[len(took)/2], took)
	found := detected()
	slices.Sort(found)
	if len(found) < len(took) {
		t.Fatalf("of %d removals %d were found by an event: %v", len(took), len(found), found)
	}
	t.Logf("from the engine's event to the end of the look that found it: median %s, %v", found[len(found)/2], found)
	f.eventually("a trace of each repair", func() bool { return traces.count("kamald heal") >= len(took) })
	if took[len(took)/2] > 10*time.Second { // a bound for a machine that does ten other things; the figure is the log's
		t.Errorf("it took %s", took)
	}
}

// detections follows what the daemon tells; the function gives how long each finding by an event took.
func (d *daemon) detections() func() []time.Duration {
	d.t.Helper()
	ctx, stop := context.WithCancel(d.t.Context())
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://kamald/v1/events", nil)
	if err != nil {
		d.t.Fatal(err)
	}
	response, err := socketClient(d.f.store + ".sock").Do(request)
	if err != nil {
		d.t.Fatal(err)
	}
	rounds := make(chan map[int]time.Duration, 1)
	go func() {
		defer response.Body.Close()
		found := map[int]time.Duration{}
		for lines := bufio.NewReader(response.Body); ; {
			line, err := lines.ReadString('\n')
			if err != nil {
				rounds <- found
				return
			}
			var event struct {
				Status *struct {
					Round struct {
						Number int
						Event  time.Time `json:"event_at"`
						Seen   time.Time `json:"seen"`
					}
				}
			}
			data, is := strings.CutPrefix(line, "data: ")
			if is && json.Unmarshal([]byte(data), &event) == nil && event.Status != nil && !event.Status.Round.Event.IsZero() {
				found[event.Status.Round.Number] = event.Status.Round.Seen.Sub(event.Status.Round.Event)
			}
		}
	}()
	return func() []time.Duration { stop(); return slices.Collect(maps.Values(<-rounds)) }
}

// receiver counts the traces that come, by the name of their root.
type receiver struct {
	*httptest.Server
	mu    sync.Mutex
	roots map[string]int
}

func newReceiver(t *testing.T) *receiver {
	r := &receiver{roots: map[string]int{}}
	r.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, request *http.Request) {
		var body struct {
			ResourceSpans []struct {
				ScopeSpans []struct {
					Spans []struct{ Name, ParentSpanID string }
				}
			}
		}
		if request.URL.Path != "/v1/traces" || json.NewDecoder(request.Body).Decode(&body) != nil || len(body.ResourceSpans) == 0 {
			return
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, s := range body.ResourceSpans[0].ScopeSpans[0].Spans {
			if s.ParentSpanID == "" {
				r.roots[s.Name]++
			}
		}
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) count(root string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.roots[root]
}

func count(short, long int) int {
	if os.Getenv("KAMALD_LONG") != "" {
		return long
	}
	return short
}

var _ = fmt.Sprint
