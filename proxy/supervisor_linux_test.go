package proxy

import (
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
)

func TestAKilledWorkerIsStartedAgainAndNoConnectionIsRefused(t *testing.T) {
	p := install(t)
	p.do("deploy", "app", "--target", backend(t, trafficApp), "--host", "app.test")
	load := startTraffic(t, p.address(), "app.test")
	const clients = 10
	for i := range 3 {
		seen := load.total.Load()
		eventually(t, "requests pass", func() bool { return load.total.Load() >= seen+100 })
		killed := p.workers()[0]
		if err := syscall.Kill(killed, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		eventually(t, "another worker serves", func() bool { return strings.Count(p.log.text(), "Worker serves") == i+2 })
		p.expect("app.test", "200 ok")
	}
	total, failed := load.end()
	if load.refused.Load() > 0 {
		t.Errorf("%d connections were refused", load.refused.Load())
	}
	// Each client has one request or idle connection at a time, which dies with the worker.
	if len(failed) > 3*clients {
		t.Errorf("%d of %d requests failed, which is more than were in flight: %v", len(failed), total, failed)
	}
	if !strings.Contains(p.log.text(), `ended by the signal \"killed\"`) {
		t.Error("the log does not say why the worker ended")
	}
}

func TestAWorkerThatDiesAgainAndAgainEndsTheProxyWithItsCause(t *testing.T) {
	p := install(t)
	for range maxQuickDeaths {
		eventually(t, "a worker lives, or the proxy has given up", func() bool {
			select {
			case <-p.done:
				return true
			default:
				return len(p.workers()) > 0
			}
		})
		for _, pid := range p.workers() {
			_ = syscall.Kill(pid, syscall.SIGKILL)
			eventually(t, "it is dead", func() bool { return syscall.Kill(pid, 0) != nil })
		}
	}
	receive(t, "the end of the proxy", p.done)
	if code := p.cmd.ProcessState.ExitCode(); code != 1 {
		t.Errorf("exit code %d", code)
	}
	if !strings.Contains(p.log.text(), `Error: the proxy's worker ended 6 times in a row soon after its start, the last time because: the worker (process`) {
		t.Error("the cause is not told")
	}
}

func TestAKilledSupervisorTakesItsWorkersAlong(t *testing.T) {
	p := install(t)
	p.do("deploy", "app", "--target", backend(t, upgrading), "--host", "app.test")
	// An old worker, too: its upgraded connection keeps it.
	c := &rawClient{traffic: &traffic{address: p.address(), app: "app.test"}}
	defer c.drop()
	if err := c.echo(); err != nil {
		t.Fatal(err)
	}
	p.upgradeTo("v1", "1m")
	workers := p.workers()
	if len(workers) != 2 {
		t.Fatalf("the workers are %v", workers)
	}
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for _, pid := range workers {
		eventually(t, "the worker is gone", func() bool {
			data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
			return err != nil || strings.Contains(string(data), ") Z ")
		})
	}
	// The last thread of a process takes its sockets along, and may be later than the first.
	eventually(t, "the port is free", func() bool {
		ln, err := net.Listen("tcp", p.address())
		if err == nil {
			_ = ln.Close()
		}
		return err == nil
	})
	<-p.done
	p.start()
	if out := p.do("list"); !strings.Contains(out, "app.test") {
		t.Errorf("after a new start:\n%s", out)
	}
}

func TestTermLetsARequestInFlightFinishAndRefusesNewConnections(t *testing.T) {
	p := install(t)
	p.do("deploy", "app", "--target", backend(t, trafficApp), "--host", "app.test")
	c := &rawClient{traffic: &traffic{address: p.address(), app: "app.test"}}
	if err := c.ask("GET", "/", "", true); err != nil || c.conn == nil {
		t.Fatalf("%v, kept: %v", err, c.conn != nil)
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	eventually(t, "new connections are refused", func() bool {
		conn, err := net.Dial("tcp", p.address())
		if err == nil {
			_ = conn.Close()
		}
		return err != nil
	})
	// The kept connection is not closed under the client's feet: its next answer says that it ends.
	if err := c.ask("GET", "/slow", "", true); err != nil {
		t.Errorf("a request on a kept connection: %v", err)
	}
	if c.conn != nil {
		t.Error("the answer did not say that the connection ends")
	}
	receive(t, "the end of the proxy", p.done)
	if code := p.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

func TestASecondProxyOnTheSameSocketIsRefused(t *testing.T) {
	p := install(t)
	if _, err := p.try("run"); err == nil || !strings.Contains(err.Error(), "another proxy answers") {
		t.Errorf("a second proxy: %v", err)
	}
	p.do("list")
}

func TestAProxyThatIsKilledCanBeStartedAgainAtOnce(t *testing.T) {
	p := install(t)
	p.do("deploy", "app", "--target", backend(t, says("app")), "--host", "app.test")
	p.env = append(p.env, fmt.Sprint("HTTP_PORT=", p.port))
	for range 5 {
		if err := p.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		p.start()
		p.expect("app.test", "200 app")
	}
}
