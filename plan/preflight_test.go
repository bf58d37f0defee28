package plan_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/state"
)

// roomy gives every host free space, so that only what a test is about is in the way.
func roomy(w *world) *world {
	for i := range w.hosts {
		w.hosts[i].FreeBytes = 10 << 30
	}
	return w
}

// preflown is the world's plan after its pre-flight.
func (w *world) preflown(facts map[string]plan.Facts, ignore ...plan.Check) plan.Plan {
	w.options.Ignore = ignore
	p := w.plan()
	plan.NewPreflight(&p, w.desired, w.input().Observed, ignore).Finish(facts)
	return p
}

// says tells whether a problem of a host has all these words, in its summary or in what to do about it.
func says(p plan.Plan, host string, words ...string) bool {
	return slices.ContainsFunc(p.Problems, func(q plan.Problem) bool {
		return q.Host == host && !slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(q.Summary+"\n"+q.Next, word) })
	})
}

func held(address string, port int, name string) state.Port {
	return state.Port{Address: netip.MustParseAddr(address), Number: port, Protocol: "tcp", Container: id("foreign", name), Name: name}
}

func TestWhatHoldsAPortThatThePlanTakesIsNamed(t *testing.T) {
	w := roomy(fresh(shop()))
	w.desired.ProxyServer.Publish, w.desired.ProxyServer.HTTPPort, w.desired.ProxyServer.HTTPSPort = true, 80, 443
	free := w.preflown(map[string]plan.Facts{"web-1": {Held: []state.Port{held("0.0.0.0", 8080, "other")}, Listening: []state.Port{{Number: 22, Protocol: "tcp"}, {Number: 80, Protocol: "udp"}}}})
	if len(free.Problems) > 0 || len(free.Steps) == 0 {
		t.Fatal(show(free))
	}
	p := w.preflown(map[string]plan.Facts{
		"web-1": {Held: []state.Port{held("127.0.0.1", 80, "nginx")}},
		"web-2": {Listening: []state.Port{{Number: 443, Protocol: "tcp"}}},
	})
	if len(p.Problems) != 2 || !says(p, "web-1", "port 80/tcp, which the proxy publishes", "container nginx", "http_port") ||
		!says(p, "web-2", "port 443/tcp", "in no container", "ss -ltnp 'sport = :443'", "--ignore ports") {
		t.Error(show(p))
	}
	if p = w.preflown(map[string]plan.Facts{"web-2": {Listening: []state.Port{{Number: 443, Protocol: "tcp"}}}}, plan.CheckPorts); len(p.Problems) > 0 ||
		len(p.Warnings) != 1 || !strings.Contains(p.Warnings[0], "web-2: port 443/tcp") {
		t.Errorf("ignored: %+v %q", p.Problems, p.Warnings)
	}
}

func TestAPortIsTakenOnTheAddressesThatMeet(t *testing.T) {
	any4, any6 := netip.IPv4Unspecified(), netip.IPv6Unspecified()
	a, b, six := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2"), netip.MustParseAddr("2001:db8::1")
	for _, c := range []struct {
		one, other netip.Addr
		clash      bool
	}{
		{netip.Addr{}, any4, true}, {netip.Addr{}, any6, true}, {netip.Addr{}, a, true}, {netip.Addr{}, six, true}, {any4, a, true}, {any6, six, true},
		{a, a, true}, {a, b, false}, {any4, any6, false}, {any4, six, false}, {a, any6, false}, {netip.MustParseAddr("::ffff:10.0.0.1"), a, true},
	} {
		one, other := state.Port{Address: c.one, Number: 80, Protocol: "tcp"}, state.Port{Address: c.other, Number: 80, Protocol: "tcp"}
		if one.Clashes(other) != c.clash || other.Clashes(one) != c.clash {
			t.Errorf("%v and %v: %v", c.one, c.other, !c.clash)
		}
		other.Protocol = "udp"
		if one.Clashes(other) {
			t.Errorf("%v and %v clash over two protocols", one, other)
		}
	}
}

// TestAContainerThatEndsBeforeGivesItsPort: a singleton's old one has ended before the new one starts; any other goes on until then.
func TestAContainerThatEndsBeforeGivesItsPort(t *testing.T) {
	w := roomy(released(t, shop()).to("v2"))
	w.desired.Roles = slices.Clone(w.desired.Roles)
	role := &w.desired.Roles[1]
	role.Options = map[string][]string{"publish": {"9000:9000"}}
	host := role.Hosts[0]
	i := slices.IndexFunc(w.host(host).Containers, func(c state.Container) bool { return c.Role == role.Name && c.Running() })
	old := w.host(host).Containers[i]
	facts := map[string]plan.Facts{host: {Held: []state.Port{{Number: 9000, Protocol: "tcp", Container: old.ID, Name: old.Name}}}}
	if p := w.preflown(facts); !says(p, host, "port 9000/tcp, which it publishes", old.Name, "until the new one serves", "singleton") {
		t.Error(show(p))
	}
	role.Singleton = true
	if p := w.preflown(facts); len(p.Problems) > 0 {
		t.Error(show(p))
	}
}

