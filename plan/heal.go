package plan

import (
	"slices"
	"strings"
)

// withoutSecrets leaves out secrets that were pushed since a container was made: the next release rolls them out, healing never does.
func withoutSecrets(fields []Field) []Field {
	return slices.DeleteFunc(fields, func(f Field) bool { return strings.HasPrefix(f.Path, "secret ") })
}

// minded leaves out drift that the file says is nobody's business.
func (s *slot) minded(fields []Field) []Field {
	return slices.DeleteFunc(fields, func(f Field) bool { return s.keeps.Ignores(s.role.Name, f.Path) })
}

// Places are the roles on hosts, as host/role, in which something starts serving or is put right, in the plan's order; a part of a host
// that is of no role (its proxy, its tag) is "host/".
func (p Plan) Places() []string {
	var places []string
	for _, s := range p.Steps {
		at := s.Host + "/" + s.Role
		if s.Host != "" && s.Kind != StepGate && !slices.Contains(places, at) {
			places = append(places, at)
		}
	}
	return places
}

// Boots are the places in which the plan makes or starts a container.
func (p Plan) Boots() []string {
	var places []string
	for _, s := range p.Steps {
		at := s.Host + "/" + s.Role
		if (s.Kind == StepCreate || s.Kind == StepStart) && !slices.Contains(places, at) {
			places = append(places, at)
		}
	}
	return places
}
