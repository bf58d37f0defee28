package state

import (
	"cmp"
	"slices"
	"time"
)

// IntentSchema is the version of an intent's JSON.
const IntentSchema = 1

// The kinds of intents.
const (
	IntentCordon = "cordon" // the host is left out
	IntentForget = "forget" // the host is gone for good
	// IntentMaintenance: the role's route there answers 503. It lies on that host only.
	IntentMaintenance = "maintenance"
	// IntentStop: the role has no container that runs there, and no route. It lies on that host only.
	IntentStop = "stop"
	// IntentProxyStop: the host's proxy stands still. It lies beside the proxy's files, for all apps there.
	IntentProxyStop = "proxy-stop"
	// IntentAccessoryStop: an accessory stands still there. It lies on that host only.
	IntentAccessoryStop = "accessory-stop"
)

// Intent is what somebody wants of a host on purpose. It lies on every host of the app that could be reached, for its own may be
// gone. It is never taken away but lifted, so that a host that missed that does not bring it back.
type Intent struct {
	Schema  int       `json:"schema"`
	Kind    string    `json:"kind"`
	Host    string    `json:"host"`
	Role    string    `json:"role,omitempty"` // maintenance, stop: whose; accessory-stop: which
	Serial  int       `json:"serial"`         // counts the changes of one intent: the highest holds
	Lifted  bool      `json:"lifted,omitempty"`
	Reason  string    `json:"reason,omitempty"`
	Message string    `json:"message,omitempty"` // maintenance: what the page says
	Who     string    `json:"who"`
	Where   string    `json:"where"`
	Since   time.Time `json:"since"`
	Until   time.Time `json:"until,omitzero"`    // zero: until it is lifted
	Release int       `json:"release,omitempty"` // forget: the newest release then; the host may come back with a later one
}

// Holds tells whether the intent is to be respected at a time.
func (i Intent) Holds(now time.Time) bool {
	return !i.Lifted && (i.Until.IsZero() || now.Before(i.Until))
}

// Passed tells whether its time has passed, and nobody has lifted it.
func (i Intent) Passed(now time.Time) bool { return !i.Lifted && !i.Holds(now) }

// By is who asked for it, since when, until when and why, for a person.
func (i Intent) By() string {
	text := i.Who
	if i.Where != "" {
		text += "@" + i.Where
	}
	if !i.Since.IsZero() {
		text += " since " + i.Since.UTC().Format(intentTime)
	}
	if !i.Until.IsZero() {
		text += " until " + i.Until.UTC().Format(intentTime)
	}
	if i.Reason != "" {
		text += ": " + i.Reason
	}
	return text
}

const intentTime = "2006-01-02 15:04 MST"

// Intents gives the newest word on each intent that any host knows of, sorted by kind, host and role.
func (s Snapshot) Intents() []Intent {
	newest := map[[3]string]Intent{}
	for _, host := range s.Hosts {
		for _, intent := range host.Intents {
			key := [3]string{intent.Kind, intent.Host, intent.Role}
			if known, ok := newest[key]; !ok || intent.newer(known) {
				newest[key] = intent
			}
		}
	}
	list := make([]Intent, 0, len(newest))
	for _, intent := range newest {
		list = append(list, intent)
	}
	slices.SortFunc(list, func(a, b Intent) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Host, b.Host), cmp.Compare(a.Role, b.Role))
	})
	return list
}

func (i Intent) newer(than Intent) bool {
	return cmp.Or(cmp.Compare(i.Serial, than.Serial), i.Since.Compare(than.Since)) > 0
}

// Intent finds the newest word on one intent.
func (s Snapshot) Intent(kind, host string) (Intent, bool) {
	all := s.Intents()
	i := slices.IndexFunc(all, func(i Intent) bool { return i.Kind == kind && i.Host == host })
	if i < 0 {
		return Intent{}, false
	}
	return all[i], true
}

// Maintenance finds the newest word on the maintenance of a role there; false when nobody has said one.
func (h Host) Maintenance(role string) (Intent, bool) { return h.about(IntentMaintenance, role) }

// Stop finds the newest word on a role's being stopped there on purpose; false when nobody has said one.
func (h Host) Stop(role string) (Intent, bool) { return h.about(IntentStop, role) }

// about finds the newest word of one kind on a role of this very host.
func (h Host) about(kind, role string) (found Intent, ok bool) {
	for _, intent := range h.Intents {
		if intent.Kind == kind && intent.Host == h.Name && intent.Role == role && (!ok || intent.newer(found)) {
			found, ok = intent, true
		}
	}
	return found, ok
}
