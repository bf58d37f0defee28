package console

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/reconcile/loop"
	"github.com/kamald/kamald/state"
)

// model is a daemon in memory: orders change what it says, tickets go on, and notices are sent. What a worker would do to servers is done
// by begin, line and finish; with auto it is done by itself.
type model struct {
	mu      sync.Mutex
	apps    map[state.App]*loop.Status
	tickets []*loop.Ticket
	ended   map[string]chan struct{}
	records map[state.App][]state.Record
	events  map[state.App][]state.Event
	plans   map[state.App][]state.PlanRecord
	logs    map[string][]string
	subs    map[chan loop.Notice]bool
	now     func() time.Time
	auto    bool
	looks   int
}

var (
	_ Daemon  = (*model)(nil)
	_ History = (*model)(nil)

	shop    = state.App{Service: "shop"}
	shopEU  = state.App{Service: "shop", Destination: "eu"}
	mailer  = state.App{Service: "mailer"}
	someone = loop.Person{Who: "ada", Where: "laptop"}
)

func newModel(now func() time.Time) *model {
	m := &model{now: now, apps: map[state.App]*loop.Status{}, ended: map[string]chan struct{}{}, records: map[state.App][]state.Record{},
		events: map[state.App][]state.Event{}, plans: map[state.App][]state.PlanRecord{}, logs: map[string][]string{}, subs: map[chan loop.Notice]bool{}}
	for _, app := range []state.App{shop, shopEU, mailer} {
		m.add(app, "web-1", "web-2")
	}
	return m
}

// add drives an app that runs v1, its second release, on hosts.
func (m *model) add(app state.App, hosts ...string) *loop.Status {
	now := m.now()
	s := &loop.Status{App: app, Mode: "release", Since: now.Add(-24 * time.Hour),
		Round: loop.Round{At: now.Add(-12 * time.Second), Took: 800 * time.Millisecond, Why: "timer", Next: now.Add(48 * time.Second), Number: 7},
		Held:  &loop.Held{Number: 2, Version: "v1", Kind: "release", Who: "ada", Where: "laptop", At: now.Add(-2 * time.Hour)}}
	for _, host := range hosts {
		for _, role := range []string{"web", "worker"} {
			name := app.ContainerName(role, "v1")
			s.Places = append(s.Places, loop.Place{Host: host, Role: role, Version: "v1", Container: name, Status: "running", Health: "healthy"})
			m.logs[host+"/"+name] = []string{"listening on :3000", "GET /up 200", "\x1b[31mwarning\x1b[0m: <slow> query"}
		}
	}
	m.apps[app] = s
	m.records[app] = []state.Record{
		{Schema: 1, Number: 1, App: app, Version: "v0", Kind: "release", Who: "ada", Where: "laptop", Started: now.Add(-26 * time.Hour), Ended: now.Add(-26 * time.Hour).Add(41 * time.Second), Outcome: state.OutcomeSucceeded, Release: []byte(`{"service":"shop"}`)},
		{Schema: 1, Number: 2, App: app, Version: "v1", Kind: "release", Who: "ada", Where: "laptop", Started: now.Add(-2 * time.Hour), Ended: now.Add(-2 * time.Hour).Add(38 * time.Second), Outcome: state.OutcomeSucceeded},
	}
	m.events[app] = []state.Event{ // the newest first, as the store gives them
		{At: now.Add(-2 * time.Hour), Who: "ada", Where: "laptop", Nonce: "n2", Release: 2, Kind: "release", Outcome: state.EventDone, Message: "release v1"},
		{At: now.Add(-2 * time.Hour), Who: "ada", Where: "laptop", Nonce: "n2", Release: 2, Kind: "start", Host: "web-1", Role: "web", Step: "start/web-1/web", Outcome: state.EventDone, Message: "start it"},
		{At: now.Add(-2 * time.Hour), Who: "ada", Where: "laptop", Nonce: "n2", Release: 2, Kind: "start", Host: "web-1", Role: "web", Step: "start/web-1/web", Outcome: state.EventIntended, Message: "start it"},
		{At: now.Add(-3 * time.Hour), Kind: loop.EventDrift, Outcome: loop.DriftGone, Host: "web-1", Role: "web", Step: "f0", Message: "the container was stopped"},
		{At: now.Add(-4 * time.Hour), Kind: loop.EventDrift, Outcome: loop.DriftFound, Host: "web-1", Role: "web", Step: "f0", Message: "the container was stopped"},
	}
	m.plans[app] = []state.PlanRecord{{Nonce: "n2", At: now.Add(-2 * time.Hour), Release: 2, Plan: []byte(`{"schema":1}`)}}
	return s
}

