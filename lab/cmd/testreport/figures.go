package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// figureLine is how a test that passed states a figure: the name of the place in the docs, and a line for it.
var figureLine = regexp.MustCompile(`(?m)\bfigure ([a-z-]+): (.*)$`)

// figures are the lines for each place, in the order in which they came.
type figures map[string][]string

// take gathers what a test said.
func (f figures) take(said string) {
	for _, found := range figureLine.FindAllStringSubmatch(said, -1) {
		f[found[1]] = append(f[found[1]], strings.TrimRight(found[2], " "))
	}
}

// write puts the figures into the pages of a directory that have a place for them: between <!-- name --> and <!-- /name -->.
// A figure that has no place is an error: it would be lost without a word.
func (f figures) write(dir string) error {
	pages, err := filepath.Glob(filepath.Join(dir, "*.md"))
	if err != nil {
		return err
	}
	placed := map[string]bool{}
	for _, page := range pages {
		data, err := os.ReadFile(page)
		if err != nil {
			return err
		}
		text := string(data)
		for name, lines := range f {
			begin, end := "<!-- "+name+" -->\n", "<!-- /"+name+" -->"
			before, rest, opened := strings.Cut(text, begin)
			_, after, closed := strings.Cut(rest, end)
			if opened && closed {
				text = before + begin + strings.Join(lines, "\n") + "\n" + end + after
				placed[name] = true
			}
		}
		if text == string(data) {
			continue
		}
		if err := os.WriteFile(page, []byte(text), 0o644); err != nil {
			return err
		}
	}
	for name := range f {
		if !placed[name] {
			return fmt.Errorf("no page of %s has a place for the figure %s", dir, name)
		}
	}
	return nil
}
