package release

import (
	"fmt"
	"hash/crc32"
	"regexp"
	"slices"
	"strings"
)

// HostText is text with variables of the host's own environment in it: ${NAME} stands for one, $$ for a dollar.
type HostText string

// hostVariable is one of them in a HostText.
var hostVariable = regexp.MustCompile(`\$\$|\$\{([^}]*)\}`)

// Variables are the names that the text asks the host for, sorted.
func (t HostText) Variables() []string {
	var names []string
	for _, match := range hostVariable.FindAllStringSubmatch(string(t), -1) {
		if match[1] != "" {
			names = append(names, match[1])
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// On is the text on a host with an environment; missing are the variables that are not set there.
func (t HostText) On(environ map[string]string) (text string, missing []string) {
	text = hostVariable.ReplaceAllStringFunc(string(t), func(found string) string {
		if found == "$$" {
			return "$"
		}
		name := found[2 : len(found)-1]
		value, ok := environ[name]
		if !ok && !slices.Contains(missing, name) {
			missing = append(missing, name)
		}
		return value
	})
	return text, missing
}

// hostReference is a reference to a host's variable while expressions are evaluated. The sum finds out a name that a function has
// changed: lower("…") would ask for another variable.
var hostReference = regexp.MustCompile("\x01" + string(markHostEnv) + "\x02([^\x03]*):([0-9A-F]{8})\x03")

func hostPlaceholder(name string) string {
	return fmt.Sprintf("\x01%s\x02%s:%08X\x03", markHostEnv, name, crc32.ChecksumIEEE([]byte(name)))
}

// hostText makes a HostText of evaluated text; false when a reference in it was changed.
func hostText(s string) (HostText, bool) {
	s = strings.ReplaceAll(s, "$", "$$")
	whole := true
	s = hostReference.ReplaceAllStringFunc(s, func(found string) string {
		parts := hostReference.FindStringSubmatch(found)
		name, _ := markHostEnv.name(strings.TrimSuffix(found, ":"+parts[2]+"\x03"))
		whole = whole && hostPlaceholder(name) == found
		return "${" + name + "}"
	})
	return HostText(s), whole && strings.Contains(s, "${") && !strings.ContainsAny(s, "\x01\x02\x03")
}

// written is the text as an expression of the file.
func (t HostText) written() string {
	var pieces []Piece
	rest, from := string(t), 0
	literal := func(text string) {
		if text != "" {
			pieces = append(pieces, Piece{Text: strings.ReplaceAll(text, "$$", "$")})
		}
	}
	for _, at := range hostVariable.FindAllStringSubmatchIndex(rest, -1) {
		if at[2] < 0 {
			continue // $$
		}
		literal(rest[from:at[0]])
		pieces = append(pieces, Piece{"host_env(" + Quote(rest[at[2]:at[3]]) + ")", true})
		from = at[1]
	}
	literal(rest[from:])
	if len(pieces) == 1 {
		return pieces[0].Text
	}
	return Template(pieces)
}
