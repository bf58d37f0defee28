package release

import (
	"encoding/json"
	"fmt"
	"io"
)

// hidden is what every way of printing a secret gives.
const hidden = "(secret)"

// Secret is a secret's value. It prints as "(secret)" whatever prints it; only Reveal gives the value, at the place where it
// leaves for the engine, the registry or a 0600 file.
type Secret struct{ value string }

// NewSecret wraps a value.
func NewSecret(value string) Secret { return Secret{value} }

// Reveal gives the value. Never pass what it returns to anything that logs, stores or formats.
func (s Secret) Reveal() string { return s.value }

// Format implements fmt.Formatter: verbs that String does not answer, such as %d, would print the fields.
func (s Secret) Format(state fmt.State, _ rune) {
	_, _ = io.WriteString(state, hidden) // fmt reports what its writer does
}

// String implements fmt.Stringer.
func (s Secret) String() string { return hidden }

// GoString implements fmt.GoStringer, for %#v.
func (s Secret) GoString() string { return hidden }

// MarshalJSON implements json.Marshaler; zerolog's Interface goes through it too.
func (s Secret) MarshalJSON() ([]byte, error) { return json.Marshal(hidden) }

// MarshalText implements encoding.TextMarshaler.
func (s Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }
