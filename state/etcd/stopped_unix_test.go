//go:build unix

package etcd_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kamald/kamald/state/etcd"
	"github.com/kamald/kamald/state/etcdtest"
)

// TestMain lets this binary be the other process of a test.
func TestMain(m *testing.M) {
	endpoint := os.Getenv("ETCD_TEST_LEAD")
	if endpoint == "" {
		os.Exit(m.Run())
	}
	s, err := etcd.Open(etcd.Config{Endpoints: []string{endpoint}})
	if err != nil {
		panic(err)
	}
	term, err := s.NewElector("stopped", 2*time.Second).Campaign(context.Background(), shop)
	if err != nil {
		panic(err)
	}
	for said := (time.Time{}); ; { // without a rest, so that it is the first to run when the process goes on
		at := time.Now() // before it is asked
		if holds := term.Holds(); at.Sub(said) > time.Millisecond {
			fmt.Println(at.UnixNano(), holds)
			said = at
		}
	}
}

// A process that is stopped, and goes on when another leads, does not believe for a moment that it still does.
func TestWhoWasStoppedDoesNotHoldWhenItGoesOn(t *testing.T) {
	cluster := etcdtest.Start(t, 1)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "ETCD_TEST_LEAD="+cluster.Members[0].Endpoint)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	lines := bufio.NewScanner(out)
	lines.Scan()
	if !strings.HasSuffix(lines.Text(), " true") {
		t.Fatalf("it leads, and says %s", lines.Text())
	}
	must(t, cmd.Process.Signal(syscall.SIGSTOP))
	lead(t, elector(t, "next", time.Minute, cluster.Endpoints()...), shop)
	leads := time.Now().UnixNano()
	must(t, cmd.Process.Signal(syscall.SIGCONT))
	after := 0
	for after < 100 && lines.Scan() {
		var at int64
		var holds bool
		_, err := fmt.Sscan(lines.Text(), &at, &holds)
		must(t, err)
		if at > leads {
			after++
			if holds {
				t.Fatal("two hold")
			}
		}
	}
	if after == 0 {
		t.Error("it did not go on")
	}
}
