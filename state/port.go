package state

import (
	"fmt"
	"net/netip"
)

// Port is a port of a host that something holds, or is to hold.
type Port struct {
	Address   netip.Addr `json:"address"` // of the host; unspecified: all of its family; the zero value: all of both
	Number    int        `json:"number"`
	Protocol  string     `json:"protocol"`            // tcp, udp, sctp
	Container string     `json:"container,omitempty"` // the ID of the container that publishes it; "" for a process on the host
	Name      string     `json:"name,omitempty"`      // that container's
}

// Everywhere tells whether it is held on every address of the host.
func (p Port) Everywhere() bool { return !p.Address.IsValid() || p.Address.IsUnspecified() }

// Clashes tells whether the two cannot be held at once.
func (p Port) Clashes(other Port) bool {
	if p.Number != other.Number || p.Protocol != other.Protocol {
		return false
	}
	a, b := p.Address.Unmap(), other.Address.Unmap()
	switch {
	case !a.IsValid() || !b.IsValid():
		return true
	case a.Is4() != b.Is4():
		return false
	}
	return a == b || a.IsUnspecified() || b.IsUnspecified()
}

// String is the port as a person writes it: "80/tcp", "127.0.0.1:80/tcp".
func (p Port) String() string {
	if p.Everywhere() {
		return fmt.Sprintf("%d/%s", p.Number, p.Protocol)
	}
	return fmt.Sprintf("%s/%s", netip.AddrPortFrom(p.Address.Unmap(), uint16(p.Number)), p.Protocol)
}
