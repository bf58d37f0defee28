package release

import (
	"maps"
	"slices"
	"strings"
)

// driftWord is a word of deploy.hcl for what a container can differ in.
type driftWord struct {
	// fields are its paths in a plan: all that it stands for when nothing follows. One that ends in a space is each that begins so.
	fields []string
	within map[string]driftWord // the words that may follow
	named  []string             // a name of the user's own may follow, after each of these
	names  func() []string      // the names that there are; nil: any
}

// driftWords are the words that a path of ignore can begin with, and after a role's name.
var driftWords = map[string]driftWord{
	"image": {fields: []string{"image", "image digest"}},
	"cmd":   {fields: []string{"cmd"}},
	"env": {fields: []string{"env ", "secret "}, named: []string{"env ", "secret "}, within: map[string]driftWord{
		"clear": {fields: []string{"env "}, named: []string{"env "}}, "secret": {fields: []string{"secret "}, named: []string{"secret "}},
	}},
	"labels":  {fields: []string{"label "}, named: []string{"label "}},
	"volumes": {fields: []string{"volumes"}},
	"network": {fields: []string{"network"}},
	"options": {fields: []string{"option ", "restart"}, named: []string{"option "}, names: OptionNames, within: map[string]driftWord{
		"restart": {fields: []string{"restart"}}, "label": {fields: []string{"label "}}, "env": {fields: []string{"env ", "secret "}},
		"volume": {fields: []string{"volumes"}}, "log-driver": {fields: []string{"log driver"}}, "log-opt": {fields: []string{"log option "}},
		"stop-signal": {fields: []string{"stop signal"}}, "stop-timeout": {fields: []string{"stop grace"}},
	}},
	"logging": {fields: []string{"log driver", "log option "}, within: map[string]driftWord{
		"driver": {fields: []string{"log driver"}}, "options": {fields: []string{"log option "}, named: []string{"log option "}},
	}},
	"stop": {fields: []string{"stop signal", "stop grace"}, within: map[string]driftWord{
		"signal": {fields: []string{"stop signal"}}, "grace": {fields: []string{"stop grace"}},
	}},
	"proxy": {fields: []string{"route", "route "}},
	"route": {fields: []string{"route", "route "}},
}

// tagWord is the one that is about no role.
const tagWord = "tag"

// Ignores tells whether drift is nobody's business. path is that of a plan's field ("option memory", "env NAME", "volumes"), or
// "route" and "route SETTING" for how the proxy reaches the role, or "tag", with no role, for the tag latest; with "" it tells
// whether all of the role is ignored.
func (r Reconcile) Ignores(role, path string) bool {
	return slices.ContainsFunc(r.Ignore, func(text string) bool {
		of, fields, err := readIgnore(text)
		return err == nil && of.covers(role, path) && (of.whole || slices.ContainsFunc(fields, func(field string) bool {
			return path == field || strings.HasSuffix(field, " ") && strings.HasPrefix(path, field)
		}))
	})
}

// ignored is whose drift a path of ignore is about.
type ignored struct {
	role  string // "": every role
	whole bool   // everything of the role
}

func (i ignored) covers(role, path string) bool {
	return i.role == "" || i.role == role && path != tagWord
}

// unknownPath is a part of a path that is not there.
type unknownPath struct {
	after, part string
	known       []string
}

func (u *unknownPath) Error() string {
	text := "A path begins with role.NAME, or with one of " + strings.Join(u.known, ", ") + "."
	switch {
	case u.after == "":
	case len(u.known) == 0:
		return "Nothing follows " + u.after + "."
	case len(u.known) > 20: // the options of docker run
		text = u.after + " has no \"" + u.part + "\"."
	default:
		text = u.after + " has no \"" + u.part + "\", but " + strings.Join(u.known, ", ") + "."
	}
	return text + didYouMean(u.part, u.known)
}

// readIgnore reads one path: whose drift it is about, and the fields of a plan.
func readIgnore(path string) (of ignored, fields []string, err error) {
	rest, after := path, ""
	if named, ok := strings.CutPrefix(path, "role."); ok {
		of.role, rest, _ = strings.Cut(named, ".")
		after = "role." + of.role
		switch {
		case of.role == "":
			return of, nil, &unknownPath{part: path, known: driftWord{within: driftWords}.following("")}
		case named == of.role:
			of.whole = true
			return of, nil, nil
		}
	} else if path == tagWord {
		return of, []string{tagWord}, nil
	}
	known := driftWord{within: driftWords}
	for {
		part, below, more := strings.Cut(rest, ".")
		word, ok := known.within[part]
		switch {
		case ok && !more:
			return of, word.fields, nil
		case ok:
			known, rest, after = word, below, strings.TrimPrefix(after+"."+part, ".")
			continue
		case rest != "" && len(known.named) > 0 && (known.names == nil || slices.Contains(known.names(), rest)):
			for _, prefix := range known.named {
				fields = append(fields, prefix+rest)
			}
			return of, fields, nil
		}
		return of, nil, &unknownPath{after, part, known.following(after)}
	}
}

// following are the words and names that may follow, sorted.
func (w driftWord) following(after string) []string {
	words := slices.Collect(maps.Keys(w.within))
	if w.names != nil {
		words = append(words, w.names()...)
	}
	if after == "" {
		words = append(words, tagWord)
	}
	slices.Sort(words)
	return words
}

// checkIgnore reports paths that are about nothing there is.
func (c *compiler) checkIgnore(v *value) {
	var roles []string
	for _, other := range c.all {
		roles = append(roles, other.root.labels("role")...) // one that only a destination has may stand in the base's list
	}
	slices.Sort(roles)
	roles = slices.Compact(roles)
	for _, item := range v.items() {
		of, _, err := readIgnore(item.s)
		switch {
		case err != nil:
			c.errorf(item.rng, "Unknown path", "%q cannot be ignored. %v", item.s, err)
		case of.role != "" && !slices.Contains(roles, of.role):
			c.errorf(item.rng, "Unknown role", "ignore names %q, and there is no such role.%s", of.role, didYouMean(of.role, roles))
		}
	}
}
