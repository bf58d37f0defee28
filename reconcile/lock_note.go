package reconcile

import (
	"errors"
	"fmt"

	"github.com/kamald/kamald/release"
)

// intend notes in the store that locks are about to be taken; the note covers their renewal and their end.
func (l *Locks) intend(hosts []release.Host, reason string) error {
	for _, host := range hosts {
		l.deeds = append(l.deeds, deed{kind: "lock", host: host.Name, step: "lock", message: "hold the deploy lock: " + reason})
	}
	return l.notes.intend(l.deeds...)
}

// noted notes how the locks ended: given back, or why not. errs are those of giving back, in the order of held.
func (l *Locks) noted(held []*heldLock, errs []error) error {
	ended := map[string]error{}
	for i, h := range held {
		ended[h.host] = errors.Join(h.why(), errs[i])
	}
	for _, d := range l.deeds {
		err, was := ended[d.host]
		if !was {
			err = fmt.Errorf("%w: %w", errSkipped, l.refused)
		}
		l.notes.end(d, err)
	}
	return l.notes.write()
}
