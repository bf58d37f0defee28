package plan

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/kamald/kamald/state"
)

// secrets names every file of secrets that came, went or has other values.
func (m *mover) secrets() {
	for _, file := range m.before.EnvFiles {
		_, files := state.FilesOf(file.Role)
		if _, there := m.after.EnvFile(file.Role); !there && !files {
			m.note("the secrets file of %s was removed", file.Role)
		}
	}
	for _, file := range m.after.EnvFiles {
		if role, files := state.FilesOf(file.Role); files {
			m.contents(role, file)
			continue
		}
		before, there := m.before.EnvFile(file.Role)
		if !there {
			m.note("the secrets of %s were pushed", file.Role)
			continue
		}
		m.marks.compare(before.Digests, file.Digests)
		for _, name := range names(before.Digests, file.Digests) {
			was, had := before.Digests[name]
			now, has := file.Digests[name]
			switch {
			case had && !has:
				m.note("secret %s of %s was taken away", name, file.Role)
			case has && !had:
				m.note("secret %s of %s came", name, file.Role)
			case was != now && !m.marks.explain("secret "+name):
				m.note("secret %s of %s changed", name, file.Role)
			}
		}
	}
	m.moves = append(m.moves, m.marks.notes()...)
}

// contents names the files of an accessory that came, went or have another content.
func (m *mover) contents(role string, file state.EnvFile) {
	before, _ := m.before.EnvFile(file.Role)
	for _, to := range names(before.Digests, file.Digests) {
		if before.Digests[to] != file.Digests[to] {
			m.note("the file %s of %s is another", to, role)
		}
	}
	for _, to := range slices.Sorted(maps.Keys(file.Files)) {
		if was, there := before.Files[to]; there && was != file.Files[to] {
			m.note("%s of %s has other permissions, or another owner", to, role)
		}
	}
}

// marksMoved is what two looks at a host without a digest key say of its secrets: marks tell only which values are alike.
type marksMoved struct {
	keyed bool            // the host has its key since
	alike map[string]bool // variables whose values are alike in other places than they were
}

// compare takes what was seen in one place and what is seen there now.
func (m *marksMoved) compare(before, after map[string]string) {
	for name, was := range before {
		now := after[name]
		switch {
		case was == now || was == "" || now == "":
		case !state.ComparableSecrets(was, now):
			m.keyed = true
		case state.IsAlike(now):
			if m.alike == nil {
				m.alike = map[string]bool{}
			}
			m.alike[name] = true
		}
	}
}

// explain tells whether the notes say what there is to say of a field that differs.
func (m *marksMoved) explain(path string) bool {
	name, secret := strings.CutPrefix(path, "secret ")
	return secret && (m.keyed || m.alike[name])
}

func (m *marksMoved) notes() []string {
	var notes []string
	if m.keyed {
		notes = append(notes, "its digest key was made, so its secrets cannot be compared with those that were seen")
	}
	for _, name := range slices.Sorted(maps.Keys(m.alike)) {
		notes = append(notes, fmt.Sprintf("secret %s has another value in a file of secrets or in what runs; which one, only a digest key could tell", name))
	}
	return notes
}
