package reconcile_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kamald/kamald/drivers/sim"
	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// scenario is a run of kamald that is disturbed: what was before, what is asked for, and what runs when all has ended.
type scenario struct {
	name   string
	before func(h *history)
	want   func(h *history) release.Release
	act    func(ctx context.Context, h *history, by string) *command // nil: apply what is wanted
	breaks bool                                                      // it fails without any fault
	settle func(h *history) release.Release                          // what is asked for when faults have ended; nil: what is wanted
	after  string
}

const allV3 = "h1/web=v3 h2/web=v3 h3/workers=v3"

var scenarios = append([]scenario{
	{name: "first deploy", before: func(*history) {}, want: at("v1"), after: allV1},
	{name: "v1 to v2", before: ran("v1"), want: at("v2"), after: allV2},
	{name: "proxies that switch late", before: switchLate, want: at("v2"), after: allV2},
	{name: "three groups", before: ran("v1"), after: allV2, want: func(h *history) release.Release {
		desired := h.release("v2")
		desired.Rollout.Limit = release.Limit{Count: 1}
		return desired
	}},
	{name: "broken primary", before: ran("v1"), after: allV1, breaks: true, settle: at("v1"), want: func(h *history) release.Release {
		h.image("v9", sim.NeverHealthy(503))
		return h.release("v9")
	}},
	{name: "broken worker", before: ran("v1"), after: allV1, breaks: true, settle: at("v1"), want: func(h *history) release.Release {
		desired := h.release("v2")
		desired.Roles[1].Health = &release.Health{TCP: 9999, Interval: time.Second, Timeout: time.Second} // nobody listens there
		return desired
	}},
	{name: "carried", after: allV2, before: carriedBefore, want: func(h *history) release.Release { return h.carried("v2") }},
	{name: "configuration only", before: ran("v1"), after: allV1, want: func(h *history) release.Release {
		desired := h.release("v1")
		for i := range desired.Roles {
			desired.Roles[i].Env.Clear = map[string]string{"LOG_LEVEL": "debug"}
		}
		return desired
	}},
	{name: "canary", before: ran("v1"), after: allV2, want: func(h *history) release.Release {
		desired := h.release("v2")
		desired.Rollout.Canary = &release.Canary{Percent: 30, Hold: 7 * time.Second}
		return desired
	}},
	{name: "migration", before: ran("v1"), after: allV2, want: func(h *history) release.Release {
		return h.migrating("v2", sim.Exits(0, 2*time.Second))
	}},
	{name: "failed migration", before: ran("v1"), after: allV1, breaks: true, settle: at("v1"), want: func(h *history) release.Release {
		return h.migrating("v2", sim.Exits(3, 2*time.Second))
	}},
	{name: "rollback", before: ran("v1", "v2"), want: at("v1"), after: allV1, act: func(ctx context.Context, h *history, by string) *command {
		return h.run(by, h.release("v1"), func(c *reconcile.Controller) (reconcile.Report, error) {
			return c.Rollback(ctx, h.release("v2"), reconcile.Back{Version: "v1"}, reconcile.Options{})
		})
	}},
	{name: "prune", before: ran("v1", "v2", "v4", "v5"), want: at("v3"), after: allV3},
	{name: "two destinations", after: allV2, want: at("v2"), before: func(h *history) {
		h.must(h.destination("staging", "v3"))
		h.must(h.release("v1"))
	}},
	{name: "adoption", before: deployedByKamal, want: at("v2"), after: allV2},
	{name: "adopt", before: deployedByKamal, want: at("v1"), after: allV1, act: func(ctx context.Context, h *history, by string) *command {
		return h.run(by, h.release("v1"), func(c *reconcile.Controller) (reconcile.Report, error) {
			_, err := c.Adopt(ctx, h.release("v1"), false)
			return reconcile.Report{Kind: plan.KindNone}, err
		})
	}, settle: at("v1")},
	{name: "restart", before: ran("v1"), want: at("v1"), after: allV1, act: ofHeld((*reconcile.Controller).RestartApp)},
	{name: "start", want: at("v1"), after: allV1, act: ofHeld((*reconcile.Controller).StartApp), before: func(h *history) {
		h.must(h.release("v1"))
		h.run("stop", h.release("v1"), func(c *reconcile.Controller) (reconcile.Report, error) {
			_, err := c.StopApp(h.t.Context(), h.release("v1"), reconcile.StopReason{}, []string{"h2", "h3"}, nil)
			return reconcile.Report{Kind: plan.KindNone}, err
		})
		h.found = nil // it was asked for
	}},
	{name: "prune by hand", before: ran("v1", "v2", "v3"), want: at("v3"), after: allV3, act: func(ctx context.Context, h *history, by string) *command {
		desired := h.release("v3")
		desired.RetainContainers = 1
		return h.run(by, desired, func(c *reconcile.Controller) (reconcile.Report, error) {
			return c.Prune(ctx, desired, reconcile.Options{})
		})
	}, settle: at("v3")},
}, besideScenarios...)

