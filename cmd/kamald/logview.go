package main

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"io"
	"strings"
	"time"

	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// logStamp is the form of a line's time: of one length, so that they stand below each other.
const logStamp = "2006-01-02T15:04:05.000Z"

// prefixColors tell hosts and roles apart; red and yellow say something else here.
var prefixColors = []string{"36", "32", "35", "34", "96", "92", "95", "94"}

// logView shows lines of logs: with a prefix that says whose each is, or as JSON.
type logView struct {
	p       *program
	out     io.Writer
	app     state.App
	stamps  bool
	width   int              // of the longest prefix
	seen    map[string]logID // host/role → the containers that were met
	missing bool
}

// logID are the containers of one place, by their IDs, and how often each version is among them.
type logID map[string]string

// newLogView knows the places whose logs are shown, so that the lines stand below each other from the first on.
func newLogView(p *program, out io.Writer, desired release.Release, o reconcile.LogOptions, stamps bool) *logView {
	v := &logView{p: p, out: out, app: desired.App(), stamps: stamps, seen: map[string]logID{}}
	places, err := o.Places(desired)
	if err != nil {
		return v // whoever reads them says it
	}
	for _, place := range places {
		v.width = max(v.width, len(prefix(place.Host, place.Role)))
	}
	return v
}

// line shows one.
func (v *logView) line(l reconcile.LogLine) {
	if v.p.flags.json {
		v.write(struct {
			Schema int `json:"schema"`
			reconcile.LogLine
			App state.App `json:"app"`
		}{schema, l, v.app})
		return
	}
	stamp := ""
	if v.stamps && !l.At.IsZero() {
		stamp = v.p.out.in(faint, l.At.UTC().Format(logStamp)) + " "
	}
	if v.p.out.file == nil {
		v.print("%s%s | %s\n", stamp, v.padded(l), l.Text)
		return
	}
	whose := harmless(v.padded(l)) // a label may have given it
	v.print("%s%s %s\n", stamp, v.p.out.in(colorOf(l.Host+" "+l.Role), whose+" |"), harmless(l.Text))
}

func (v *logView) print(format string, args ...any) {
	_, _ = fmt.Fprintf(v.out, format, args...) // whoever reads it may leave
}

// padded is the prefix of a line: host and role, and where several containers of the role have been met the version, or what else tells
// them apart.
func (v *logView) padded(l reconcile.LogLine) string {
	place := l.Host + "/" + l.Role
	met := v.seen[place]
	if met == nil {
		met = logID{}
		v.seen[place] = met
	}
	met[l.ID] = l.Version
	words := []string{l.Host, l.Role}
	if len(met) > 1 {
		same := 0
		for _, version := range met {
			if version == l.Version {
				same++
			}
		}
		words = append(words, l.Version)
		if same > 1 || l.Version == "" {
			words = append(words, l.ID)
		}
	}
	text := prefix(words...)
	v.width = max(v.width, len(text))
	return text + strings.Repeat(" ", v.width-len(text))
}

func prefix(words ...string) string {
	text := ""
	for _, word := range words {
		if word != "" && text != "" {
			text += " "
		}
		text += word
	}
	return text
}

// colorOf gives a place the same colour in every run.
func colorOf(place string) string {
	hash := fnv.New32a()
	_, _ = hash.Write([]byte(place)) // it never fails
	return prefixColors[hash.Sum32()%uint32(len(prefixColors))]
}

// note shows what is said beside the lines.
func (v *logView) note(n reconcile.LogNote) {
	v.missing = v.missing || n.Missing
	if v.p.flags.json {
		v.write(struct {
			Schema int       `json:"schema"`
			At     time.Time `json:"at"`
			reconcile.LogNote
			App state.App `json:"app"`
		}{schema, time.Now().UTC(), n, v.app})
		return
	}
	text := n.Message
	if whose := prefix(n.Host, n.Role); whose != "" {
		text = whose + ": " + text
	}
	if n.Missing {
		v.p.warn("%s", text)
		return
	}
	v.p.note("%s", v.p.err.in(faint, text))
}

// write writes an object on a line of its own.
func (v *logView) write(object any) {
	encoder := json.NewEncoder(v.out)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(object) // whoever reads it may leave
}
