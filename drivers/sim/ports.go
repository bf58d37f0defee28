package sim

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/kamald/kamald/state"
)

// Listen has a process on a host, outside its engine, listen at an address ("0.0.0.0:80", "[::]:80", "127.0.0.1:80").
func (w *World) Listen(hostName, address string) {
	at := netip.MustParseAddrPort(address)
	port := state.Port{Address: at.Addr(), Number: int(at.Port()), Protocol: "tcp"}
	if port.Address == netip.IPv6Unspecified() {
		port.Address = netip.Addr{} // IPv4 comes with it
	}
	w.at(hostName, func(h *host) { h.listening = append(h.listening, port) })
}

// Unlisten ends every process that Listen has begun on a host.
func (w *World) Unlisten(hostName string) { w.at(hostName, func(h *host) { h.listening = nil }) }

// Ports lists what running containers publish, the newest container's first.
func (e *Engine) Ports(ctx context.Context) (held []state.Port, err error) {
	err = e.read(ctx, "Engine.Ports", "", func(h *host) error {
		for _, c := range h.newestFirst() {
			if c.running() {
				held = append(held, c.ports()...)
			}
		}
		return nil
	})
	return held, err
}

// portHolder names what has one of the host's ports that a container wants: another that runs, or a process; "" when they are free.
func (h *host) portHolder(c *container) string {
	for _, wanted := range c.ports() {
		for _, other := range h.newestFirst() {
			if other != c && other.running() && slices.ContainsFunc(other.ports(), wanted.Clashes) {
				return "container " + other.name
			}
		}
		if slices.ContainsFunc(h.listening, wanted.Clashes) {
			return "a process on the host"
		}
	}
	return ""
}

// ports reads what the container publishes: [address:]host port:container port[/protocol].
func (c *container) ports() (ports []state.Port) {
	for _, publish := range c.spec.Options["publish"] {
		text, protocol, _ := strings.Cut(publish, "/")
		front, _, given := cutLast(text)
		address, number, addressed := cutLast(front)
		if !addressed {
			address, number = "", front
		}
		port, err := strconv.Atoi(number)
		if !given || err != nil {
			continue // one of its own choice
		}
		at, _ := netip.ParseAddr(strings.Trim(address, "[]"))
		ports = append(ports, state.Port{Address: at, Number: port, Protocol: cmp.Or(protocol, "tcp"), Container: c.id, Name: c.name})
	}
	return ports
}

func cutLast(text string) (before, after string, found bool) {
	i := strings.LastIndex(text, ":")
	if i < 0 {
		return "", text, false
	}
	return text[:i], text[i+1:], true
}

// sockets is the kernel's table of sockets at /proc/net/tcp or tcp6, udp or udp6: what processes and the engine's own for published
// ports listen at, and one connection that is no listener.
func (h *host) sockets(table string) []byte {
	protocol, six := strings.CutSuffix(table, "6")
	var text strings.Builder
	text.WriteString("  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n")
	line := func(address netip.Addr, port int, state string) {
		fmt.Fprintf(&text, "%4d: %s:%04X 00000000:0000 %s 00000000:00000000 00:00000000 00000000     0        0 12345 1\n",
			strings.Count(text.String(), "\n")-1, kernelAddress(address), port, state)
	}
	listen := func(p state.Port, both bool) {
		address := p.Address
		switch {
		case address.IsValid():
		case six:
			address = netip.IPv6Unspecified()
		case both:
			address = netip.IPv4Unspecified()
		default:
			return
		}
		if p.Protocol == protocol && address.Is6() == six {
			line(address, p.Number, map[string]string{"tcp": "0A", "udp": "07"}[protocol])
		}
	}
	for _, p := range h.listening {
		listen(p, false)
	}
	for _, c := range h.newestFirst() {
		for _, p := range c.ports() {
			if c.running() {
				listen(p, true)
			}
		}
	}
	if protocol == "tcp" && !six {
		line(netip.MustParseAddr("10.0.0.5"), 80, "01") // somebody's connection, from this port by chance
	}
	return []byte(text.String())
}

// kernelAddress writes an address as the kernel does: words of four bytes, each as a number of a machine whose least byte comes first.
func kernelAddress(address netip.Addr) string {
	var text strings.Builder
	for word := range slices.Chunk(address.AsSlice(), 4) {
		fmt.Fprintf(&text, "%02X%02X%02X%02X", word[3], word[2], word[1], word[0])
	}
	return text.String()
}

// SetEngine changes what a host's engine says of itself, which is that of a current one for Linux.
func (w *World) SetEngine(hostName string, change func(*state.Engine)) {
	w.at(hostName, func(h *host) { h.says = change })
}
