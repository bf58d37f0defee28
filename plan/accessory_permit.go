package plan

import (
	"slices"
	"strconv"
	"strings"

	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// decidePermissions plans that files and directories of a container that stays have the permissions and owners again that they were
// given: that needs no other container.
func (s *beside) decidePermissions(w state.Container) {
	fields, paths := s.permissions(w)
	if fields = s.minded(fields); len(fields) == 0 || s.accessory.OnChange == release.OnChangeIgnore {
		return
	}
	s.permit = paths
	s.item(Update, Drift, DriftSpec, Safe, "it was changed on the host", towards(fields))
}

// permissions finds what lies on the host with other permissions, or another owner, than it was put there, and where. What the file has
// otherwise by now is a change, and no matter of these. A directory whose mode nobody says has that of whoever uses it.
func (s *beside) permissions(w state.Container) (fields []Field, paths []string) {
	lying, _ := s.host.EnvFile(state.FilesName(s.role.Name))
	for _, placed := range slices.Concat(s.accessory.Files, s.accessory.Directories) {
		is, there := lying.Files[placed.To]
		gone := placed.Content != nil && lying.Digests[placed.To] == "" // what lies there then is not the file
		if !there || gone || is.Mode == "" || s.asksOtherwise(w, placed) {
			continue
		}
		known := len(fields)
		if !Unmoded(placed) && !sameMode(placed.Mode, is.Mode) {
			fields = append(fields, Field{Path: "file " + placed.To + " mode", Before: placed.Mode, After: is.Mode})
		}
		if placed.Owner != "" && !sameOwner(placed.Owner, is.Owner) {
			fields = append(fields, Field{Path: "file " + placed.To + " owner", Before: placed.Owner, After: is.Owner})
		}
		if len(fields) > known {
			paths = append(paths, placed.To)
		}
	}
	return fields, paths
}

// asksOtherwise tells whether the container was made with other permissions or another owner than the file has.
func (s *beside) asksOtherwise(w state.Container, placed release.Placed) bool {
	if w.Asked == nil {
		return false
	}
	asked, there := w.Asked.Files[placed.To]
	return !there || asked.Mode != placed.Mode || asked.Owner != placed.Owner
}

// Unmoded tells whether nobody says the permissions of a directory: a container's user gives its own what it wants.
func Unmoded(placed release.Placed) bool {
	return placed.Content == nil && placed.Missing == "" && placed.Mode == release.DirectoryMode
}

// Permitted tells whether somebody says the permissions or the owner of what is put on a host.
func Permitted(placed release.Placed) bool { return !Unmoded(placed) || placed.Owner != "" }

// sameMode compares permissions in octal: a leading zero is nothing.
func sameMode(a, b string) bool {
	first, err := strconv.ParseUint(a, 8, 32)
	second, other := strconv.ParseUint(b, 8, 32)
	return err == nil && other == nil && first == second
}

// sameOwner compares an owner that was asked for, with or without a group, with the one that is there.
func sameOwner(asked, is string) bool {
	if !strings.Contains(asked, ":") {
		is, _, _ = strings.Cut(is, ":")
	}
	return asked == is
}
