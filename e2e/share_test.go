package e2e

import (
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Killed in the middle of releases, and stopped past its lease: the other takes over, and what was begun is brought to its end.
func TestTheOtherBastionTakesOver(t *testing.T) {
	f := newFixture(t)
	kills := count(1, 12)
	for n := range kills + 2 {
		f.image(fmt.Sprintf("v%d", n+1), nil)
	}
	sh := f.shares(settings{root: "version = \"v1\"", more: keeps}, nil)
	since := time.Now()
	sh.begin()
	traffic := startLoad(t, 20, 30*time.Minute, f.host(1), f.host(2))
	version := ""
	for n := range kills {
		version = fmt.Sprintf("v%d", n+2)
		sh.propose(version)
		time.Sleep(time.Duration(n*731%4000+700) * time.Millisecond)
		leads, follows := sh.leader()
		leads.signal(syscall.SIGKILL)
		killed := time.Now()
		leads.wait()
		sh.eventually("the other leads", follows.leads)
		took := time.Since(killed)
		sh.converged(follows, version)
		t.Logf("kill %d: the other leads after %s, and has converged after %s", n+1, took.Round(time.Millisecond), time.Since(killed).Round(time.Millisecond))
		leads.start()
		sh.converged(leads, version)
	}
	if long() { // what becomes of the process itself is in state/etcd's tests, too
		sh.asleep(fmt.Sprintf("v%d", kills+2))
	}
	_, follows := sh.leader()
	r := f.must(0, "release", "v1", "--wait", "--server", follows.socket) // whoever is asked passes it on, and what comes of it back
	if !strings.Contains(r.stdout, "Released shop v1") || !strings.Contains(r.stderr, "switch traffic of shop-web") {
		t.Errorf("the one that follows does not tell what became of it:\n%s%s", r.stdout, r.stderr)
	}
	sh.stoppedUnderAnOrder("v2")
	traffic.end(t)
	sh.neverTwoWriters(since)
	sh.end()
}

// stoppedUnderAnOrder gives an order to the one that follows, and has the one that leads stopped in the middle of it: it goes on to its end,
// and whoever waits hears of that.
func (sh *sharing) stoppedUnderAnOrder(version string) {
	sh.t.Helper()
	leads, follows := sh.leader()
	order := sh.fixture.begin("release", version, "--wait", "--server", follows.socket)
	sh.underWay(leads)
	leads.signal(syscall.SIGTERM)
	if r := order.wait(); r.code != 0 || !strings.Contains(r.stdout, "Released shop "+version) {
		sh.t.Errorf("whoever waits for the order hears, with %d:\n%s%s", r.code, r.stdout, r.stderr)
	}
	if r := leads.wait(); r.code != 0 {
		sh.t.Errorf("%s ended with %d", leads.name, r.code)
	}
	sh.eventually("the other leads", follows.leads)
	leads.start()
	for _, b := range sh.bastions {
		sh.eventually(b.name+" shows what is held", func() bool {
			s, ok := b.shows()
			return ok && s.Held != nil && s.Held.Version == version && s.Doing == nil
		})
	}
}

// The cluster loses members, and its quorum: what is under way goes on to its end, nothing new begins, and afterwards all goes on.
func TestBastionsWithoutTheirStore(t *testing.T) {
	f := newFixture(t)
	f.image("v1", nil)
	f.image("v2", nil)
	sh := f.shares(settings{root: "version = \"v1\"", more: keeps}, nil)
	since := time.Now()
	sh.begin()
	sh.roundTrips()
	members := sh.cluster.Members
	members[0].Stop()
	f.exec(f.host(1), "docker", "rm", "-f", "shop-web-v1")
	sh.eventually("one member is gone, and it heals", func() bool { return serves(f.host(1), "v1") })

	members[1].Stop() // there is no quorum any more
	for _, b := range sh.bastions {
		sh.eventually(b.name+" says that its store is away", func() bool {
			s, ok := b.shows()
			return ok && strings.Contains(s.kinds(), "store") && s.Held != nil && s.Held.Version == "v1"
		})
		r := f.must(1, "release", "v2", "--wait", "--server", b.socket) // the one that leads does so until its lease is over
		if !strings.Contains(r.all(), "etcd") && !strings.Contains(r.all(), "leads the app no more") || !strings.Contains(r.all(), "next:") {
			t.Errorf("%s does not say why it takes no order", b.name)
		}
	}
	f.exec(f.host(2), "docker", "rm", "-f", "shop-web-v1")
	time.Sleep(5 * time.Second)
	if running := f.running(f.host(2)); slices.Contains(running, "shop-web-v1") {
		t.Error("something was begun without a store")
	}
	members[1].Start()
	sh.eventually("the store is back, and it heals", func() bool { return serves(f.host(2), "v1") })
	members[0].Start()
	for _, b := range sh.bastions {
		sh.converged(b, "v1")
	}

	leads, _ := sh.leader()
	before := sh.records()
	sh.propose("v2")
	sh.underWay(leads)
	members[1].Stop()
	members[2].Stop()
	sh.eventually("the release goes on to its end", func() bool { return sh.records() > before && serves(f.host(1), "v2") && serves(f.host(2), "v2") })
	members[1].Start()
	members[2].Start()
	for _, b := range sh.bastions {
		sh.converged(b, "v2")
	}
	sh.neverTwoWriters(since)
	sh.end()
}

// A bastion that is cut off from the cluster, and one that is cut off from the servers, lets the other lead.
func TestABastionThatIsCutOff(t *testing.T) {
	onlyLong(t)
	f := newFixture(t)
	f.image("v1", nil)
	var toxics [2][3]*toxic
	sh := f.shares(settings{root: "version = \"v1\"", more: keeps}, func(i int, of *fixture) (hosts [3]string) {
		for n := range hosts {
			toxics[i][n], hosts[n] = of.toxicLine(n + 1)
		}
		return hosts
	})
	since := time.Now()
	leads, follows := sh.begin()
	for _, line := range leads.lines {
		line.Cut()
	}
	cut := time.Now()
	sh.eventually("the other leads", follows.leads)
	t.Logf("cut off from the cluster: the other leads after %s", time.Since(cut).Round(time.Millisecond))
	f.exec(f.host(1), "docker", "rm", "-f", "shop-web-v1")
	sh.eventually("the other heals", func() bool { return serves(f.host(1), "v1") })
	if s, ok := leads.shows(); !ok || !strings.Contains(s.kinds(), "store") {
		t.Errorf("the one that is cut off shows %+v", s)
	}
	for _, line := range leads.lines {
		line.Heal()
	}
	for _, b := range sh.bastions {
		sh.converged(b, "v1")
	}

	leads, follows = sh.leader()
	for _, line := range toxics[slices.Index(sh.bastions[:], leads)] {
		line.add("timeout", map[string]int{"timeout": 0})
	}
	cut = time.Now()
	for until := cut.Add(5 * time.Minute); !follows.leads(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatal("who reaches no server goes on to lead")
		}
	}
	t.Logf("cut off from the servers: the other leads after %s", time.Since(cut).Round(time.Second))
	f.exec(f.host(2), "docker", "rm", "-f", "shop-web-v1")
	sh.eventually("the other heals", func() bool { return serves(f.host(2), "v1") })
	for _, line := range toxics[slices.Index(sh.bastions[:], leads)] {
		line.heal()
	}
	sh.converged(leads, "v1")
	sh.neverTwoWriters(since)
	sh.end()
}

// asleep stops the leader in the middle of a release past its lease, and wakes it when the other has released: it changes nothing more.
func (sh *sharing) asleep(version string) {
	sh.t.Helper()
	leads, follows := sh.leader()
	sh.propose(version)
	sh.underWay(leads)
	leads.signal(syscall.SIGSTOP)
	sh.eventually("the other leads", follows.leads)
	sh.converged(follows, version)
	before := [3][]container{sh.containers(sh.host(1)), sh.containers(sh.host(2)), sh.containers(sh.host(3))}
	leads.signal(syscall.SIGCONT)
	sh.eventually("the one that slept follows", func() bool { s, ok := leads.shows(); return ok && s.Leader != nil && s.Leader.Name == follows.name })
	time.Sleep(3 * time.Second) // what it would begin now would be seen
	for i, list := range before {
		if now := sh.containers(sh.host(i + 1)); len(now) != len(list) {
			sh.t.Errorf("h%d: the one that slept has changed something: %v, and then %v", i+1, list, now)
		}
	}
}
