package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/kamald/kamald/drivers/git"
	"github.com/kamald/kamald/release"
)

// found is what init sees in a directory, and what there is to say of it.
type found struct {
	service, image string
	port           int // 0: nothing says it
	notes          []string
}

// look takes the names of the git remote, else of package.json, else of the directory, and the port of the Dockerfile.
func look(ctx context.Context, dir string) found {
	var f found
	owner, name, err := git.Project(ctx, dir)
	if err != nil && !errors.Is(err, git.ErrNotRepository) {
		f.notes = append(f.notes, err.Error())
	}
	if name == "" {
		name = packageName(dir)
	}
	if absolute, err := filepath.Abs(dir); name == "" && err == nil {
		name = filepath.Base(absolute)
	}
	if f.service = release.ServiceNameFrom(name); f.service == "" {
		f.service = "app"
	}
	f.image = release.RepositoryFrom(owner + "/" + name)
	if f.image == "" {
		f.image = f.service
	}
	f.dockerfile(filepath.Join(dir, "Dockerfile"))
	return f
}

func packageName(dir string) string {
	data, err := os.ReadFile(filepath.Join(dir, "package.json"))
	var p struct {
		Name string `json:"name"`
	}
	if err != nil || json.Unmarshal(data, &p) != nil {
		return "" // there is none, or it is none: the directory has a name, too
	}
	return p.Name[strings.LastIndex(p.Name, "/")+1:]
}

func (f *found) dockerfile(path string) {
	data, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		f.notes = append(f.notes, "there is no Dockerfile here: kamald deploys an image, which something must build and push")
		return
	case err != nil:
		f.notes = append(f.notes, err.Error())
		return
	}
	if f.port = exposed(data); f.port == 0 {
		f.notes = append(f.notes, "the Dockerfile has no EXPOSE: see that --port is the port that the app listens on")
	}
}

var variable = regexp.MustCompile(`\$\{?([A-Za-z_][A-Za-z0-9_]*)\}?`)

// exposed is the first port of the last EXPOSE, with the variables that ENV and ARG set above it; 0 when there is none.
func exposed(dockerfile []byte) int {
	port, values := 0, map[string]string{}
	joinedLines := bytes.ReplaceAll(bytes.ReplaceAll(dockerfile, []byte("\r"), nil), []byte("\\\n"), []byte(" "))
	for line := range strings.Lines(string(joinedLines)) {
		words := strings.Fields(line)
		if len(words) < 2 {
			continue
		}
		switch strings.ToUpper(words[0]) {
		case "ENV", "ARG":
			for _, word := range words[1:] {
				if name, value, ok := strings.Cut(word, "="); ok {
					values[name] = strings.Trim(value, `"'`)
				} else if len(words) == 3 {
					values[words[1]] = words[2]
				}
			}
		case "EXPOSE":
			word := variable.ReplaceAllStringFunc(words[1], func(use string) string { return values[variable.FindStringSubmatch(use)[1]] })
			number, _, _ := strings.Cut(word, "/")
			if n, err := strconv.Atoi(number); err == nil && n > 0 && n < 1<<16 {
				port = n
			}
		}
	}
	return port
}

// secretsIgnored tells whether git leaves the secrets file out, and whether this is a repository at all.
func secretsIgnored(ctx context.Context, dir string) (ignored, repository bool) {
	ignored, err := git.Ignored(ctx, dir, ".kamald/secrets")
	return ignored, err == nil
}

// validName makes a service's name valid, and says so.
func validName(name string) (string, string) {
	valid := release.ServiceNameFrom(name)
	if valid == name || valid == "" {
		return name, "" // the file says what is wrong with it
	}
	return valid, fmt.Sprintf("%q cannot name a service (lower-case letters, digits, - and _): it is %q", name, valid)
}
