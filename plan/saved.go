package plan

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// SavedSchema is the version of a saved plan's JSON.
const SavedSchema = 1

// savedFormat marks the JSON as a saved plan.
const savedFormat = "kamald saved plan"

// Saved is a plan in a file, with all that it takes to carry out exactly that plan, once, or to say what has moved since. Values
// of secrets are not in it.
type Saved struct {
	Schema int    `json:"schema"`
	Format string `json:"format"`
	Kamald string `json:"kamald"` // the version that made it
	Digest string `json:"digest"` // of all the rest, "sha256:" before it

	Nonce string    `json:"nonce"` // sorts by time
	Who   string    `json:"who"`
	Where string    `json:"where"`
	At    time.Time `json:"at"`
	App   state.App `json:"app"`

	Release release.Release `json:"release"`
	Held    int             `json:"held,omitempty"` // number of the newest release that had succeeded
	Seen    []state.Host    `json:"seen"`           // what was observed, as far as the plan depends on it
	// Secrets are the keyed digests of those at hand: host → role → variable.
	Secrets map[string]map[string]map[string]string `json:"secrets,omitempty"`

	Plan Plan `json:"plan"`
}

// Save puts a plan together with what it was made from. The caller fills in who, where, when, the nonce and its own version.
func Save(p Plan, desired release.Release, observed state.Snapshot) Saved {
	p.PlannedAt = p.PlannedAt.UTC().Round(0)
	saved := Saved{Schema: SavedSchema, Format: savedFormat, App: p.App, Release: desired, Seen: []state.Host{}, Plan: p}
	for _, host := range observed.Hosts {
		if _, decided := p.Observed[host.Name]; decided {
			saved.Seen = append(saved.Seen, kept(desired, host))
		}
	}
	return saved
}

// Encode gives the file's content. What it gives can be parsed: it is tried.
func (s Saved) Encode() ([]byte, error) {
	digest, err := s.digest()
	if err != nil {
		return nil, err
	}
	s.Digest = digest
	data, err := json.MarshalIndent(s, "", " ")
	if err != nil {
		return nil, fmt.Errorf("the plan cannot be saved: %w", err)
	}
	if _, err := ParseSaved(data, s.Kamald); err != nil {
		return nil, fmt.Errorf("the plan cannot be saved: it would not be read back: %w", err)
	}
	return append(data, '\n'), nil
}

// digest is over the canonical JSON of everything but the digest itself.
func (s Saved) digest() (string, error) {
	s.Digest = ""
	data, err := json.Marshal(s)
	if err != nil {
		return "", fmt.Errorf("the plan cannot be saved: %w", err)
	}
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:]), nil
}

// ParseSaved reads a saved plan for a version of kamald; what is wrong with it is the error.
func ParseSaved(data []byte, kamald string) (Saved, error) {
	var head struct {
		Schema         int
		Format, Kamald string
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return Saved{}, notAPlan(data, err)
	}
	switch {
	case head.Format != savedFormat:
		return Saved{}, errors.New("it is JSON and no saved plan of kamald's: `kamald plan -o FILE` writes those")
	case head.Schema != SavedSchema:
		return Saved{}, fmt.Errorf("it was written by kamald %s in the form %d, and this kamald %s reads the form %d: use that kamald, or plan again with this one",
			head.Kamald, head.Schema, kamald, SavedSchema)
	case head.Kamald != kamald:
		return Saved{}, fmt.Errorf("it was made by kamald %s, and this is kamald %s, whose steps may mean something else: use that kamald, or plan again with this one", head.Kamald, kamald)
	}
	var s Saved
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&s); err != nil {
		return Saved{}, fmt.Errorf("it was changed after kamald wrote it: %w; plan again", err)
	}
	return s, s.verify()
}

func notAPlan(data []byte, err error) error {
	var syntax *json.SyntaxError
	switch {
	case len(bytes.TrimSpace(data)) == 0:
		return errors.New("it is empty; `kamald plan -o FILE` writes a plan")
	case errors.As(err, &syntax) && syntax.Offset >= int64(len(bytes.TrimRight(data, " \n"))):
		return fmt.Errorf("it was cut off after %d bytes: plan again", len(data))
	case errors.As(err, &syntax):
		return fmt.Errorf("it is no saved plan of kamald's: %w at byte %d; `kamald plan -o FILE` writes those", err, syntax.Offset)
	}
	return fmt.Errorf("it is no saved plan of kamald's: %w; `kamald plan -o FILE` writes those", err)
}

// verify holds the parts to each other: a plan is carried out only with what it was made from.
func (s Saved) verify() error {
	changed := func(what string) error {
		return fmt.Errorf("it was changed after kamald wrote it: %s; plan again", what)
	}
	digest, err := s.digest()
	switch {
	case err != nil:
		return err
	case digest != s.Digest:
		return changed("its digest does not fit")
	case s.Plan.Schema != Schema:
		return fmt.Errorf("the plan in it has the form %d, and this kamald knows the form %d: plan again with this one", s.Plan.Schema, Schema)
	case s.Nonce == "" || s.App != s.Plan.App || s.App != s.Release.App():
		return changed("its parts are of different apps or runs")
	case release.Digest(s.Release) != s.Plan.Desired:
		return changed("the release in it is not the one that was planned")
	case len(s.Seen) != len(s.Plan.Observed):
		return changed("not every host's observation is in it")
	}
	for _, host := range s.Seen {
		if Projection(Scope(s.Release, host)) != s.Plan.Observed[host.Name] {
			return changed("the observation of " + host.Name + " is not the one that was planned from")
		}
	}
	return nil
}

// IsSaved tells whether the data is a saved plan, of whatever version.
func IsSaved(data []byte) bool {
	var head struct{ Format string }
	return json.Unmarshal(data, &head) == nil && head.Format == savedFormat
}
