package lab

import (
	"crypto/rand"
	"fmt"
)

// Password is a secret that no formatting prints. Use Reveal where the value itself is needed.
type Password struct{ value string }

// Reveal returns the value.
func (p Password) Reveal() string { return p.value }

// String hides the value.
func (p Password) String() string { return "(secret)" }

// Format hides the value from every verb, %#v included.
func (p Password) Format(f fmt.State, _ rune) { fmt.Fprint(f, "(secret)") }

// MarshalText hides the value from encoders.
func (p Password) MarshalText() ([]byte, error) { return []byte("(secret)"), nil }

func newPassword() Password { return Password{value: rand.Text()} }
