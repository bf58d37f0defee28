package plan

import (
	"slices"
	"strings"
)

// checkEnvirons finds roles that ask a host for variables that it does not set: a container would get an empty text in silence.
func (b *builder) checkEnvirons() {
	for _, s := range b.slots {
		b.checkEnviron(s)
	}
}

func (b *builder) checkEnviron(s *slot) {
	if s.host.Environ != nil { // else it is a look of before, which did not ask
		if names := b.missing(s); len(names) > 0 {
			b.problem(s.on.Name, s.role.Name, "host_env: the SSH user's environment there has no "+strings.Join(names, ", "),
				"set it there, for example in /etc/environment, or give the variable another value in the file")
		}
	}
}

func (b *builder) missing(s *slot) []string {
	var names []string
	for _, text := range b.in.Desired.EnvOn(s.role, s.on).FromHost {
		_, missing := text.On(s.host.Environ)
		names = append(names, missing...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}
