package reconcile_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/kamald/kamald/drivers/sim"
	"github.com/kamald/kamald/release"
)

// draw makes all choices of a run from its seed.
type draw struct{ *rand.Rand }

func drawing(seed uint64) draw {
	return draw{rand.New(&shared{from: rand.NewPCG(seed, 0x6b616d616c64)})}
}

// shared is a source that may be asked by calls under way and by the story at once.
type shared struct {
	mu   sync.Mutex
	from rand.Source
}

// Uint64 implements rand.Source.
func (s *shared) Uint64() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.from.Uint64()
}

// chance is true in so many of a hundred.
func (d draw) chance(percent int) bool { return d.IntN(100) < percent }

// upTo is a time between nothing and most.
func (d draw) upTo(most time.Duration) time.Duration { return time.Duration(d.Int64N(int64(most))) }

func pick[T any](d draw, from ...T) T { return from[d.IntN(len(from))] }

// some are a part of a list, in its order, and at least one.
func some(d draw, list []string) []string {
	part := slices.DeleteFunc(slices.Clone(list), func(string) bool { return d.chance(40) })
	if len(part) == 0 {
		return list[:1]
	}
	return part
}

// drawnFleet puts one to eight hosts into a world and gives a release with roles on them, at no version yet.
func drawnFleet(d draw, h *history) release.Release {
	var hosts []string
	for n := range 1 + d.IntN(8) {
		name := fmt.Sprintf("h%d", n+1)
		if n >= 3 { // three are there
			h.AddHost(name)
		}
		if d.chance(30) {
			h.SetSkew(name, d.upTo(20*time.Minute)-10*time.Minute)
		}
		hosts = append(hosts, name)
	}
	desired := h.release("")
	desired.Destination = pick(d, "", "", "staging")
	desired.RetainContainers = 1 + d.IntN(3)
	desired.Rollout = release.Rollout{
		Limit:         pick(d, release.Limit{}, release.Limit{}, release.Limit{Count: 1}, release.Limit{Count: 2}, release.Limit{Percent: 50}),
		Wait:          pick(d, 0, 0, 2*time.Second),
		ParallelRoles: d.chance(70), Halt: d.chance(15), SkipUnreachable: d.chance(40),
	}
	web, worker := desired.Roles[0], desired.Roles[1]
	web.Hosts = some(d, hosts)
	web.Stop.Grace = 1*time.Second + d.upTo(4*time.Second)
	roles := []release.Role{web}
	if d.chance(40) {
		api, own := web, *web.Proxy
		own.Options.Hosts = []string{"api.example.com"}
		api.Name, api.Primary, api.Hosts, api.Proxy = "api", false, some(d, hosts), &own
		roles = append(roles, api)
	}
	if d.chance(60) {
		worker.Hosts = some(d, hosts)
		if d.chance(30) {
			worker.DependsOn = []string{roles[len(roles)-1].Name}
		}
		roles = append(roles, worker)
	}
	if d.chance(30) {
		cron := worker
		cron.Name, cron.Hosts, cron.Singleton, cron.DependsOn = "cron", []string{pick(d, hosts...)}, true, nil
		roles = append(roles, cron)
	}
	desired.Roles = roles
	desired.Hosts = nil
	used := func(name string) bool {
		return slices.ContainsFunc(roles, func(role release.Role) bool { return slices.Contains(role.Hosts, name) })
	}
	for _, primary := range []bool{true, false} {
		for _, name := range hosts {
			if used(name) && slices.Contains(web.Hosts, name) == primary {
				desired.Hosts = append(desired.Hosts, release.Host{Name: name, Address: name, SSH: desired.SSH})
			}
		}
	}
	return desired
}

// goodVersion pushes a version that works.
func goodVersion(d draw, h *history, version string) {
	b := sim.Healthy(50*time.Millisecond + d.upTo(2*time.Second))
	b.StopsIn = d.upTo(800 * time.Millisecond)
	b.IgnoresStop = d.chance(15)
	b.Serves = d.upTo(2 * time.Second)
	h.push(version, b, d.upTo(pick(d, time.Millisecond, 20*time.Second)))
}

