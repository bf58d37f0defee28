package kamal

import (
	"errors"
	"fmt"
	"strings"
)

// outsider is a file beside the source that has a destination's name and cannot be one.
type outsider struct {
	file string
	line int // 0: of no one line
	why  string
}

// standing imports again without the destinations that cannot stand: not ready, or configurations of their own. It gives false
// when it is not they who are in the way.
func (i *importer) standing() (Result, bool) {
	opts, left := *i.opts, i.left
	opts.Destinations = []string{}
	for _, name := range i.names {
		alone := *i.opts
		alone.Destinations = []string{name}
		if _, err := newImporter(i.path, alone).result(); err != nil {
			left = append(left, newOutsider(destinationFile(i.path, name), name, err))
			continue
		}
		opts.Destinations = append(opts.Destinations, name)
	}
	again := newImporter(i.path, opts)
	again.left = left
	result, err := again.result()
	return result, err == nil
}

func newOutsider(file, destination string, err error) outsider {
	o := outsider{file: file, why: err.Error()}
	var failed *unsettled
	if errors.As(err, &failed) {
		in := failed.of(file)
		o.why = strings.TrimSuffix(in.what, fmt.Sprintf(" (With destination %q.)", destination))
		if in.file == file {
			o.line = in.line
		}
	}
	o.why = strings.TrimPrefix(strings.TrimPrefix(o.why, file+" "), "is no configuration of Kamal's: ")
	return o
}

// sayLeft reports what was left out.
func (i *importer) sayLeft() {
	for _, o := range i.left {
		i.report = append(i.report, Line{File: o.file, Line: o.line, What: "left out as a destination", Severity: Todo, Why: strings.TrimSuffix(o.why, ".") +
			"; mend that and import again, or, where it is a configuration of its own (kamal -c), import it by itself: kamald import " + o.file + " -o FILE"})
	}
}
