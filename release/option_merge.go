package release

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// mergedOptions are the options that mean the same as another setting, and how they are checked and put there, so that a
// container has each thing once; false where the block does not take the setting.
var mergedOptions = map[string]func(merging, optionTarget) bool{
	"restart":      func(m merging, to optionTarget) bool { return into(to.restart, m.restart) },
	"label":        func(m merging, to optionTarget) bool { return into(to.labels, m.labels) },
	"env":          func(m merging, to optionTarget) bool { return into(to.env, m.env) },
	"volume":       func(m merging, to optionTarget) bool { return into(to.volumes, m.volumes) },
	"log-driver":   func(m merging, to optionTarget) bool { return into(to.logging, m.logDriver) },
	"log-opt":      func(m merging, to optionTarget) bool { return into(to.logging, m.logOptions) },
	"stop-signal":  func(m merging, to optionTarget) bool { return into(to.stop, m.stopSignal) },
	"stop-timeout": func(m merging, to optionTarget) bool { return into(to.stop, m.stopTimeout) },
}

func into[T any](target *T, merge func(*T)) bool {
	if target != nil {
		merge(target)
	}
	return target != nil
}

var restartPolicy = regexp.MustCompile(`\A(?:no|always|unless-stopped|on-failure(?::[0-9]{1,9})?)\z`)

// optionTarget is where merged options go; what is nil the block does not take.
type optionTarget struct {
	restart *string
	labels  *map[string]string
	env     *Env
	volumes *[]string
	logging *Logging
	stop    *Stop
	// instead says for what is nil how it is said in the block.
	instead map[string]string
}

// mergeOptions puts options that mean the same as another setting into it. One that says something else than the block itself
// does is an error that names both.
func (c *compiler) mergeOptions(b *block, options dockerOptions, to optionTarget) {
	for _, name := range slices.Sorted(maps.Keys(options.merged)) {
		m := merging{compiler: c, block: b, name: name, values: options.merged[name]}
		if !mergedOptions[name](m, to) {
			c.errorf(m.values[0].rng, "Option elsewhere", "%s cannot stand in the options of %s: %s.", name, b.title(), to.instead[name])
		}
	}
}

// merging is one option on its way into another setting of its block.
type merging struct {
	*compiler
	block  *block
	name   string
	values []text
}

// bad reports a value; what it should be goes on after the option's name.
func (m merging) bad(t text, format string, args ...any) {
	m.errorf(t.rng, "Bad option", "%s %s.", m.name, fmt.Sprintf(format, args...))
}

// clash reports that a setting of the block says something else.
func (m merging) clash(t text, what, setting string, line int) {
	m.errorf(t.rng, "Said twice", "%s is one thing in options and another in %s, at line %d; keep one of them.", what, setting, line)
}

// one is the only value; false when there are others.
func (m merging) one() (text, bool) {
	if len(m.values) != 1 {
		t := text{rng: m.block.get("options").rng}
		if len(m.values) > 0 {
			t = m.values[0]
		}
		m.bad(t, "takes one value, not %d", len(m.values))
		return text{}, false
	}
	return m.values[0], true
}

func (m merging) restart(to *string) {
	t, ok := m.one()
	switch {
	case !ok:
	case t.s == "on-failure:0":
		*to = "on-failure" // what the engine makes of it
	case !restartPolicy.MatchString(t.s):
		m.bad(t, "is \"no\", \"always\", \"unless-stopped\" or \"on-failure[:N]\", not %q", t.s)
	default:
		*to = t.s
	}
}

func (m merging) labels(to *map[string]string) {
	own := m.block.get("labels")
	given := &value{name: "label", rng: m.block.get("options").rng, dict: map[string][]text{}}
	for _, t := range m.values {
		name, s, _ := strings.Cut(t.s, "=")
		if name = strings.TrimLeft(name, " \t"); name == "" || strings.ContainsAny(name, " \t") {
			m.bad(t, "is NAME=value, not %q", t.s)
			continue
		}
		if entry, there := own.entry(name); there && entry[0].s != s {
			m.clash(t, "label "+name, "labels", entry[0].rng.Start.Line)
			continue
		}
		given.dict[name] = []text{{s: s, rng: t.rng}}
	}
	m.checkLabels(given)
	merged := map[string]string{}
	maps.Copy(merged, *to)
	maps.Copy(merged, given.stringMap())
	if len(merged) > 0 {
		*to = merged
	}
}

