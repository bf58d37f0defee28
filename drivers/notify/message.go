// Package notify tells people, and other programs, of what became of an app: by a webhook, in Slack and by mail. What is to be told goes
// into an outbox, which never keeps its caller waiting.
package notify

import (
	"context"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/kamald/kamald/state"
)

// Message is one change that somebody wants to know of.
type Message struct {
	ID          string    `json:"id"`   // the same for the same change: it is told once
	Kind        string    `json:"kind"` // what `on` chooses by: drifted, healed, released, failed, waiting, held, not-converging, unreachable, …
	Service     string    `json:"service"`
	Destination string    `json:"destination,omitempty"`
	At          time.Time `json:"at"`
	Summary     string    `json:"summary"` // one line
	Details     []string  `json:"details,omitempty"`
	Version     string    `json:"version,omitempty"`
	Release     int       `json:"release,omitempty"`
	Over        bool      `json:"over,omitempty"` // what was told before has ended
	// Lost is how many messages before this one did not get through to this receiver. The outbox sets it.
	Lost int `json:"lost,omitempty"`
}

// Sender brings a message to one receiver. It is called again with the same message after an error, unless that is Permanent of
// backoff; a RetryAfterError of backoff says when. No error has an address, a password or a key in it.
type Sender interface {
	Send(ctx context.Context, m Message) error
}

// title is the message in one line.
func (m Message) title() string {
	over := ""
	if m.Over {
		over = "over: "
	}
	app := state.App{Service: m.Service, Destination: m.Destination}
	return line(fmt.Sprintf("%s: %s%s", app, over, m.Summary))
}

// lines are what stands below the title.
func (m Message) lines() []string {
	var lines []string
	for _, detail := range m.Details {
		lines = append(lines, line(detail))
	}
	about := "kind " + line(m.Kind)
	if m.Version != "" {
		about += ", version " + line(m.Version)
	}
	if m.Release > 0 {
		about += fmt.Sprintf(", release %d", m.Release)
	}
	lines = append(lines, about+", "+m.At.UTC().Format(time.RFC3339))
	if m.Lost > 0 {
		lines = append(lines, fmt.Sprintf("Messages before this one that did not get through: %d.", m.Lost))
	}
	return lines
}

// line is a text on one line; what would disturb its reader is quoted. Texts come from servers, too.
func line(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) }) {
		return fmt.Sprintf("%q", text)
	}
	return text
}

// most cuts a text after so many characters.
func most(text string, n int) string {
	if runes := []rune(text); len(runes) > n {
		return string(runes[:n-1]) + "…"
	}
	return text
}
