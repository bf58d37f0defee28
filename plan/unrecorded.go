package plan

import (
	"fmt"
	"strings"
)

// Unrecorded is an app that runs as it should, and that no record of kamald's knows: Kamal deployed it, or somebody's hands.
type Unrecorded struct {
	Hosts []string `json:"hosts"` // where it runs, in the file's order
	Image string   `json:"image"` // what the record of a release would pin: a digest, or an image's ID
}

// notRecorded says what the next release would be the first to record; nil when there is a record, or nothing runs.
func (b *builder) notRecorded() *Unrecorded {
	if b.in.Held != nil || len(b.in.Records) > 0 {
		return nil
	}
	found := Unrecorded{Image: b.in.Pin.Value()}
	for _, name := range b.observed {
		for _, s := range b.on[name] {
			if s.current != nil {
				found.Hosts = append(found.Hosts, name)
				break
			}
		}
	}
	if len(found.Hosts) == 0 {
		return nil
	}
	return &found
}

// unrecordedNote is what a reader is told of it, for a plan with nothing to do; "" otherwise.
func (p Plan) unrecordedNote() string {
	if p.Unrecorded == nil || !p.Empty() || p.Waits != "" {
		return ""
	}
	return fmt.Sprintf("Not recorded yet: %s runs on %s, and kamald has not released it. The next release records there its version (now %s), image (%s), whole configuration and the digests of its secrets; `kamald adopt` records what runs now, and restarts nothing.",
		p.App, strings.Join(p.Unrecorded.Hosts, ", "), p.Version, short(p.Unrecorded.Image))
}

// short is the beginning of a digest, as much as tells it apart.
func short(digest string) string {
	const enough = len("sha256:") + 12
	return digest[:min(len(digest), enough)]
}