func (m merging) env(to *Env) {
	own := m.block.child("env")
	ownClear := own.get("clear")
	if own == nil {
		ownClear = m.block.get("env") // the proxy server's is a map
	}
	if to.Clear == nil {
		to.Clear = map[string]string{}
	}
	for _, t := range m.values {
		name, s, found := strings.Cut(t.s, "=")
		clear, isClear := ownClear.entry(name)
		switch {
		case !found || !variableName.MatchString(name):
			m.bad(t, "is NAME=value, not %q: this machine's own environment is not passed on", t.s)
		case isClear && clear[0].s != s:
			m.clash(t, "env "+name, "env", clear[0].rng.Start.Line)
		case slices.ContainsFunc(own.get("secret").items(), func(secret text) bool { return before(":")(secret.s) == name }):
			m.clash(t, "env "+name, "env", own.get("secret").rng.Start.Line)
		default:
			to.remove(name)
			to.Clear[name] = s
		}
	}
	*to = to.trimmed()
}

func (m merging) volumes(to *[]string) {
	m.checkVolumes(&value{name: "volume", list: m.values})
	all := slices.Clone(*to)
	for _, t := range m.values {
		if !slices.Contains(all, t.s) {
			all = append(all, t.s)
		}
	}
	*to = all
}

func (m merging) logDriver(to *Logging) {
	t, ok := m.one()
	own := m.block.child("logging")
	switch {
	case !ok:
	case t.s == "":
		m.bad(t, "is empty")
	case own.get("driver").set() && own.get("driver").text() != t.s:
		m.clash(t, m.name, "logging", own.get("driver").rng.Start.Line)
	case to.Driver != t.s: // the options were the other driver's
		*to = Logging{Driver: t.s, Options: own.get("options").stringMap()}
		if t.s == defaultLogDriver && to.Options == nil {
			to.Options = map[string]string{"max-size": defaultLogMaxSize}
		}
	}
}

func (m merging) logOptions(to *Logging) {
	own := m.block.child("logging").get("options")
	options := maps.Clone(to.Options)
	if options == nil {
		options = map[string]string{}
	}
	for _, t := range m.values {
		name, s, found := strings.Cut(t.s, "=")
		entry, there := own.entry(name)
		switch {
		case !found || name == "":
			m.bad(t, "is NAME=value, such as \"max-size=50m\", not %q", t.s)
		case there && entry[0].s != s:
			m.clash(t, "log-opt "+name, "logging", entry[0].rng.Start.Line)
		default:
			options[name] = s
		}
	}
	if len(options) > 0 {
		to.Options = options
	}
}

func (m merging) stopSignal(to *Stop) {
	t, ok := m.one()
	own := m.block.child("stop").get("signal")
	switch {
	case !ok:
	case !isSignal(t.s):
		m.bad(t, "is a signal such as \"TERM\" or \"QUIT\", not %q", t.s)
	case own.set() && own.text() != t.s:
		m.clash(t, m.name, "stop", own.rng.Start.Line)
	default:
		to.Signal = t.s
	}
}

func (m merging) stopTimeout(to *Stop) {
	t, ok := m.one()
	if !ok {
		return
	}
	own := m.block.child("stop").get("grace")
	seconds, err := strconv.ParseInt(t.s, 10, 32)
	grace := time.Duration(seconds) * time.Second
	switch {
	case err != nil || seconds < 0:
		m.bad(t, "is a whole number of seconds, not %q: a container that does not end is killed", t.s)
	case own.set() && own.durationOr(0) != grace:
		m.clash(t, m.name, "stop", own.rng.Start.Line)
	default:
		to.Grace = grace
	}
}
