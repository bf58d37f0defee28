package e2e

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kamald/kamald/lab"
)

// worst is a service that goes through one disaster after another. Each begins with one version on every host.
type worst struct {
	*fixture
	serves string // the version that every host runs
	next   int
	random *rand.Rand
}

// disaster is what happens in the middle of a release of a version.
type disaster struct {
	name   string
	brief  bool  // it takes seconds: it is in the sample
	up     []int // the hosts that answer requests throughout
	strike func(f *fixture, version string)
}

// The worst that can happen in the middle of a release: no host that is up loses a request, kamald says what it was, and the
// next apply brings everything to one version, be it the old or the new.
func TestTheWorst(t *testing.T) {
	f := newFixture(t)
	seed := seeded(t)
	w := &worst{fixture: f, serves: "v1", random: rand.New(rand.NewPCG(seed, 0))}
	w.deploy(w.settings())
	w.image("v1", nil)
	w.must(0, "apply", "--version", "v1")
	disasters := slices.Concat(kills(w), daemons(), cuts(), lines(w), engines())
	for _, d := range w.sample(disasters) {
		t.Run(d.name, func(t *testing.T) { w.endure(t, d) })
	}
}

// seeded gives the seed of this run's chances: KAMALD_SEED, or another each time.
func seeded(t *testing.T) uint64 {
	t.Helper()
	seed := rand.Uint64()
	if given := os.Getenv("KAMALD_SEED"); given != "" {
		var err error
		if seed, err = strconv.ParseUint(given, 10, 64); err != nil {
			t.Fatalf("KAMALD_SEED: %v", err)
		}
	}
	t.Logf("again with the same chances: KAMALD_SEED=%d", seed)
	return seed
}

// long tells whether the full counts are asked for.
func long() bool { return os.Getenv("KAMALD_LONG") != "" }

// onlyLong leaves a test to `make long`, which the report of the tests says.
func onlyLong(t *testing.T) {
	t.Helper()
	if !long() {
		t.Skip("ONLY LONG: make long runs it")
	}
}

// sample is all of them with KAMALD_LONG; else three of the brief ones, by the seed.
func (w *worst) sample(all []disaster) []disaster {
	if long() {
		return all
	}
	brief := slices.DeleteFunc(slices.Clone(all), func(d disaster) bool { return !d.brief })
	w.random.Shuffle(len(brief), func(i, k int) { brief[i], brief[k] = brief[k], brief[i] })
	return brief[:3]
}

// settings have connections that are given up within seconds.
func (w *worst) settings() settings {
	lines := "  keepalive = \"1s\""
	return settings{timeout: "10s", hosts: [3]string{lines, lines, lines}}
}

// endure lets a disaster strike under load, and wants all to be well afterwards.
func (w *worst) endure(t *testing.T, d disaster) {
	f := *w.fixture
	f.t = t
	w.next++
	version := fmt.Sprintf("w%d", w.next)
	f.image(version, map[string]string{"APP_START_DELAY": "700ms"})
	var hosts []*lab.Host
	for _, n := range d.up {
		hosts = append(hosts, f.host(n))
	}
	load := startLoad(t, 50, 5*time.Minute, hosts...)
	d.strike(&f, version)
	if w.random.IntN(2) == 0 {
		version = w.serves // and back
	}
	r := f.must(0, "apply", "--version", version)
	load.end(t)
	if strings.Contains(r.all(), "left:") {
		t.Error("the apply that was to bring all to order has left something")
	}
	f.must(0, "plan", "--version", version, "--detailed-exitcode")
	f.whole(version)
	w.serves = version
}

// kills are kill -9 of kamald: where, and what it has said just before.
func kills(w *worst) []disaster {
	var list []disaster
	for _, k := range []struct {
		name, says string
		times      int
		within     int // milliseconds
	}{
		{"kill -9 at boot", "create shop-", 3, 150},
		{"kill -9 at the switch", "prove shop-workers-", 1, 150},
		{"kill -9 at the stop", "switch traffic of shop-", 1, 150},
		{"kill -9 at the tag", "move tag ", 1, 20}, // what comes after it is brief, and ends the lock
	} {
		list = append(list, disaster{k.name, true, []int{1, 2}, func(f *fixture, version string) {
			p := f.begin("apply", "--version", version)
			p.hears(k.says, k.times)
			time.Sleep(time.Duration(w.random.IntN(k.within)) * time.Millisecond) // somewhere in it
			p.signal(os.Kill)
			if r := p.wait(); r.code == 0 {
				f.t.Log("it was done before it could be killed")
				return
			}
			if locked := f.must(0, "status"); !strings.Contains(locked.all(), "lock") {
				f.t.Error("the status does not show the lock that is left")
			}
		}})
	}
	return list
}
