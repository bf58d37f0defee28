package notify

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kamald/kamald/release"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

func message(id string) Message {
	return Message{ID: id, Kind: "drifted", Service: "shop", Destination: "production", At: noon, Summary: "web-1 drifted"}
}

// receiver is a server in memory: what it answers is one after the other, the last again and again.
type receiver struct {
	mu      sync.Mutex
	answers []answer
	bodies  []string
	times   []time.Time
}

type answer struct {
	code  int
	after string // Retry-After
	err   error
	takes time.Duration
}

func (r *receiver) RoundTrip(request *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(request.Body)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	a := r.answers[0]
	if len(r.answers) > 1 {
		r.answers = r.answers[1:]
	}
	r.bodies, r.times = append(r.bodies, string(body)), append(r.times, time.Now())
	r.mu.Unlock()
	select {
	case <-time.After(a.takes):
	case <-request.Context().Done():
		return nil, request.Context().Err()
	}
	if a.err != nil {
		return nil, a.err
	}
	response := &http.Response{StatusCode: a.code, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(""))}
	if a.after != "" {
		response.Header.Set("Retry-After", a.after)
	}
	return response, nil
}

// waits are those between the attempts.
func (r *receiver) waits() (list []time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := 1; i < len(r.times); i++ {
		list = append(list, r.times[i].Sub(r.times[i-1]))
	}
	return list
}

// refused is what has failed for good.
type refused struct {
	mu  sync.Mutex
	all []string
}

func (r *refused) add(text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, text)
}

func (r *refused) list() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.all)
}

// inOutbox gives an outbox with one webhook to the receiver, and what has failed for good.
func inOutbox(t *testing.T, r *receiver, test func(o *Outbox, failed *refused)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		hook, err := NewWebhook(release.NewSecret("https://hooks.example.com/T0KEN"), release.Secret{})
		if err != nil {
			t.Fatal(err)
		}
		hook.client.Transport = r
		var failed refused
		o := NewOutbox([]Receiver{{Name: "webhook 1", Sender: hook}}, func(to string, m Message, err error) { failed.add(to + " " + m.ID + ": " + err.Error()) })
		test(o, &failed)
	})
}

func TestAMessageIsTriedUntilItIsTaken(t *testing.T) {
	r := &receiver{answers: []answer{{err: errors.New("connection refused")}, {code: 503}, {code: 429}, {code: 408}, {code: 204}}}
	inOutbox(t, r, func(o *Outbox, failed *refused) {
		o.Tell(message("a"))
		time.Sleep(10 * time.Minute)
		if err := o.Close(); err != nil || len(failed.list()) > 0 {
			t.Errorf("%v, %v", err, failed.list())
		}
		if len(r.bodies) != 5 {
			t.Fatalf("%d attempts", len(r.bodies))
		}
		for i, wait := range r.waits() { // 2 s, and half as much again each time; less or more by half
			if steps := []time.Duration{2000, 3000, 4500, 6750}; wait < steps[i]*time.Millisecond/2 || wait > steps[i]*time.Millisecond*3/2 {
				t.Errorf("after attempt %d it waited %s", i+1, wait)
			}
		}
	})
}

func TestAReceiverThatSaysWhenIsNotAskedBefore(t *testing.T) {
	r := &receiver{answers: []answer{{code: 429, after: "1200"}, {code: 503, after: "0"}, {code: 200}}}
	inOutbox(t, r, func(o *Outbox, _ *refused) {
		o.Tell(message("a"))
		time.Sleep(time.Hour)
		if err := o.Close(); err != nil || !slices.Equal(r.waits(), []time.Duration{20 * time.Minute, 0}) {
			t.Errorf("%v; it waited %v", err, r.waits())
		}
	})
}

func TestWhatTheReceiverRefusesIsNotTriedAgain(t *testing.T) {
	for _, code := range []int{301, 400, 401, 404, 410, 413} {
		r := &receiver{answers: []answer{{code: code}, {code: 200}}}
		inOutbox(t, r, func(o *Outbox, failed *refused) {
			o.Tell(message("a"))
			o.Tell(message("b"))
			time.Sleep(time.Hour)
			if err := o.Close(); err != nil || len(failed.list()) != 1 || !strings.Contains(failed.list()[0], fmt.Sprint("answered ", code)) {
				t.Errorf("%d: %v, %v", code, err, failed.list())
			}
			if len(r.bodies) != 2 || !strings.Contains(r.bodies[1], `"id":"b"`) || !strings.Contains(r.bodies[1], `"lost":1`) {
				t.Errorf("%d: told %v", code, r.bodies)
			}
		})
	}
}