// ofHeld carries out something of the release that is held.
func ofHeld(do func(*reconcile.Controller, context.Context, release.Release, reconcile.Options) (reconcile.Report, error)) func(context.Context, *history, string) *command {
	return func(ctx context.Context, h *history, by string) *command {
		return h.run(by, h.release("v1"), func(c *reconcile.Controller) (reconcile.Report, error) {
			return do(c, ctx, h.release("v1"), reconcile.Options{})
		})
	}
}

func at(version string) func(*history) release.Release {
	return func(h *history) release.Release { return h.release(version) }
}

func ran(versions ...string) func(*history) {
	return func(h *history) {
		for _, version := range versions {
			h.must(h.release(version))
		}
	}
}

// carriedBefore has v1 run, carried from this machine, where v2 lies too.
func carriedBefore(h *history) {
	h.AddHost(release.LocalHost)
	h.built("v1")
	h.built("v2")
	h.must(h.carried("v1"))
}

// switchLate: a proxy that is slow to see its target healthy goes on with a switch whose caller is gone.
func switchLate(h *history) {
	h.must(h.release("v1"))
	h.SwitchesLate("h1", 3*time.Second)
	h.SwitchesLate("h2", 8*time.Second)
}

// must makes a release true before anything is disturbed.
func (h *history) must(desired release.Release) {
	if c := h.applying(h.t.Context(), "before", desired, reconcile.Options{}); c.err != nil {
		h.find(violation{"setup", "", fmt.Sprintf("apply %s: %v", desired.Version, c.err)})
	}
}

// destination is the same service for another destination, on the same hosts.
func (h *history) destination(name, version string) release.Release {
	desired := h.release(version)
	desired.Destination = name
	for i := range desired.Roles {
		if p := desired.Roles[i].Proxy; p != nil {
			own := *p
			own.Options.Hosts = []string{name + ".example.com"}
			desired.Roles[i].Proxy = &own
		}
	}
	return desired
}

// deployedByKamal puts there what `kamal deploy` of v1 leaves: containers without labels of ours, a proxy, a route, latest.
func deployedByKamal(h *history) {
	desired := h.release("v1")
	for _, role := range desired.Roles {
		for _, host := range role.Hosts {
			h.Place(host, sim.Image{Ref: repository + ":v1", Behaviour: sim.Healthy(300 * time.Millisecond), Labels: map[string]string{"service": "shop", "version": "v1"}})
			h.Retag(host, repository+":v1", repository+":latest")
			h.WithNetwork(host, "kamal")
			name := desired.App().ContainerName(role.Name, "v1")
			spec := state.Spec{Image: repository + ":v1", Cmd: role.Cmd, Network: "kamal", Restart: "unless-stopped",
				Env:    map[string]string{"LOG_LEVEL": "info", "KAMAL_CONTAINER_NAME": name, "KAMAL_VERSION": "v1", "KAMAL_HOST": host},
				Labels: map[string]string{"service": "shop", "role": role.Name, "destination": ""}}
			id := h.RunContainer(host, name, spec, nil, map[string]release.Secret{"TOKEN": release.NewSecret(canary)})
			if role.Proxy == nil {
				continue
			}
			h.Place(host, sim.ProxyImage("basecamp/kamal-proxy:v0.9.2"))
			h.RunContainer(host, "kamal-proxy", state.Spec{Image: "basecamp/kamal-proxy:v0.9.2", Network: "kamal", Restart: "unless-stopped",
				Options: map[string][]string{"publish": {"80:80", "443:443"}}}, nil, nil)
			h.SetRoute(host, state.Route{Name: "shop-web", Targets: []string{state.ShortID(id) + ":3000"}, Options: role.Proxy.Options})
		}
		time.Sleep(time.Second)
	}
}

