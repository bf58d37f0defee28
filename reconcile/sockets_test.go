package reconcile

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/kamald/kamald/state"
)

func TestWhereProcessesListenIsReadFromTheKernelsTable(t *testing.T) {
	four := `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 41817 1 0000000000000000 100 0 0 10 0
   1: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 41818 1 0000000000000000 100 0 0 10 0
   2: 0500000A:0050 0600000A:D431 01 00000000:00000000 02:000A7214 00000000     0        0 50001 2 0000000000000000 20 4 30 10 -1
   3: nonsense
   4: 0500000A:XYZW 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 41817 1
`
	six := `  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000000000000000000000000000:0016 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 20001 1
   1: B80D0120000000000000000001000000:01BB 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 20002 1
   2: 0000000000000000FFFF00000100007F:0019 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 20003 1
`
	tcp := func(address string, number int) state.Port {
		at, _ := netip.ParseAddr(address)
		return state.Port{Address: at, Number: number, Protocol: "tcp"}
	}
	for name, c := range map[string]struct {
		protocol, table string
		want            []state.Port
	}{
		"IPv4":  {"tcp", four, []state.Port{tcp("0.0.0.0", 80), tcp("127.0.0.1", 8080)}},
		"IPv6":  {"tcp", six, []state.Port{tcp("", 22), tcp("2001:db8::1", 443), tcp("127.0.0.1", 25)}},
		"none":  {"tcp", "", nil},
		"UDP":   {"udp", "  sl\n   7: 00000000:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000 0 0 1 2\n", []state.Port{{Address: netip.IPv4Unspecified(), Number: 53, Protocol: "udp"}}},
		"other": {"sctp", four, nil},
	} {
		if got := parseSockets(c.protocol, []byte(c.table)); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func FuzzSockets(f *testing.F) {
	f.Add([]byte("   0: 00000000:0050 00000000:0000 0A 0\n"))
	f.Fuzz(func(t *testing.T, table []byte) {
		for _, port := range parseSockets("tcp", table) {
			if port.Number < 0 || port.Number > 65535 {
				t.Errorf("%v", port)
			}
		}
	})
}