func TestAMessageIsGivenUpAfterAnHour(t *testing.T) {
	r := &receiver{answers: []answer{{code: 500}}}
	inOutbox(t, r, func(o *Outbox, failed *refused) {
		o.Tell(message("a"))
		time.Sleep(59 * time.Minute)
		synctest.Wait()
		r.mu.Lock()
		lasted := r.times[len(r.times)-1].Sub(r.times[0])
		r.mu.Unlock()
		if len(failed.list()) > 0 && lasted < 50*time.Minute {
			t.Errorf("given up after %s", lasted)
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if n := len(r.waits()); len(failed.list()) != 1 || n < 9 {
			t.Errorf("%v after %d attempts", failed.list(), n+1)
		}
		if err := o.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestAFullQueueLosesItsOldestAndSaysHowMany(t *testing.T) {
	r := &receiver{answers: []answer{{code: 200, takes: 20 * time.Second}, {code: 200}}}
	inOutbox(t, r, func(o *Outbox, failed *refused) {
		o.Tell(message("first"))
		synctest.Wait() // it is under way
		began := time.Now()
		for i := range queueLimit + 3 {
			o.Tell(message(fmt.Sprint("m", i)))
		}
		if time.Since(began) > 0 {
			t.Errorf("telling took %s", time.Since(began))
		}
		time.Sleep(time.Minute)
		if err := o.Close(); err != nil || len(failed.list()) > 0 {
			t.Errorf("%v, %v", err, failed.list())
		}
		if len(r.bodies) != queueLimit+1 || !strings.Contains(r.bodies[1], `"id":"m3"`) || !strings.Contains(r.bodies[1], `"lost":3`) || strings.Contains(r.bodies[2], "lost") {
			t.Errorf("%d were told; then %s, %s", len(r.bodies), r.bodies[1], r.bodies[2])
		}
	})
}

func TestAMessageIsToldOnceADay(t *testing.T) {
	r := &receiver{answers: []answer{{code: 200}}}
	inOutbox(t, r, func(o *Outbox, _ *refused) {
		for range 3 {
			o.Tell(message("a"))
			o.Tell(message("")) // without an ID each is another
			time.Sleep(11 * time.Hour)
		}
		o.Tell(message("a"))
		synctest.Wait()
		if err := o.Close(); err != nil || strings.Count(strings.Join(r.bodies, ""), `"id":"a"`) != 2 || strings.Count(strings.Join(r.bodies, ""), `"id":""`) != 3 {
			t.Errorf("%v: told %v", err, r.bodies)
		}
	})
}

func TestCloseTellsWhatWaitsAndNoMore(t *testing.T) {
	r := &receiver{answers: []answer{{code: 500}, {code: 200}}}
	inOutbox(t, r, func(o *Outbox, failed *refused) {
		o.Tell(message("a"))
		o.Tell(message("b"))
		synctest.Wait() // a has failed and waits for its second attempt
		began := time.Now()
		if err := o.Close(); err != nil || len(failed.list()) > 0 || time.Since(began) > 0 {
			t.Errorf("%v, %v, after %s", err, failed.list(), time.Since(began))
		}
		o.Tell(message("c"))
		if len(r.bodies) != 3 || !strings.Contains(r.bodies[2], `"id":"b"`) {
			t.Errorf("told %v", r.bodies)
		}
		if err := o.Close(); err != nil {
			t.Errorf("closed again: %v", err)
		}
	})
}

func TestCloseWaitsTenSecondsAtMost(t *testing.T) {
	r := &receiver{answers: []answer{{code: 200, takes: time.Hour}}}
	inOutbox(t, r, func(o *Outbox, failed *refused) {
		for _, id := range []string{"a", "b", "c"} {
			o.Tell(message(id))
		}
		began := time.Now()
		err := o.Close()
		if time.Since(began) != flushLimit || err == nil || err.Error() != "webhook 1: messages that were not told before the end: 3" || len(failed.list()) != 3 {
			t.Errorf("%v, %v, after %s", err, failed.list(), time.Since(began))
		}
	})
}

// noted keeps what it is sent.
type noted struct{ ids []string }

func (n *noted) Send(_ context.Context, m Message) error {
	n.ids = append(n.ids, m.ID)
	return nil
}

// stuck hangs until it is told to end.
type stuck struct{}

func (stuck) Send(ctx context.Context, _ Message) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestEachReceiverIsToldOfItsKindsAndWaitsForNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all, some := &noted{}, &noted{}
		o := NewOutbox([]Receiver{{Name: "stuck", Sender: stuck{}}, {Name: "all", Sender: all}, {Name: "some", On: []string{"failed", "held"}, Sender: some}}, nil)
		for _, kind := range []string{"failed", "drifted", "held"} {
			m := message(kind)
			m.Kind = kind
			o.Tell(m)
		}
		synctest.Wait()
		if !slices.Equal(all.ids, []string{"failed", "drifted", "held"}) || !slices.Equal(some.ids, []string{"failed", "held"}) {
			t.Errorf("told %v and %v", all.ids, some.ids)
		}
		if err := o.Close(); err == nil || !strings.Contains(err.Error(), "stuck: ") || strings.Contains(err.Error(), "all: ") {
			t.Errorf("closing: %v", err)
		}
	})
}
