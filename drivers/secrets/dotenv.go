// Package secrets looks secrets' values up on the machine that kamald runs on: in dotenv files, which refer to the
// environment and to commands.
package secrets

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/kamald/kamald/release"
)

// Dotenv is the secrets of some dotenv files. Its files are read by Load; variables are expanded and commands run at the first
// Secret, once. It is safe for concurrent use.
type Dotenv struct {
	dir     string
	env     func(string) (string, bool)
	entries []entry
	sources []string

	mu     sync.Mutex
	values map[string]value // nil until evaluated
	unset  []string         // what was referred to and has no value
}

// value is what an entry came to: a value, an error, or (neither known nor err) a reference to what is not set.
type value struct {
	secret string
	known  bool
	err    error
}

// Load reads the files, relative to dir, in their order: later ones win. Files that are not there are skipped, and so are names that
// end in a dot (the file of a destination, with no destination given). env looks up variables of the process; nil is the
// process's own. Errors name file, line and key, all of a file at once, and never a value.
func Load(dir string, files []string, env func(string) (string, bool)) (*Dotenv, error) {
	if env == nil {
		env = os.LookupEnv
	}
	d := &Dotenv{dir: dir, env: env}
	var errs []error
	for _, file := range files {
		if strings.HasSuffix(file, ".") {
			continue
		}
		path := file
		if !filepath.IsAbs(path) {
			path = filepath.Join(dir, file)
		}
		data, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			d.sources = append(d.sources, file+" (not there)")
			continue
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("read the secrets: %w", err))
			continue
		}
		entries, err := parse(file, string(data))
		d.entries = append(d.entries, entries...)
		d.sources = append(d.sources, file)
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return d, nil
}

// Secret gives a value; false when no file has the name, or its value refers to a variable that is set nowhere (a half
// expanded secret would be a wrong one; Sources tells which). The error is of a command that failed.
func (d *Dotenv) Secret(name string) (release.Secret, bool, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.values == nil {
		d.evaluate()
	}
	v, ok := d.values[name]
	if !ok || v.err != nil || !v.known {
		return release.Secret{}, false, v.err
	}
	return release.NewSecret(v.secret), true, nil
}

// Sources names the files that were searched, and after the first Secret the references that led nowhere.
func (d *Dotenv) Sources() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append(append([]string(nil), d.sources...), d.unset...)
}

func (d *Dotenv) evaluate() {
	d.values = map[string]value{}
	for _, e := range d.entries {
		v := d.expand(e)
		if v.err != nil {
			v.err = fmt.Errorf("%s:%d: %s: %w", e.file, e.line, e.key, v.err)
		}
		d.values[e.key] = v
	}
}

func (d *Dotenv) expand(e entry) value {
	var text strings.Builder
	for _, p := range e.parts {
		switch p.kind {
		case literal:
			text.WriteString(p.text)
		case variable:
			v := d.lookup(p.text)
			if v.err != nil {
				return value{err: fmt.Errorf("it refers to $%s: %w", p.text, v.err)}
			}
			if !v.known {
				d.unset = append(d.unset, fmt.Sprintf("%s:%d: %s refers to $%s, which is not set", e.file, e.line, e.key, p.text))
				return value{}
			}
			text.WriteString(v.secret)
		case command:
			out, err := d.run(p.text)
			if err != nil {
				return value{err: err}
			}
			text.WriteString(out)
		}
	}
	return value{secret: text.String(), known: true}
}

// lookup finds a variable: what the files have said so far goes before the environment. One that refers to itself and is set
// nowhere above is the environment's.
func (d *Dotenv) lookup(name string) value {
	if v, ok := d.values[name]; ok {
		return v
	}
	text, ok := d.env(name)
	return value{secret: text, known: ok}
}
