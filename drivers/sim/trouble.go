package sim

import (
	"fmt"
	"strings"
	"time"

	"github.com/kamald/kamald/state"
)

// What befalls a host: its network, its sshd, its engine, its power. Connections that were lost stay dead: a new one must
// be made.

// Cut takes the network between kamald and a host: its connections are lost and none can be made. What runs on it goes on.
func (w *World) Cut(hostName string) {
	w.at(hostName, func(h *host) {
		h.cut = true
		h.lose()
	})
}

// BlackHole swallows what is sent to a host (requests), what it sends (replies: the calls are carried out), or both, from now
// on. Nobody is told: calls hang until their contexts are done, or until Restore lets them through.
func (w *World) BlackHole(hostName string, requests, replies bool) {
	w.at(hostName, func(h *host) { h.holes.requests, h.holes.replies = requests, replies })
}

// Slow makes every call to a host take so much longer, until Restore.
func (w *World) Slow(hostName string, by time.Duration) {
	w.at(hostName, func(h *host) { h.slow = by })
}

// Restore gives the network back: it ends Cut, BlackHole and Slow.
func (w *World) Restore(hostName string) {
	w.at(hostName, func(h *host) {
		h.cut, h.holes.requests, h.holes.replies, h.slow = false, false, false, 0
		h.wake()
	})
}

// RestartSSH is a restart of sshd with all its sessions: connections are lost and can be made again at once. The engine and
// its containers notice nothing.
func (w *World) RestartSSH(hostName string) { w.at(hostName, (*host).lose) }

// FreezeEngine stops the engine as a SIGSTOP does: its calls hang until their contexts are done or ThawEngine. Containers go
// on; one that ends is not started again meanwhile.
func (w *World) FreezeEngine(hostName string) {
	w.at(hostName, func(h *host) { h.frozen = true })
}

// ThawEngine ends FreezeEngine; calls that hang go on.
func (w *World) ThawEngine(hostName string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	h, now := w.host(hostName), time.Now()
	h.settle(now)
	h.frozen = false
	for _, c := range h.order {
		if c.status == state.StatusRestarting && c.again.Before(now) {
			c.again = now
		}
	}
	h.wake()
}

// RestartEngine ends every container; those whose policy says so (a policy always: also those stopped by hand) run again when the engine answers again, after a time. Calls
// of the engine that are under way are lost, and fail meanwhile; connections stand.
func (w *World) RestartEngine(hostName string, after time.Duration) {
	w.at(hostName, func(h *host) {
		h.endAll(time.Now().Add(after), true)
		h.drop(fmt.Errorf("the engine went away: %w", state.ErrUnreachable), func(waiting *waiter) bool { return waiting.engine })
	})
}

// Reboot is a host that loses power and is back after a time, with its containers by their policies and its files as they
// were. Connections are lost, and none can be made meanwhile.
func (w *World) Reboot(hostName string, after time.Duration) {
	w.at(hostName, func(h *host) {
		h.offUntil = time.Now().Add(after)
		h.frozen = false
		h.endAll(h.offUntil, false)
		h.lose()
	})
}

// endAll ends every container now, and has those that the policy wants started at a time. An engine that goes down asks them
// to end; a host without power does not.
func (h *host) endAll(back time.Time, asked bool) {
	const engineGrace, lost = 10 * time.Second, 255
	now := time.Now()
	h.downUntil = back
	for _, c := range h.order {
		up := c.running() || c.status == state.StatusRestarting
		if c.running() {
			code, b := lost, c.image.Behaviour
			switch {
			case asked && (b.IgnoresStop || b.StopsIn > engineGrace):
				code = 137
			case asked && b.Ends: // a command in its middle, which no signal makes a success
				code = 143
			case asked:
				code = 0
			}
			h.end(c, now, code)
		}
		policy, _, _ := strings.Cut(c.spec.Restart, ":")
		switch {
		case c.status == state.StatusCreated:
		case policy == "always", policy == "unless-stopped" && !c.byHand, up && !c.byHand && c.restarted(): // always: also what a hand has stopped
			c.status, c.again = state.StatusRestarting, back
			c.restarts-- // an engine's own restart is not counted
		case up:
			c.status = state.StatusExited
		}
	}
	h.forget() // what an engine remembers ends with it
}

// lose ends every connection.
func (h *host) lose() {
	h.lives++
	h.drop(errLost, func(*waiter) bool { return true })
	h.wake()
}
