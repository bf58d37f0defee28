package loop_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kamald/kamald/drivers/image"
	"github.com/kamald/kamald/drivers/sim"
	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/reconcile/loop"
	"github.com/kamald/kamald/state"
)

// everybody is a daemon and all who do something to the same servers, told from one seed.
type everybody struct {
	*world
	mu    sync.Mutex
	held  *checker
	rand  *rand.Rand
	doing sync.WaitGroup
	done  []string // what was done when
}

func (e *everybody) pick(n int) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.rand.IntN(n)
}

func (e *everybody) note(format string, args ...any) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.done = append(e.done, time.Now().Format("15:04:05.000 ")+fmt.Sprintf(format, args...))
}

func (e *everybody) version() string { return fmt.Sprintf("v%d", 1+e.pick(6)) }

// laptop is somebody's own run on another machine, which may fail.
func (e *everybody) laptop(version string) {
	e.doing.Go(func() {
		c := reconcile.NewController(reconcile.NewFleet(connector{e.Connector().As(fmt.Sprintf("laptop %d", e.pick(1<<30)))}), &memory{}, secrets{"TOKEN": "planted-secret-value", "REGISTRY_PASSWORD": "registry-password"})
		c.NewSpool = func() reconcile.Spool { return &image.Spool{} }
		c.Owner, c.LockWait, c.LockWaitLimit = reconcile.Owner{Who: "ada", Machine: "laptop", PID: 7}, true, 5*time.Minute
		defer func() { _ = c.Close() }()
		report, err := c.Apply(e.t.Context(), desired(version), reconcile.Options{})
		e.note("the laptop's apply of %s ended: %s %v", version, report.Outcome, err)
	})
}

// orders has the pipeline, or a person, order something and wait for its end.
func (e *everybody) orders(o loop.Order) {
	o.App, o.By = shop, loop.Person{Who: "ci", Where: "pipeline"}
	ticket, err := e.loop.Order(o)
	if err != nil {
		e.note("the order was refused: %v", err)
		return
	}
	e.doing.Go(func() {
		ended, err := e.loop.Await(e.t.Context(), ticket.ID)
		e.note("%s of %s ended: %q %v", o.Verb, o.Version, ended.Error, err)
	})
}

// hand does something on a server, where there is something to do it to.
func (e *everybody) hand(host string) {
	var running []string
	for _, c := range e.Containers(host, state.View{}) {
		if c.Role != "" && c.Destination == "" && c.Running() {
			running = append(running, c.Name)
		}
	}
	if len(running) == 0 {
		return
	}
	name := running[e.pick(len(running))]
	if e.pick(2) == 0 {
		e.note("a hand removes %s on %s", name, host)
		e.RemoveContainer(host, name)
		return
	}
	e.note("a hand stops %s on %s", name, host)
	e.StopContainer(host, name)
}

// act is one thing that somebody does.
func (e *everybody) act() {
	host := e.Hosts()[e.pick(3)]
	switch e.pick(13) {
	case 0, 1:
		version := e.version()
		e.note("%s is proposed", version)
		e.propose(version)
	case 2:
		version := e.version()
		e.note("the laptop applies %s", version)
		e.laptop(version)
	case 3:
		version := e.version()
		e.note("the pipeline orders %s", version)
		e.orders(loop.Order{Verb: loop.VerbRelease, Version: version})
	case 4:
		e.note("a rollback is ordered")
		e.orders(loop.Order{Verb: loop.VerbRollback})
	case 5:
		role := []string{"", "web", "workers"}[e.pick(3)]
		e.note("%q is paused: %v", role, e.loop.Pause(shop, state.Pause{Role: role, Who: "ada", Until: time.Now().Add(time.Duration(1+e.pick(10)) * time.Minute)}))
	case 6:
		e.note("the pause is ended: %v", e.loop.Unpause(shop, "", "", loopPerson("ada")))
	case 7:
		e.note("what waits is approved: %v", e.loop.Approve(shop, "", loopPerson("ada")))
	case 8:
		e.doing.Go(func() { e.note("resume: %v", e.loop.Resume(e.t.Context(), shop, loopPerson("ada"))) })
	case 9, 10:
		e.hand(host)
	case 11:
		e.note("%s is cut off", host)
		e.Cut(host)
		time.AfterFunc(time.Duration(1+e.pick(150))*time.Second, func() { e.Restore(host) })
	case 12:
		e.note("%s reboots", host)
		e.Reboot(host, time.Duration(5+e.pick(40))*time.Second)
	}
}