func TestTwoOfARoleSetThatPublishOnePortAreNamed(t *testing.T) {
	w := roomy(fresh(shop()))
	w.desired.Roles = slices.Clone(w.desired.Roles)
	for i := range w.desired.Roles {
		w.desired.Roles[i].Hosts = []string{"web-1"}
		w.desired.Roles[i].Options = map[string][]string{"publish": {"127.0.0.1:9000:9000"}}
	}
	if p := w.preflown(nil); !says(p, "web-1", "127.0.0.1:9000/tcp", "is taken there by role web too") {
		t.Error(show(p))
	}
}

func TestAnEngineThatCannotDoItIsNamed(t *testing.T) {
	w := roomy(fresh(shop()))
	w.desired.Roles = slices.Clone(w.desired.Roles)
	w.desired.Roles[0].Options = map[string][]string{"memory": {"536870912"}, "pids-limit": {"100"}}
	w.host("web-1").Engine.Lacks = []string{"memory", "memory-swap"}
	w.host("work-1").Engine.OS = "windows"
	p := w.preflown(nil)
	if len(p.Problems) != 2 || !says(p, "web-1", "asks for memory,", "would drop", "--ignore engine") || !says(p, "work-1", "containers for windows") {
		t.Error(show(p))
	}
}

func TestADiskThatTakesNothingIsNamedAlsoWhereNobodyKnowsTheImage(t *testing.T) {
	w := roomy(fresh(shop()))
	w.host("web-2").FreeBytes = 20 << 20
	w.host("work-1").FreeBytes, w.host("work-1").Engine.Root = -1, "/srv/private"
	p := w.preflown(nil)
	if len(p.Problems) != 1 || !says(p, "web-2", "at least 32 MiB", "20 MiB are free", "docker system df", "--ignore disk") {
		t.Error(show(p))
	}
	if len(p.Warnings) != 1 || !strings.Contains(p.Warnings[0], "work-1: how much is free (/srv/private) is not known") {
		t.Errorf("%q", p.Warnings)
	}
	w.pin.Bytes = 900 << 20 // of an image that this machine has
	if p := w.preflown(nil); !says(p, "web-2", "at least 900 MiB") || len(p.Problems) != 1 {
		t.Error(show(p))
	}
	if p := w.preflown(nil, plan.CheckDisk); len(p.Problems) > 0 || !slices.ContainsFunc(p.Warnings, func(s string) bool { return strings.Contains(s, "web-2: the image") }) {
		t.Errorf("ignored: %s %q", show(p), p.Warnings)
	}
}

func TestAClockThatIsFarOffIsWarnedOf(t *testing.T) {
	off := func(by ...time.Duration) []string {
		w := roomy(fresh(shop()))
		for i, d := range by {
			w.hosts[i].Engine.Ahead = d
		}
		return w.preflown(nil).Warnings
	}
	if got := off(29*time.Second, -30*time.Second, 0); len(got) > 0 {
		t.Errorf("%q", got)
	}
	if got := off(time.Hour, 0, -90*time.Second); len(got) != 2 || !strings.Contains(got[0], "web-1: its clock is 1h0m0s ahead of this machine's") || !strings.Contains(got[1], "1m30s behind") {
		t.Errorf("%q", got)
	}
	if got := off(time.Hour, time.Hour, time.Hour+time.Second); len(got) != 1 || !strings.Contains(got[0], "the clock of this machine is 1h0m0s behind") {
		t.Errorf("%q", got)
	}
}

func TestAPlanWithNothingToBringOrStartIsNotLookedAt(t *testing.T) {
	w := released(t, shop())
	for i := range w.hosts {
		w.hosts[i].FreeBytes, w.hosts[i].Engine.Ahead, w.hosts[i].Engine.OS = 0, time.Hour, "windows"
	}
	if p := w.preflown(nil); len(p.Problems)+len(p.Warnings) > 0 {
		t.Errorf("%s %q", show(p), p.Warnings)
	}
}

func TestOnlyChecksThatThereAreCanBeIgnored(t *testing.T) {
	if got, err := plan.ParseChecks([]string{"disk", " ports"}); err != nil || !slices.Equal(got, []plan.Check{plan.CheckDisk, plan.CheckPorts}) {
		t.Errorf("%v %v", got, err)
	}
	if _, err := plan.ParseChecks([]string{"secrets"}); err == nil || !strings.Contains(err.Error(), "disk, ports, engine") {
		t.Error(err)
	}
}
