package state

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
)

// SecretDigest stands for a secret's value wherever one is compared: the first 32 hex digits of its HMAC-SHA256 with the app's
// digest key. Without a key it is "", which compares equal to everything.
func SecretDigest(key []byte, value string) string {
	if len(key) == 0 {
		return ""
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(value))
	return hex.EncodeToString(mac.Sum(nil)[:16])
}