// pending is what waits for an approval of shop.
func pending(now time.Time) *plan.Plan {
	return &plan.Plan{Schema: 1, Kind: plan.KindRelease, App: shop, Version: "v2", Before: "v1", Image: "acme/shop:v2", PlannedAt: now,
		Items: []plan.Item{
			{Action: plan.Replace, Cause: plan.Change, Resource: plan.ResourceContainer, Host: "web-1", Role: "web", Name: "shop-web-v2", Reason: "version v1 → v2", Risk: plan.Safe,
				Fields: []plan.Field{{Path: "image", Before: "acme/shop:v1", After: "acme/shop:v2"}, {Path: "env.clear.POOL", After: "<20>"}}},
			{Action: plan.Remove, Cause: plan.Orphan, Resource: plan.ResourceContainer, Host: "web-2", Role: "cron", Name: "shop-cron-v1", Reason: "role cron left the file", Risk: plan.Destructive},
			{Action: plan.Update, Cause: plan.Change, Resource: plan.ResourceProxy, Host: "web-2", Name: "kamal-proxy", Reason: "another image", Deferred: "waits for `kamald proxy reboot`", Risk: plan.Downtime},
		},
		Steps: []plan.Step{{ID: "create/web-1/web", Kind: plan.StepCreate, Phase: plan.PhaseCreate, Host: "web-1", Role: "web", Spec: &state.Spec{}}},
	}
}

// waitForApproval makes shop wait for a person.
func (m *model) waitForApproval() {
	m.change(shop, func(s *loop.Status) {
		s.Pending, s.Approve = pending(m.now()), "amber-otter"
		s.Wanted = &state.Wanted{Version: "v2", Digest: "sha256:00", From: "git production@1a2b3c4", At: m.now().Add(-5 * time.Minute), Release: []byte(`{}`)}
		s.Conditions = append(s.Conditions, state.Condition{Kind: loop.ConditionApproval, Reason: "the plan removes shop-cron-v1", Next: "look at the plan, then `kamald approve amber-otter`", Since: m.now().Add(-5 * time.Minute)})
	})
}

// change changes a status and says so.
func (m *model) change(app state.App, by func(*loop.Status)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	by(m.apps[app])
	m.tellStatus(app)
}

func (m *model) tellStatus(app state.App) {
	status := copyOf(*m.apps[app])
	m.tell(loop.Notice{Kind: loop.NoticeStatus, App: app, At: m.now(), Status: &status})
}

func (m *model) tell(notice loop.Notice) {
	for sub := range m.subs {
		select {
		case sub <- notice:
		default:
			delete(m.subs, sub)
			close(sub)
		}
	}
}

func copyOf(s loop.Status) loop.Status {
	s.Conditions, s.Findings, s.Pauses, s.Places = slices.Clone(s.Conditions), slices.Clone(s.Findings), slices.Clone(s.Pauses), slices.Clone(s.Places)
	if s.Doing != nil {
		doing := *s.Doing
		doing.Lines = slices.Clone(doing.Lines)
		s.Doing = &doing
	}
	return s
}

func (m *model) Statuses() (list []loop.Status) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range m.apps {
		list = append(list, copyOf(*s))
	}
	slices.SortFunc(list, func(a, b loop.Status) int { return compareText(NameOf(a.App), NameOf(b.App)) })
	return list
}

