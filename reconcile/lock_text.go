package reconcile

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/kamald/kamald/state"
)

// parseLock reads the base64 text; what is not of the form is a lock all the same, by somebody unknown.
func parseLock(data []byte) state.Lock {
	text, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(data)))
	if err != nil {
		return state.Lock{Message: "its details cannot be read"}
	}
	var lock state.Lock
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		switch name {
		case "Locked by":
			who, at, _ := cutLast(value, " at ")
			lock.Owner = who
			lock.Taken, _ = time.Parse(time.RFC3339, at)
		case "Version":
			lock.Version = value
		case "Message":
			lock.Message = value
		case "Owner":
			lock.Owner = value
		case "Reason":
			lock.Reason = value
		case "Fence":
			lock.Fence, _ = strconv.Atoi(value)
		case "Lease":
			lock.Lease, _ = time.ParseDuration(value)
		case "Nonce":
			lock.Nonce = value
		}
	}
	return lock
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// encodeLock writes the text. The nonce tells two locks of one process apart.
func encodeLock(l state.Lock, who, nonce string) []byte {
	text := fmt.Sprintf("Locked by: %s at %s\nVersion: %s\nMessage: %s\nOwner: %s\nReason: %s\nFence: %d\nLease: %s\nNonce: %s\n",
		who, l.Taken.UTC().Format(time.RFC3339), l.Version, l.Message, l.Owner, l.Reason, l.Fence, l.Lease, nonce)
	return []byte(base64.StdEncoding.EncodeToString([]byte(text)) + "\n")
}

// encodeManual writes the text of a lock that a person takes: Kamal's three lines, so that Kamal shows and respects it, and no
// lease.
func encodeManual(l state.Lock, who, nonce string) []byte {
	text := fmt.Sprintf("Locked by: %s at %s\nVersion: %s\nMessage: %s\nOwner: %s\nNonce: %s\n",
		who, l.Taken.UTC().Format(time.RFC3339), l.Version, l.Message, l.Owner, nonce)
	return []byte(base64.StdEncoding.EncodeToString([]byte(text)) + "\n")
}