// fault is what happens at the n-th remote call.
type fault struct {
	name   string
	inject func(h *history, n int)
	down   bool // it ends containers: requests may fail there
}

var faults = []fault{
	{name: "fails", inject: func(h *history, n int) { h.FailNth(n) }},
	{name: "hangs", inject: func(h *history, n int) { h.HangNth(n) }},
	{name: "reply is lost", inject: func(h *history, n int) { h.LostReplyNth(n) }},
	{name: "is torn", inject: func(h *history, n int) { h.TearNth(n) }},
	{name: "is slow", inject: func(h *history, n int) { h.nth(n, func(sim.Call) { time.Sleep(20 * time.Second) }) }},
	{name: "engine restarts", down: true, inject: func(h *history, n int) {
		h.nth(n, func(c sim.Call) { h.fell(c.Host); h.RestartEngine(c.Host, 3*time.Second) })
	}},
	{name: "cut for 5 s", inject: func(h *history, n int) { h.nth(n, func(c sim.Call) { h.cutFor(c.Host, 5*time.Second) }) }},
	{name: "cut for 5 min", inject: func(h *history, n int) { h.nth(n, func(c sim.Call) { h.cutFor(c.Host, 5*time.Minute) }) }},
	{name: "kamald killed", inject: func(h *history, n int) { h.KillNth(n) }},
	{name: "killed after it", inject: func(h *history, n int) { h.KillAfterNth(n) }},
	{name: "kamald breaks", inject: func(h *history, n int) { h.nth(n, func(sim.Call) { panic("a planted defect") }) }},
	{name: "breaks after it", inject: func(h *history, n int) {
		h.After(func(c sim.Call) error {
			if c.N == n {
				panic("a planted defect")
			}
			return nil
		})
	}},
}

// nth does something at the n-th call of the world, before it is carried out.
func (h *history) nth(n int, do func(sim.Call)) {
	h.Before(func(c sim.Call) error {
		if c.N == n {
			do(c)
		}
		return nil
	})
}

// fell notes that somebody else ends what runs on a host.
func (h *history) fell(host string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.down[host] = true
}

// cutFor takes the network of a host away for a time.
func (h *history) cutFor(host string, d time.Duration) {
	h.Cut(host)
	time.AfterFunc(d, func() { h.Restore(host) })
}

// trial runs one scenario with one fault at its n-th call. It gives what was found, and whether the scenario has n calls.
func trial(t *testing.T, s scenario, f fault, n int) (found []string, met bool) {
	h := observed(newWorld(t, uint64(n)))
	h.beside("h1", "other-web-1", map[string]string{"service": "other", "role": "web", "destination": ""})
	h.beside("h3", "shop-web-beta-v1", map[string]string{"service": "shop", "role": "web", "destination": "beta"})
	h.beside("h2", "by-hand", nil)
	s.before(h)
	want := s.want(h)
	act := s.act
	if act == nil {
		act = func(ctx context.Context, h *history, by string) *command {
			return h.applying(ctx, by, want, reconcile.Options{})
		}
	}
	first := h.Calls()
	f.inject(h, first+n)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Minute)
	c := act(ctx, h, "disturbed")
	cancel()
	met = h.Calls() >= first+n
	h.listen()
	h.Revive()
	time.Sleep(6 * time.Minute) // whatever was cut is back; a lock that was left has expired
	if s.breaks && c.err == nil {
		h.find(violation{"setup", "", "a broken release succeeded"})
	}
	h.quarantined(c, s)
	h.settles(s, act, want)
	return h.violations(), met
}

