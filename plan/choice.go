package plan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// Tags are the tags of the release's repository as far as they are known.
type Tags struct {
	List []string
	From string // where they are listed: "at the registry", "on this machine"
	// Unasked says why they are not known; "" when they are.
	Unasked string
}

// Choice is the version that a policy chose, and why that one.
type Choice struct {
	Policy  string `json:"policy"`
	Version string `json:"version,omitempty"` // "": none that fits is there yet
	Tags    int    `json:"tags"`              // how many there are
	Fitting int    `json:"fitting"`           // how many of them fit
	From    string `json:"from,omitempty"`    // where they are listed
	// Unasked says why the tags are not known: what is held stays.
	Unasked string `json:"unasked,omitempty"`
	// Kept says why what is held stays though no tag that fits is it; "" when the newest one was chosen.
	Kept string `json:"kept,omitempty"`
	// Quarantined are the newer ones that fit, the newest first: their last release failed by their own fault.
	Quarantined []Quarantined `json:"quarantined,omitempty"`
}

// Quarantined is a version that a policy does not choose again, and the release in which it failed.
type Quarantined struct {
	Version string `json:"version"`
	Release int    `json:"release"`
}

// Choose gives the newest tag that fits a policy and is not quarantined. What is held ("" for nothing) is never left for an older
// one, nor for another name of the same version: only where it does not fit the policy does another follow it. The records are the
// newest first. The error is for a policy that does not read.
func Choose(policy release.VersionPolicy, tags Tags, held string, records []state.Record) (Choice, error) {
	order, err := policy.Order()
	if err != nil {
		return Choice{}, fmt.Errorf("version_policy %s: %w", policy, err)
	}
	choice := Choice{Policy: policy.String(), Tags: len(tags.List), From: tags.From, Unasked: tags.Unasked}
	if tags.Unasked != "" {
		choice.Version = held
		return choice, nil
	}
	failed := Quarantine(records)
	delete(failed, held) // it runs
	var fitting, out []string
	for _, tag := range tags.List {
		if !order.Fits(tag) {
			continue
		}
		fitting = append(fitting, tag)
		if _, quarantined := failed[tag]; quarantined {
			out = append(out, tag)
		} else if choice.Version == "" || newer(order, tag, choice.Version) {
			choice.Version = tag
		}
	}
	choice.Fitting = len(fitting)
	choice.keep(order, held, slices.Contains(tags.List, held))
	slices.SortFunc(out, func(a, b string) int {
		if newer(order, a, b) {
			return -1
		}
		return 1
	})
	for _, tag := range out {
		if choice.Version == "" || !order.Fits(choice.Version) || newer(order, tag, choice.Version) {
			choice.Quarantined = append(choice.Quarantined, Quarantined{Version: tag, Release: failed[tag]})
		}
	}
	return choice, nil
}

// keep stays with what is held where nothing newer was chosen.
func (c *Choice) keep(order release.TagOrder, held string, listed bool) {
	switch {
	case held == "":
	case c.Version == "":
		c.Version, c.Kept = held, "no tag fits"
		if c.Fitting > 0 {
			c.Kept = "every tag that fits is quarantined"
		}
	case order.Fits(held) && order.Compare(c.Version, held) <= 0:
		if order.Compare(c.Version, held) < 0 && !listed {
			c.Kept = "it is newer than every tag that fits"
		}
		c.Version = held
	}
}

// newer puts tags in one order, whichever of them come first: of two names of the same version the one that sorts first counts as
// the newer, which is the one without a v.
func newer(order release.TagOrder, a, b string) bool {
	if c := order.Compare(a, b); c != 0 {
		return c > 0
	}
	return a < b
}

// Quarantine gives the versions whose last release failed by their own fault, with that release's number. Releases that were
// cancelled, or failed by the servers' fault, say nothing of a version; nor does a change of its configuration. The records are
// the newest first.
func Quarantine(records []state.Record) map[string]int {
	failed, known := map[string]int{}, map[string]bool{}
	for _, r := range records {
		if known[r.Version] || r.Kind == string(KindConfig) {
			continue
		}
		switch r.Outcome {
		case state.OutcomeSucceeded, state.OutcomePartial:
			known[r.Version] = true
		case state.OutcomeFailed:
			if r.OwnFault {
				known[r.Version], failed[r.Version] = true, r.Number
			}
		}
	}
	return failed
}

// String says what was chosen, in a line.
func (c Choice) String() string {
	switch {
	case c.Unasked != "":
		return fmt.Sprintf("version %s stays, for the newest that fits %s is not known: %s", c.Version, c.Policy, c.Unasked)
	case c.Version == "":
		return fmt.Sprintf("no version: %s", c.none())
	case c.Kept != "":
		return fmt.Sprintf("version %s stays: %s (%s, %s %s)", c.Version, c.Kept, c.Policy, number(c.Tags, "tag"), c.From)
	}
	one, fit := "the newest", "fit"
	if len(c.Quarantined) > 0 {
		one += " that is not quarantined"
	}
	if c.Fitting == 1 {
		fit = "fits"
	}
	return fmt.Sprintf("version %s: %s of %s that %s %s (%d %s)", c.Version, one, number(c.Fitting, "tag"), fit, c.Policy, c.Tags, c.From)
}

// none says that there is nothing to choose.
func (c Choice) none() string {
	if c.Fitting > 0 {
		return fmt.Sprintf("every tag that fits %s is quarantined", c.Policy)
	}
	return fmt.Sprintf("none of %s %s fits %s", number(c.Tags, "tag"), c.From, c.Policy)
}

// Notes says of each newer version why it was not chosen.
func (c Choice) Notes() []string {
	var notes []string
	for _, q := range c.Quarantined {
		note := fmt.Sprintf("%s failed in release %d and is quarantined: `kamald apply --version %s` tries it again", q.Version, q.Release, q.Version)
		notes = append(notes, note)
	}
	return notes
}

func (t *texter) choice(c *Choice) {
	if c == nil || c.Version == "" { // what is waited for says it
		return
	}
	t.line("%s", Printable(c.String()))
	for _, note := range c.Notes() {
		t.line("  %s", Printable(note))
	}
}

func markdownChoice(b *strings.Builder, c *Choice) {
	if c == nil || c.Version == "" {
		return
	}
	fmt.Fprintf(b, "\n%s\n", EscapeMarkdown(c.String()))
	for i, note := range c.Notes() {
		if i == 0 {
			b.WriteString("\n")
		}
		fmt.Fprintf(b, "- %s\n", EscapeMarkdown(note))
	}
}
