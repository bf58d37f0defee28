package state

import "time"

// AutomaticLock is the message of a lock that a deploy took by itself; Kamal waits for those and not for others.
const AutomaticLock = "Automatic deploy lock"

// Holder is what kind of writer holds a deploy lock.
type Holder string

// The kinds of holders.
const (
	HeldByKamald Holder = "kamald" // has a lease, and expires when nobody renews it
	HeldByKamal  Holder = "kamal"  // Kamal's own deploy: it stays until Kamal gives it back
	HeldManually Holder = "manual" // a person took it, with either program: it stays until a person gives it back
)

// Lock is Kamal's deploy lock as it was found on a host.
type Lock struct {
	Owner   string        `json:"owner"`
	Message string        `json:"message"`
	Version string        `json:"version,omitempty"`
	Reason  string        `json:"reason,omitempty"`
	Fence   int           `json:"fence,omitempty"` // 0: not kamald's
	Lease   time.Duration `json:"lease,omitempty"` // 0: never expires by itself
	Nonce   string        `json:"nonce,omitempty"` // tells two locks of one writer apart
	Taken   time.Time     `json:"taken,omitzero"`
	Renewed time.Time     `json:"renewed,omitzero"` // the file's time on that host
}

// Holder tells who takes such locks.
func (l Lock) Holder() Holder {
	switch {
	case l.Lease > 0:
		return HeldByKamald
	case l.Message == AutomaticLock:
		return HeldByKamal
	}
	return HeldManually
}

// By is the holder for a person: who, since when, and the message.
func (l Lock) By() string {
	text := l.Owner
	if text == "" {
		text = "somebody unknown"
	}
	if !l.Taken.IsZero() {
		text += " since " + l.Taken.UTC().Format(time.RFC3339)
	}
	if l.Message != "" {
		text += " (" + l.Message + ")"
	}
	return text
}
