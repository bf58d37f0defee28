package sim

import (
	"time"

	"github.com/kamald/kamald/state"
)

// Glance is what a container is at this instant, for whoever checks the world at every call.
type Glance struct {
	ID, Name, ImageID          string
	Service, Role, Destination string
	Status                     state.Status
	Started                    time.Time // the last time
	Answers                    int       // the status it answers on its image's port; 0 when nothing does
}

// Glance looks at every container of a host, the newest first, and takes no time.
func (w *World) Glance(hostName string) (list []Glance) {
	w.at(hostName, func(h *host) {
		for _, c := range h.newestFirst() {
			seen := Glance{ID: c.id, Name: c.name, ImageID: c.image.id, Status: c.status, Started: c.started,
				Service: c.labels[state.LabelService], Role: c.labels[state.LabelRole], Destination: c.labels[state.LabelDestination]}
			seen.Answers, _ = c.answers(c.image.Port, time.Now())
			list = append(list, seen)
		}
	})
	return list
}

// WithNetwork makes a network on a host by hand.
func (w *World) WithNetwork(hostName, name string) {
	w.at(hostName, func(h *host) {
		if _, ok := h.networks[name]; !ok {
			h.networks[name] = w.id(h.name, "network", name, h.count("network"))
		}
	})
}
