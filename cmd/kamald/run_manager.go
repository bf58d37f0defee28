package main

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"

	"github.com/kamald/kamald/reconcile/loop"
)

// manager is the service manager that began the daemon, by systemd's protocol. Where there is none nothing is told.
type manager struct{ loop atomic.Pointer[loop.Loop] }

// runs tells that the daemon does its work, by this loop from now on.
func (m *manager) runs(l *loop.Loop) {
	m.loop.Store(l)
	m.tell(daemon.SdNotifyReady)
}

// goesOn tells that the daemon does what it did before.
func (m *manager) goesOn() { m.tell(daemon.SdNotifyReady) }

func (m *manager) reloads() {
	m.tell(daemon.SdNotifyReloading + "\n" + daemon.SdNotifyMonotonicUsec()) // the time is for Type=notify-reload, others pass it over
}

func (m *manager) ends() { m.tell(daemon.SdNotifyStopping) }

// watch tells that the daemon lives, as often as it wants to be heard of, also while a release under way is let end: being killed then
// would leave the servers as they stand.
func (m *manager) watch(ctx context.Context) {
	every, err := daemon.SdWatchdogEnabled(false)
	if err != nil || every <= 0 {
		return
	}
	ticker := time.NewTicker(every / 3)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			if l := m.loop.Load(); l != nil {
				l.Statuses() // a worker that holds its lock for ever would hold this, too
			}
			m.tell(daemon.SdNotifyWatchdog)
		}
	}
}

// tell says one thing. A manager that does not listen is no reason to do less.
func (m *manager) tell(state string) { _, _ = daemon.SdNotify(false, state) }
