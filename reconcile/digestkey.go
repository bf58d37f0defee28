package reconcile

import (
	"crypto/rand"

	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// digestKey makes digests of secrets on one host. Where the host has no key yet, as after Kamal, one look can tell all the same
// which values are alike: it makes digests with a key of its own, which nobody keeps, and gives marks in their place.
type digestKey struct {
	key   []byte
	marks map[string]map[string]int // variable → digest → mark; nil: the key lies on the host
}

// passingKey is for a host that has none.
func passingKey() digestKey {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // it never fails
	return digestKey{key: key, marks: map[string]map[string]int{}}
}

// mark learns a digest of a variable and gives what stands for it: the same for the same value.
func (k digestKey) mark(name, digest string) string {
	if k.marks == nil || digest == "" {
		return digest
	}
	if k.marks[name] == nil {
		k.marks[name] = map[string]int{}
	}
	if k.marks[name][digest] == 0 {
		k.marks[name][digest] = len(k.marks[name]) + 1
	}
	return state.Alike(k.marks[name][digest])
}

// of is the digest of a value that is at hand here, or its mark; a value that was not met on the host has the mark 0.
func (k digestKey) of(name string, value release.Secret) string {
	if len(k.key) == 0 {
		return ""
	}
	digest := state.SecretDigest(k.key, value.Reveal())
	if k.marks == nil {
		return digest
	}
	return state.Alike(k.marks[name][digest])
}

// markAll puts marks into what was seen, in an order that does not depend on values.
func (k digestKey) markAll(host *state.Host) {
	if k.marks == nil {
		return
	}
	for i, file := range host.EnvFiles {
		if _, files := state.FilesOf(file.Role); files {
			continue // most of them have no secret in them, and unknownContent says so of the others
		}
		k.markEach(host.EnvFiles[i].Digests)
	}
	for i := range host.Containers {
		k.markEach(host.Containers[i].Live.Secrets)
	}
}

func (k digestKey) markEach(digests map[string]string) {
	for name, digest := range digests {
		digests[name] = k.mark(name, digest)
	}
}