func compareText(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func (m *model) Status(app state.App) (loop.Status, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.apps[app] == nil {
		return loop.Status{}, fmt.Errorf("%s: %w", NameOf(app), loop.ErrNoApp)
	}
	return copyOf(*m.apps[app]), nil
}

func (m *model) Open() (list []loop.Ticket) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, t := range m.tickets {
		if !t.Done() {
			list = append(list, *t)
		}
	}
	return list
}

func (m *model) Approve(app state.App, word string, by loop.Person) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.apps[app]
	if s == nil {
		return loop.ErrNoApp
	}
	if s.Approve == "" || s.Approve != word {
		return fmt.Errorf("%w: %q", loop.ErrNothingWaits, word)
	}
	s.Approve, s.Pending = "", nil
	s.Conditions = slices.DeleteFunc(s.Conditions, func(c state.Condition) bool { return c.Kind == loop.ConditionApproval })
	m.events[app] = append([]state.Event{{At: m.now(), Who: by.Who, Where: by.Where, Kind: "approve", Outcome: state.EventDone, Message: word}}, m.events[app]...)
	m.tellStatus(app)
	return nil
}

func (m *model) Pause(app state.App, pause state.Pause) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.apps[app]
	if s == nil {
		return loop.ErrNoApp
	}
	s.Pauses = append(s.Pauses, pause)
	s.Conditions = append(s.Conditions, state.Condition{Kind: loop.ConditionPaused, Host: pause.Host, Role: pause.Role, Reason: pause.Reason, Since: pause.Since})
	m.tellStatus(app)
	return nil
}

func (m *model) Unpause(app state.App, host, role string, _ loop.Person) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.apps[app]
	if s == nil {
		return loop.ErrNoApp
	}
	s.Pauses = slices.DeleteFunc(s.Pauses, func(p state.Pause) bool { return p.Host == host && p.Role == role })
	s.Conditions = slices.DeleteFunc(s.Conditions, func(c state.Condition) bool {
		return c.Kind == loop.ConditionPaused && c.Host == host && c.Role == role
	})
	m.tellStatus(app)
	return nil
}

func (m *model) Resume(_ context.Context, app state.App, _ loop.Person) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.apps[app]
	if s == nil {
		return loop.ErrNoApp
	}
	s.Held.Hold = false
	m.tellStatus(app)
	return nil
}

func (m *model) Look(app state.App) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.apps[app]
	if s == nil {
		return loop.ErrNoApp
	}
	m.looks++
	s.Round.Number++
	s.Round.Why, s.Round.At = "order", m.now()
	m.tellStatus(app)
	return nil
}

func (m *model) Logs(_ context.Context, app state.App, host, container string, lines int) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.apps[app] == nil {
		return nil, loop.ErrNoApp
	}
	list, ok := m.logs[host+"/"+container]
	if !ok {
		return nil, fmt.Errorf("%s: no container of %s is named %s", host, NameOf(app), container)
	}
	return slices.Clone(list[max(0, len(list)-lines):]), nil
}

func (m *model) Subscribe(ctx context.Context) <-chan loop.Notice {
	m.mu.Lock()
	defer m.mu.Unlock()
	sub := make(chan loop.Notice, 64)
	m.subs[sub] = true
	context.AfterFunc(ctx, func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.subs[sub] {
			delete(m.subs, sub)
			close(sub)
		}
	})
	return sub
}

func (m *model) Releases(app state.App) ([]state.Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.records[app]), nil
}

func (m *model) Plans(app state.App, limit int) ([]state.PlanRecord, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.plans[app][:min(limit, len(m.plans[app]))]), nil
}

func (m *model) Events(app state.App, limit int) ([]state.Event, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.events[app][:min(limit, len(m.events[app]))]), nil
}

// mustStatus gives a status, or ends the test.
func (m *model) mustStatus(t *testing.T, app state.App) loop.Status {
	t.Helper()
	s, err := m.Status(app)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
