package state

import "time"

// LogQuery is what is asked of a container's log.
type LogQuery struct {
	Tail   int       // the last so many lines; 0: all
	Since  time.Time // by the engine's clock, that instant included; zero: from the first that is kept
	Follow bool      // what comes is told, too, until the container ends
}

// LogLine is a line that a container has written.
type LogLine struct {
	At     time.Time // when the engine took it; zero where it does not say
	Stderr bool
	Text   string // without its end; what is longer than LogLineLimit is cut
}

// LogLineLimit is how long a line may be, in bytes, and what stands behind one that was cut.
const (
	LogLineLimit = 256 << 10
	LogLineCut   = " [cut here]"
)