// brokenVersion pushes one that does not.
func brokenVersion(d draw, h *history, version string) {
	h.image(version, pick(d, sim.NeverHealthy(503), sim.Exits(1, d.upTo(time.Second)), sim.Healthy(time.Hour), sim.ListensElsewhere(8080),
		sim.Redirects("https://"+sim.Nowhere), sim.Exits(137, 3*time.Second)))
}

// trouble is what may happen to a host at a call, and what it is called.
type trouble struct {
	name   string
	down   bool
	happen func(d draw, h *history, host string)
}

var troubles = []trouble{
	{"cut", false, func(d draw, h *history, host string) { h.cutFor(host, time.Second+d.upTo(2*time.Minute)) }},
	{"black hole", false, func(d draw, h *history, host string) {
		h.BlackHole(host, d.chance(60), d.chance(60))
		time.AfterFunc(time.Second+d.upTo(time.Minute), func() { h.Restore(host) })
	}},
	{"slow", false, func(d draw, h *history, host string) {
		h.Slow(host, d.upTo(5*time.Second))
		time.AfterFunc(d.upTo(time.Minute), func() { h.Restore(host) })
	}},
	{"sshd restarts", false, func(_ draw, h *history, host string) { h.RestartSSH(host) }},
	{"engine freezes", false, func(d draw, h *history, host string) {
		h.FreezeEngine(host)
		time.AfterFunc(d.upTo(time.Minute), func() { h.ThawEngine(host) })
	}},
	{"engine restarts", true, func(d draw, h *history, host string) { h.RestartEngine(host, d.upTo(10*time.Second)) }},
	{"reboots", true, func(d draw, h *history, host string) { h.Reboot(host, d.upTo(time.Minute)) }},
	{"full disk", false, func(d draw, h *history, host string) {
		free := h.Free(host)
		h.SetFree(host, 0)
		time.AfterFunc(d.upTo(time.Minute), func() { h.SetFree(host, free) })
	}},
}

// disturbance plans up to four troubles of the next command, of one host or of several at once, or its end.
func disturbance(d draw, h *history, interrupt func()) (what []string) {
	first := h.Calls()
	for range 1 + d.IntN(4) {
		n := first + 1 + d.IntN(40*len(h.Hosts()))
		switch k := d.IntN(14); k {
		case 5:
			h.TearNth(n)
			what = append(what, fmt.Sprintf("call %d is torn", n))
		case 4:
			h.nth(n, func(sim.Call) { interrupt() })
			what = append(what, fmt.Sprintf("interrupted at call %d", n))
		case 0:
			h.FailNth(n)
			what = append(what, fmt.Sprintf("call %d fails", n))
		case 1:
			h.HangNth(n)
			what = append(what, fmt.Sprintf("call %d hangs", n))
		case 2:
			h.LostReplyNth(n)
			what = append(what, fmt.Sprintf("the reply to call %d is lost", n))
		case 3:
			if d.chance(50) {
				h.KillNth(n)
			} else {
				h.KillAfterNth(n)
			}
			what = append(what, fmt.Sprintf("kamald is killed at call %d", n))
		default:
			hosts := some(d, h.Hosts())
			if d.chance(70) {
				hosts = []string{pick(d, h.Hosts()...)}
			}
			tr := pick(d, troubles...)
			h.nth(n, func(sim.Call) {
				for _, host := range hosts {
					if tr.down {
						h.fell(host)
					}
					tr.happen(d, h, host)
				}
			})
			what = append(what, fmt.Sprintf("%s on %v at call %d", tr.name, hosts, n))
		}
	}
	return what
}

// endOfTroubles brings everything back.
func (h *history) endOfTroubles() {
	h.listen()
	h.Revive()
	time.Sleep(3 * time.Minute) // what ends by itself has ended
	for _, host := range h.Hosts() {
		h.Restore(host)
		h.ThawEngine(host)
		h.SetFree(host, 20<<30)
	}
}
