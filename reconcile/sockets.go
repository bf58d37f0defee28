package reconcile

import (
	"encoding/hex"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/kamald/kamald/state"
)

// listens are the states of a socket, as the kernel's tables have them, in which it takes what comes.
var listens = map[string]string{"tcp": "0A", "udp": "07"}

// parseSockets reads where processes listen out of the kernel's table of sockets (/proc/net/tcp, tcp6, udp, udp6). Lines that do not read
// are left out. One on all IPv6 addresses takes IPv4 with it, as it does unless its program says otherwise, which cannot be seen.
func parseSockets(protocol string, table []byte) []state.Port {
	var found []state.Port
	for line := range strings.Lines(string(table)) {
		fields := strings.Fields(line)
		if len(fields) < 4 || fields[3] != listens[protocol] {
			continue
		}
		address, number, _ := strings.Cut(fields[1], ":")
		at, ok := kernelAddress(address)
		port, err := strconv.ParseUint(number, 16, 16)
		if !ok || err != nil {
			continue
		}
		if at == netip.IPv6Unspecified() {
			at = netip.Addr{}
		}
		found = append(found, state.Port{Address: at, Number: int(port), Protocol: protocol})
	}
	return found
}

// kernelAddress reads an address in words of four bytes, the least byte of each first, as the kernel writes them on every processor
// that engines run on but s390x.
func kernelAddress(text string) (netip.Addr, bool) {
	raw, err := hex.DecodeString(text)
	if err != nil || len(raw) != 4 && len(raw) != 16 {
		return netip.Addr{}, false
	}
	for word := range slices.Chunk(raw, 4) {
		slices.Reverse(word)
	}
	at, ok := netip.AddrFromSlice(raw)
	return at.Unmap(), ok
}
