package release

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
)

// Digest identifies what a release says: the SHA-256 of its canonical JSON in hex, "sha256:" before it. Where things stand in
// the file, what this build does not do, where runs are logged, where secrets are looked up and how the version was chosen are left
// out: they change nothing on a server, and which secrets files there are differs between machines.
func Digest(r Release) string {
	r.Unbuilt, r.Leaving, r.Output, r.SecretFiles, r.SecretFetches, r.VersionPolicy = nil, nil, Output{}, nil, nil, nil
	data, err := json.Marshal(r) // maps are sorted by encoding/json
	if err != nil {
		panic(fmt.Sprintf("release: a release always encodes: %v", err))
	}
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:])
}
