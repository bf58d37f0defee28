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
)

// Intent is what somebody wants of a host on purpose. It lies on every host of the app that could be reached, for its own may be
// gone. It is never taken away but lifted, so that a host that missed that does not bring it back.
type Intent struct {
	Schema  int       `json:"schema"`
	Kind    string    `json:"kind"`
	Host    string    `json:"host"`
	Serial  int       `json:"serial"` // counts the changes of one intent: the highest holds
	Lifted  bool      `json:"lifted,omitempty"`
	Reason  string    `json:"reason,omitempty"`
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

// Intents gives the newest word on each intent that any host knows of, sorted by kind and host.
func (s Snapshot) Intents() []Intent {
	newest := map[[2]string]Intent{}
	for _, host := range s.Hosts {
		for _, intent := range host.Intents {
			key := [2]string{intent.Kind, intent.Host}
			if known, ok := newest[key]; !ok || intent.newer(known) {
				newest[key] = intent
			}
		}
	}
	list := make([]Intent, 0, len(newest))
	for _, intent := range newest {
		list = append(list, intent)
	}
	slices.SortFunc(list, func(a, b Intent) int { return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Host, b.Host)) })
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
