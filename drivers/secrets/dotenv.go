package secrets

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/kamald/kamald/release"
)

// leastConcealed is the length, in bytes, from which a value is taken out of errors: shorter ones would tear words apart.
const leastConcealed = 4

// dotenv is the secrets of some dotenv files. Variables are expanded and commands run at the first secret, once. It is safe
// for concurrent use.
type dotenv struct {
	at      surroundings
	entries []entry
	sources []string
	// fetched looks a name up where no file has it above; open is to search what says its names only when it is fetched. It may
	// be nil.
	fetched func(name string, open bool) value

	mu      sync.Mutex
	values  map[string]value // nil until evaluated
	results []value          // of the entries, in their order
	unset   []unset          // what was referred to and has no value
}

// value is what an entry came to: a value, an error, or (neither known nor err) a reference to what is not set.
type value struct {
	secret string
	known  bool
	err    error
}

// unset is a reference of a key's to what is not set.
type unset struct{ key, says string }

// readDotenv reads the files in their order: later ones win. Files that are not there are skipped, and so are names that end in a
// dot (the file of a destination, with no destination given). Errors name file, line and key, all at once, and never a value.
func readDotenv(at surroundings, files []string) (*dotenv, error) {
	d := &dotenv{at: at}
	mode, _ := at.env(linebreakMode)
	var errs []error
	for _, file := range files {
		if strings.HasSuffix(file, ".") {
			continue
		}
		data, err := os.ReadFile(at.path(file))
		if errors.Is(err, fs.ErrNotExist) {
			d.sources = append(d.sources, file+" (not there)")
			continue
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("read the secrets: %w", err))
			continue
		}
		entries, err := parse(file, string(data), mode == "legacy")
		d.entries = append(d.entries, entries...)
		d.sources = append(d.sources, file)
		errs = append(errs, err)
	}
	return d, errors.Join(errs...)
}

// has tells whether a file has the name, whatever its value comes to.
func (d *dotenv) has(name string) bool {
	return slices.ContainsFunc(d.entries, func(e entry) bool { return e.key == name })
}

// names are those of the files, each once, in their order.
func (d *dotenv) names() []string {
	var names []string
	for _, e := range d.entries {
		if !slices.Contains(names, e.key) {
			names = append(names, e.key)
		}
	}
	return names
}

// secret gives a value; false when no file has the name, or its value refers to a variable that is set nowhere (a half
// expanded secret would be a wrong one; searched tells which). The error is of a command that failed.
func (d *dotenv) secret(name string) (release.Secret, bool, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.values == nil {
		d.evaluate(nil)
	}
	v, ok := d.values[name]
	if !ok || v.err != nil || !v.known {
		return release.Secret{}, false, v.err
	}
	return release.NewSecret(v.secret), true, nil
}

// searched names the files, and after the first secret the references that led nowhere.
func (d *dotenv) searched() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	sources := slices.Clone(d.sources)
	for _, u := range d.unset {
		sources = append(sources, u.says)
	}
	return sources
}

// unsetBy says which references of a key's led nowhere, after the first secret.
func (d *dotenv) unsetBy(key string) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var said []string
	for _, u := range d.unset {
		if u.key == key {
			said = append(said, u.says)
		}
	}
	return strings.Join(said, "; ")
}

// evaluate expands the entries in their order, each with what those above it have given. Those that keep says stay as they were.
func (d *dotenv) evaluate(keep func(entry) bool) {
	before := d.results
	d.values, d.results = map[string]value{}, nil
	d.unset = slices.DeleteFunc(d.unset, func(u unset) bool { return keep == nil || !keep(entry{key: u.key}) })
	for i, e := range d.entries {
		var v value
		if keep != nil && keep(e) {
			v = before[i]
		} else if v = d.expand(e); v.err != nil {
			v.err = fmt.Errorf("%s:%d: %s: %w", e.file, e.line, e.key, d.conceal(v.err))
		}
		d.values[e.key] = v
		d.results = append(d.results, v)
	}
}

// conceal keeps the values that the files have given so far, and what is in those that are JSON objects, out of an error: a command
// may write them on its standard error, and a line may name one where a key is wanted.
func (d *dotenv) conceal(err error) error {
	var values []string
	add := func(value string) {
		if quoted := strconv.Quote(value); len(value) >= leastConcealed {
			values = append(values, value, quoted[1:len(quoted)-1])
		}
	}
	for _, v := range d.values {
		add(v.secret)
		fields, _ := orderedObject([]byte(v.secret)) // most values are none
		for _, f := range fields {
			add(plainJSON(f.value))
		}
	}
	slices.SortFunc(values, func(a, b string) int { return cmp.Or(len(b)-len(a), strings.Compare(a, b)) }) // one may be part of another
	text := err.Error()
	for _, value := range values {
		text = strings.ReplaceAll(text, value, release.Secret{}.String())
	}
	if text == err.Error() {
		return err
	}
	return errors.New(text)
}

func (d *dotenv) expand(e entry) value {
	var text strings.Builder
	for _, p := range e.parts {
		v := value{secret: p.text, known: true}
		switch p.kind {
		case variable:
			v = d.refer(e, p.text)
		case command:
			v = d.substitute(e, p.text)
		case literal:
		}
		if !v.known {
			return v
		}
		text.WriteString(v.secret)
	}
	return value{secret: text.String(), known: true}
}

// refer looks a variable up, and notes one that is not set.
func (d *dotenv) refer(e entry, name string) value {
	v := d.lookup(name)
	switch {
	case v.err != nil:
		v.err = fmt.Errorf("it refers to $%s: %w", name, v.err)
	case !v.known:
		d.unset = append(d.unset, unset{e.key, fmt.Sprintf("%s:%d: %s refers to $%s, which is not set", e.file, e.line, e.key, name)})
	}
	return v
}

// lookup finds a variable: what the files have said so far goes before what is fetched by that name, and that before the
// environment. One that refers to itself and is set nowhere above is not the file's.
func (d *dotenv) lookup(name string) value {
	if v, ok := d.values[name]; ok {
		return v
	}
	if d.fetched != nil {
		if v := d.fetched(name, false); v.known || v.err != nil {
			return v
		}
	}
	if text, ok := d.at.env(name); ok || d.fetched == nil {
		return value{secret: text, known: ok}
	}
	return d.fetched(name, true)
}

// run gives a command's standard output without the line break at its end. The values that the files have given so far reach it
// as environment variables and never in its arguments, which every user of the machine can see.
func (d *dotenv) run(script string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), d.at.timeout)
	defer cancel()
	var env []string
	for _, name := range slices.Sorted(maps.Keys(d.values)) {
		if v := d.values[name]; v.known && !strings.Contains(name, ".") {
			env = append(env, name+"="+v.secret)
		}
	}
	stdout, stderr, err := d.at.run(exec.CommandContext(ctx, "sh", "-c", script), env)
	switch {
	case ctx.Err() != nil:
		return "", fmt.Errorf("its command did not end within %s: %w%s", d.at.timeout, ctx.Err(), complaint(stderr))
	case err != nil:
		return "", fmt.Errorf("its command failed: %w%s", err, complaint(stderr))
	}
	return chomp(string(stdout)), nil
}

// chomp takes one line break from the end, as Kamal does, and not all as sh would.
func chomp(text string) string {
	if cut, ok := strings.CutSuffix(text, "\n"); ok {
		return strings.TrimSuffix(cut, "\r")
	}
	return strings.TrimSuffix(text, "\r")
}
