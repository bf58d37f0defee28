package release

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
)

// Digest identifies what a release says: the SHA-256 of its canonical JSON in hex, "sha256:" before it. Where things stand in
// the file, and what this build does not do, are left out: moving a line changes nothing.
func Digest(r Release) string {
	r.Unbuilt, r.Leaving = nil, nil
	data, err := json.Marshal(r) // maps are sorted by encoding/json
	if err != nil {
		panic(fmt.Sprintf("release: a release always encodes: %v", err))
	}
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:])
}
