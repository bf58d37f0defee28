package plan

import (
	"encoding/binary"
	"slices"
	"sync"
)

// fingerprint writes values one behind the other so that different ones never make the same text: every string and every
// collection has its length before it. A fleet's observation is digested with each plan, so this is done by hand and not by
// reflection; a test changes every field of an observation and wants another digest.
type fingerprint struct {
	text []byte
	keys []string
}

var fingerprints = sync.Pool{New: func() any { return &fingerprint{text: make([]byte, 0, 16<<10)} }}

func newFingerprint() *fingerprint {
	f := fingerprints.Get().(*fingerprint)
	f.text = f.text[:0]
	return f
}

// done gives the memory back.
func (f *fingerprint) done() {
	clear(f.keys[:cap(f.keys)]) // keeps no string of an observation alive
	fingerprints.Put(f)
}

func (f *fingerprint) count(n int) { f.text = binary.AppendUvarint(f.text, uint64(n)) }

func (f *fingerprint) word(s string) {
	f.count(len(s))
	f.text = append(f.text, s...)
}

func (f *fingerprint) words(list ...string) {
	for _, s := range list {
		f.word(s)
	}
}

func (f *fingerprint) list(list []string) {
	f.count(len(list))
	f.words(list...)
}

func (f *fingerprint) numbers(list ...int64) {
	for _, n := range list {
		f.text = binary.AppendVarint(f.text, n)
	}
}

func (f *fingerprint) flags(list ...bool) {
	for _, set := range list {
		bit := byte(0)
		if set {
			bit = 1
		}
		f.text = append(f.text, bit)
	}
}

// pairs writes a map in the order of its keys.
func (f *fingerprint) pairs(m map[string]string) {
	f.count(len(m))
	for _, key := range sortKeys(f, m) {
		f.words(key, m[key])
	}
}

// names writes a map's keys.
func (f *fingerprint) names(m map[string]string) { f.list(sortKeys(f, m)) }

func (f *fingerprint) lists(m map[string][]string) {
	f.count(len(m))
	for _, key := range sortKeys(f, m) {
		f.word(key)
		f.list(m[key])
	}
}

// sortKeys gives the keys in memory that the next call uses again.
func sortKeys[V any](f *fingerprint, m map[string]V) []string {
	f.keys = f.keys[:0]
	for key := range m {
		f.keys = append(f.keys, key)
	}
	slices.Sort(f.keys)
	return f.keys
}
