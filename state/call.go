package state

// What the drivers are asked with, and answer with, beside the observed world itself.

// Filter selects containers by labels; a label with an empty value selects those that have it with no value.
type Filter struct {
	Labels map[string]string
	Name   string // exact name instead of labels
}

// View is what an inspecting driver needs so that no secret's value comes in: variables whose names are in Clear, or are
// clear in the container's own spec label, keep their values; all others become a digest keyed with Key.
type View struct {
	Key   []byte // nil: digests are ""
	Clear map[string]bool
	// Options are those that the release asks for, canonical: a container that bears no spec is read in their words, so that a
	// value which is the engine's own default too counts as asked for.
	Options map[string][]string
}

// ExecResult is how a command in a container ended. Output is capped at 1 MiB each.
type ExecResult struct {
	Code   int
	Stdout string
	Stderr string
}

// HTTPResult is an answer to a probe.
type HTTPResult struct {
	Status   int
	Location string // of a redirect
	Body     string // its start, at most 512 bytes
}
