package release

import (
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write what is said now into testdata/mistakes.txt")

// The golden file has one section a mistake: "### name", the file, "--- says", and one line a problem. "=== name" begins another file
// of the section; where one is a kamald.hcl, that is what is looked at. A name that ends in "(-d NAME)" chooses a destination.
func TestEveryMistakeIsExplained(t *testing.T) {
	data, err := os.ReadFile("testdata/mistakes.txt")
	if err != nil {
		t.Fatal(err)
	}
	var rewritten strings.Builder
	sections := strings.Split(string(data), "### ")[1:]
	for _, section := range sections {
		name, rest, _ := strings.Cut(section, "\n")
		source, want, _ := strings.Cut(rest, "--- says\n")
		want = strings.TrimSpace(want)
		var got string
		t.Run(name, func(t *testing.T) {
			got = strings.TrimSpace(saidOf(name, source))
			if got == "" {
				t.Error("nothing is said")
			}
			if !*update && got != want {
				t.Errorf("in\n%s\nsaid\n%s\nwant\n%s", source, got, want)
			}
		})
		fmt.Fprintf(&rewritten, "### %s\n%s--- says\n%s\n\n", name, source, got)
	}
	if len(sections) < 60 {
		t.Errorf("%d mistakes, want at least 60", len(sections))
	}
	if *update {
		if err := os.WriteFile("testdata/mistakes.txt", []byte(rewritten.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// saidOf is what is said of a section.
func saidOf(name, source string) string {
	files, destination := map[string]string{}, ""
	if _, chosen, ok := strings.Cut(name, "(-d "); ok {
		destination = strings.TrimSuffix(chosen, ")")
	}
	for i, part := range strings.Split("deploy.hcl\n"+source, "=== ") {
		file, text, _ := strings.Cut(part, "\n")
		if i == 0 && text == "" && strings.Contains(source, "=== ") {
			continue
		}
		files[file] = text
	}
	if _, bastion := files["kamald.hcl"]; bastion {
		return lines(ValidateBastion("kamald.hcl", memory(files)))
	}
	return said(memory(files), Options{Destination: destination})
}

// said is what Load says of deploy.hcl, one line a problem.
func said(files, opts Options) string {
	files.Destination, files.Version = opts.Destination, opts.Version
	_, diags := Load("deploy.hcl", files)
	return lines(diags)
}

func lines(diags Diagnostics) string {
	var b strings.Builder
	for _, d := range diags.List() {
		fmt.Fprintf(&b, "%s:%d: %s: %s: %s\n", d.File, d.Line, d.Severity, d.Summary, d.Detail)
	}
	return b.String()
}

// memory is options that see nothing but the given files, and a repository at a commit.
func memory(files map[string]string) Options {
	return Options{
		Git: commit,
		Env: func(string) (string, bool) { return "", false },
		ReadFile: func(path string) ([]byte, error) {
			if text, ok := files[path]; ok {
				return []byte(text), nil
			}
			return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
		},
		ReadDir: func(dir string) ([]string, error) {
			var names []string
			for name := range files {
				if path.Dir(name) == path.Clean(dir) {
					names = append(names, path.Base(name))
				}
			}
			return names, nil
		},
		KamaldVersion: "0.1.0",
	}
}
