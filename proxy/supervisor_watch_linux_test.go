package proxy

import (
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// installPinging is a proxy whose supervisor kills a worker that hangs for 3 s.
func installPinging(t *testing.T) *installed {
	t.Helper()
	t.Setenv(pingEvery, "250ms")
	p := install(t)
	p.do("deploy", "app", "--target", backend(t, says("app")), "--host", "app.test")
	return p
}

func (p *installed) signal(pid int, one syscall.Signal) {
	p.t.Helper()
	if err := syscall.Kill(pid, one); err != nil {
		p.t.Fatal(err)
	}
}

func TestAWorkerThatHangsIsKilledAndAnotherOneServes(t *testing.T) {
	p := installPinging(t)
	hung := p.workers()[0]
	p.signal(hung, syscall.SIGSTOP)
	eventually(t, "another worker serves", func() bool {
		workers := p.workers()
		return len(workers) == 1 && workers[0] != hung && strings.Count(p.log.text(), "Worker serves") == 2
	})
	p.expect("app.test", "200 app")
	for _, want := range []string{"Worker does not answer", "Worker hangs and is killed", fmt.Sprintf("the worker (process %d) hung", hung)} {
		if !strings.Contains(p.log.text(), want) {
			t.Errorf("the log does not say %q", want)
		}
	}
}

func TestAnOldWorkerThatHangsIsKilledAlthoughTheSupervisorIsAnotherProgram(t *testing.T) {
	t.Setenv(pingEvery, "250ms")
	p := install(t)
	p.do("deploy", "app", "--target", backend(t, upgrading), "--host", "app.test")
	c := &rawClient{traffic: &traffic{address: p.address(), app: "app.test"}}
	defer c.drop()
	if err := c.echo(); err != nil { // keeps the old program
		t.Fatal(err)
	}
	old := p.workers()[0]
	p.upgradeTo("v1", "10m")
	eventually(t, "the supervisor is the new program", func() bool { return strings.Contains(p.log.text(), "The supervisor is the new program") })
	p.signal(old, syscall.SIGSTOP)
	eventually(t, "the old worker is gone", func() bool { return !slices.Contains(p.workers(), old) })
	if len(p.workers()) != 1 || strings.Count(p.log.text(), "Worker serves") != 1 {
		t.Errorf("the workers are %v: the one that serves does not hang", p.workers())
	}
}

func TestAWorkerIsNotBlamedForAPauseOfTheWholeContainer(t *testing.T) {
	p := installPinging(t)
	worker := p.workers()[0]
	supervisor := p.cmd.Process.Pid
	for range 2 {
		p.signal(worker, syscall.SIGSTOP)
		p.signal(supervisor, syscall.SIGSTOP)
		time.Sleep(4 * time.Second) // longer than a worker alone may hang
		p.signal(supervisor, syscall.SIGCONT)
		p.signal(worker, syscall.SIGCONT)
		p.expect("app.test", "200 app")
	}
	if workers := p.workers(); !slices.Equal(workers, []int{worker}) || strings.Contains(p.log.text(), "does not answer") {
		t.Errorf("the workers are %v, before %d", workers, worker)
	}
}