// quarantined is the rest of I7: after a failed release that was taken back, nothing but it is left to do.
func (h *history) quarantined(c *command, s scenario) {
	before := h.released[c.app]
	if (h.data || len(c.desired.Accessories) > 0) && !s.breaks {
		return // what it is to run beside is not known from its version
	}
	if c.err == nil || c.killed || !c.report.Undone || len(c.report.Left) > 0 || len(before) == 0 || strings.HasPrefix(before[len(before)-1], perhaps) || len(h.down) > 0 || s.name == "configuration only" {
		return
	}
	want := h.release(before[len(before)-1])
	if len(c.desired.Accessories) > 0 {
		want = s.settle(h)
	}
	h.find(h.planIsEmpty(want, "after a failed release")...)
}

// settles wants two rounds to be enough once the faults have ended, and the plan after them to be empty.
func (h *history) settles(s scenario, act func(context.Context, *history, string) *command, want release.Release) {
	if s.settle != nil {
		want = s.settle(h)
		act = func(ctx context.Context, h *history, by string) *command {
			return h.applying(ctx, by, want, reconcile.Options{})
		}
	}
	c := act(h.t.Context(), h, "first round")
	if c.err != nil {
		c = act(h.t.Context(), h, "second round")
	}
	if c.err != nil {
		h.find(violation{"convergence", "", fmt.Sprintf("two rounds are not enough: %v", c.err)})
		return
	}
	if got := h.ours(want.App()) + h.runsBeside(); got != s.after {
		h.find(violation{"convergence", "", fmt.Sprintf("%s runs and not %s", got, s.after)})
	}
	h.down = map[string]bool{}
	h.find(h.planIsEmpty(want, "after an apply")...)
	h.find(h.wrapUp()...)
}

// wrapUp is what is checked once, at the end of a history.
func (h *history) wrapUp() []violation {
	found := append(h.secretsShown(), h.othersAreAsTheyWere()...)
	found = append(found, h.numbers()...)
	if _, there := h.File("h3", accessoryData); h.data && !there {
		found = append(found, violation{"data", "h3", accessoryData + " is gone"})
	}
	for _, host := range h.Hosts() {
		for _, name := range h.FileNames(host) {
			if strings.Contains(name, "/lock-") && !h.saidToStay(host) {
				found = append(found, violation{"convergence", host, "a lock is left: " + name})
			}
		}
	}
	return found
}

// saidToStay tells whether a lock on a host may be there: a killed run cannot give it back, and one that lost the host says so.
func (h *history) saidToStay(host string) bool {
	if slices.ContainsFunc(h.log, func(p reconcile.Progress) bool {
		return p.Kind == "warn" && p.Host == host && strings.Contains(p.Message, "deploy lock")
	}) {
		return true
	}
	return slices.ContainsFunc(h.commands, func(c *command) bool {
		return c.killed || c.err != nil && strings.Contains(c.err.Error(), host+": the deploy lock")
	})
}

// ours gives what runs of an app: "h1/web=v1 h2/web=v1 h3/workers=v1", sorted.
func (h *history) ours(app state.App) string {
	var list []string
	for _, host := range h.Hosts() {
		for _, c := range h.Glance(host) {
			if c.Service == app.Service && c.Destination == app.Destination && c.Role != "" && c.Status == state.StatusRunning {
				list = append(list, fmt.Sprintf("%s/%s=%s", host, c.Role, versionOf(c)))
			}
		}
	}
	slices.Sort(list)
	return strings.Join(list, " ")
}
