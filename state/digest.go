package state

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
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

// Alike stands for a secret's value where there is no key: values of one variable on one host that have the same mark were the
// same when they were looked at. It says nothing else about them.
func Alike(mark int) string { return fmt.Sprintf("~%d", mark) }

// SameSecret tells whether two digests can be of the same value: those that cannot be compared can.
func SameSecret(a, b string) bool { return a == b || !ComparableSecrets(a, b) }

// ComparableSecrets tells whether two digests say of their values that they are the same or not: both are made with a key, or both
// are marks of one look.
func ComparableSecrets(a, b string) bool {
	return a != "" && b != "" && IsAlike(a) == IsAlike(b)
}

// IsAlike tells whether a digest is a mark, made where there is no key.
func IsAlike(digest string) bool { return strings.HasPrefix(digest, "~") }
