package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// Off is the value of KAMALD_LAB that leaves out every test that needs the lab.
const Off = "off"

// upLimit bounds a first Up, which builds the hosts' image.
const upLimit = 20 * time.Minute

// Require returns the running lab and lends it to the test, alone, until the test ends: tests of other packages, run at
// once by other processes, wait. It brings the lab up once a process. A subtest of a holder shares the holder's lease.
//
// Where there can be no lab the test is skipped, with a message that begins "NOT RUN:": no Docker engine, or
// no hosts' image and no means to build it (not root, or neither Debian nor Ubuntu), or KAMALD_LAB=off. With CI=true a
// missing engine or image fails the test, so that a pipeline cannot pass by testing nothing.
//
// A test finds the hosts as the last one left them: call Reset.
func Require(t testing.TB) *Lab {
	t.Helper()
	gate(t, checkHere(t.Context()))
	lease(t)
	lab, err := upOnce()
	if err != nil {
		t.Fatal(err)
	}
	return lab
}

// gate skips or fails the test when there can be no lab; missing says why, or is nil.
func gate(t testing.TB, missing error) {
	t.Helper()
	if os.Getenv("KAMALD_LAB") == Off {
		t.Skip("NOT RUN: this test needs the lab, and KAMALD_LAB=off")
	}
	if missing == nil {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("this test needs the lab, and CI=true lets no test be left out: %v", missing)
	}
	t.Skipf("NOT RUN: this test needs the lab: %v", missing)
}

// checkHere says why this machine can have no lab.
func checkHere(ctx context.Context) error {
	if runtime.GOOS != "linux" {
		return fmt.Errorf("lab: its hosts are Linux containers reached by address, which %s does not give", runtime.GOOS)
	}
	if err := checkEngine(ctx); err != nil {
		return err
	}
	return checkImage(ctx)
}

var (
	upGuard sync.Mutex
	upLab   *Lab
)

func upOnce() (*Lab, error) {
	upGuard.Lock()
	defer upGuard.Unlock()
	if upLab != nil {
		return upLab.clone(), nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), upLimit)
	defer cancel()
	lab, err := Up(ctx)
	if err != nil {
		return nil, err
	}
	upLab = lab
	return lab.clone(), nil
}

// clone keeps one test's changes to the value from the next.
func (l *Lab) clone() *Lab {
	copied := *l
	copied.Hosts = append([]Host(nil), l.Hosts...)
	return &copied
}

// holder is the test of this process that has the lease.
var holder struct {
	sync.Mutex
	name string
}

// lease lends the hosts to the test until it ends.
func lease(t testing.TB) {
	t.Helper()
	holder.Lock()
	shared := holder.name != "" && strings.HasPrefix(t.Name(), holder.name+"/")
	holder.Unlock()
	if shared {
		return
	}
	release, err := Acquire(t.Context(), t.Name())
	if err != nil {
		if errors.Is(err, context.Canceled) {
			t.Fatalf("lab: the test ended while it waited for the hosts: %v", err)
		}
		t.Fatal(err)
	}
	setHolder(t.Name())
	t.Cleanup(func() {
		setHolder("")
		release()
	})
}

func setHolder(name string) {
	holder.Lock()
	defer holder.Unlock()
	holder.name = name
}