// judge wants one version to run, which is the one that is held, and everything to say so.
func (e *everybody) judge() {
	status, _ := e.loop.Status(shop)
	if status.Held == nil {
		e.t.Error("nothing is held")
		return
	}
	version := status.Held.Version
	if is := e.running(); is != all(version) {
		e.t.Errorf("%s is held, and there runs %s", version, is)
	}
	for _, host := range e.Hosts() {
		if e.ImageID(host, repository+":latest") != e.ImageID(host, repository+":"+version) {
			e.t.Errorf("latest on %s is not %s", host, version)
		}
		if host != "h3" && e.Answer(host, "example.com", "/") != 200 {
			e.t.Errorf("%s does not answer", host)
		}
	}
	for _, ticket := range e.loop.Open() {
		e.t.Errorf("an order has no end: %+v", ticket)
	}
	records := map[int]state.Record{}
	for _, r := range e.store.releases {
		if r.Outcome == state.OutcomeSucceeded {
			records[r.Number] = r
		}
	}
	numbers := make([]int, 0, len(records))
	for n := range records {
		numbers = append(numbers, n)
	}
	if newest := records[slices.Max(numbers)]; newest.Number != status.Held.Number || newest.Version != version {
		e.t.Errorf("the newest record is %d of %s, and held is %+v", newest.Number, newest.Version, status.Held)
	}
}

// tell plays the hour of a seed.
func (e *everybody) tell() {
	for n := 1; n <= 6; n++ {
		e.push(fmt.Sprintf("v%d", n), sim.Healthy(time.Duration(1+e.pick(4))*time.Second))
	}
	e.source.release.Reconcile.Budget, e.source.release.Reconcile.Flap = 100, 30
	e.deployed("v1")
	e.held = check(e.t, e.World, desired("v1"))
	e.start().settle()
	for begin := time.Now(); time.Since(begin) < time.Hour; {
		time.Sleep(time.Duration(e.pick(120_000)) * time.Millisecond)
		e.act()
	}
	time.Sleep(3 * time.Minute) // what was cut off or is rebooting is back
	e.doing.Wait()
	for _, role := range []string{"", "web", "workers"} {
		_ = e.loop.Unpause(shop, "", role, loopPerson("ada")) // most are over
	}
	time.Sleep(30 * time.Minute)
}

// TestEverybodyAtOnce: a source that moves, a laptop, a pipeline, rollbacks, people with pauses, hands and troubles, for an hour. After a
// quiet half hour everything is as the newest release says, whoever made it.
func TestEverybodyAtOnce(t *testing.T) {
	seeds, first := 4, uint64(1)
	if os.Getenv("KAMALD_LONG") != "" {
		seeds = 500
	}
	if one := os.Getenv("KAMALD_SEED"); one != "" {
		seed, err := strconv.ParseUint(one, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		seeds, first = 1, seed
	}
	for seed := first; seed < first+uint64(seeds); seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := &everybody{world: newWorld(t), rand: rand.New(rand.NewPCG(seed, 7))}
				e.tell()
				e.judge()
				e.held.judge()
				if t.Failed() {
					status, _ := e.loop.Status(shop)
					t.Logf("again: KAMALD_SEED=%d go test ./reconcile/loop -run TestEverybodyAtOnce\nconditions %+v\nround %+v\n%s", seed, status.Conditions, status.Round, strings.Join(e.done, "\n"))
					if os.Getenv("KAMALD_SEED") != "" {
						t.Log(e.said())
					}
				}
				e.stop()
			})
		})
	}
}
