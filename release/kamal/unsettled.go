package kamal

import (
	"fmt"
	"strings"
)

// unsettled is the error of a source that no valid file comes of.
type unsettled struct {
	path      string
	obstacles []obstacle
}

// obstacle is one thing in the way of a valid file, and where it stands in the source; line 0: of no one line.
type obstacle struct {
	origin
	what string
}

func (u *unsettled) Error() string {
	var lines []string
	for _, o := range u.obstacles {
		lines = append(lines, o.String())
	}
	return fmt.Sprintf("no valid deploy.hcl comes of %s:\n  %s\n  next: mend this in Kamal's file, and import it again", u.path, strings.Join(lines, "\n  "))
}

func (o obstacle) String() string {
	if o.line == 0 {
		return o.file + ": " + o.what
	}
	return fmt.Sprintf("%s:%d: %s", o.file, o.line, o.what)
}

// of is the first obstacle that stands in a file, else the first.
func (u *unsettled) of(file string) obstacle {
	for _, o := range u.obstacles {
		if o.file == file {
			return o
		}
	}
	return u.obstacles[0]
}
