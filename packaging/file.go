package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// file is one that is given out. Its name is the one in the archive; packages have places of their own.
type file struct {
	name  string
	mode  int64
	data  []byte
	owner int // user and group
}

// carried are the repository's own files, and their names in the archive.
var carried = map[string]string{
	"LICENSE":                        "LICENSE",
	"README.md":                      "README.md",
	"CHANGELOG.md":                   "CHANGELOG.md",
	"deploy.hcl.example":             "deploy.hcl.example",
	"packaging/kamald.hcl.example":   "kamald.hcl.example",
	"packaging/sysusers.conf":        "contrib/systemd/sysusers.conf",
	"contrib/systemd/kamald.service": "contrib/systemd/kamald.service",
	"contrib/systemd/kamald.socket":  "contrib/systemd/kamald.socket",
	"contrib/grafana/kamald.json":    "contrib/grafana/kamald.json",
	"contrib/prometheus/alerts.yml":  "contrib/prometheus/alerts.yml",
}

// completions are the shells that have one, and the names of their files.
var completions = map[string]string{"bash": "kamald.bash", "zsh": "_kamald", "fish": "kamald.fish"}

// papers are all but the program: the repository's files, and what the program says of itself.
func (r *release) papers(work string) ([]file, error) {
	var list []file
	for from, to := range carried {
		data, err := os.ReadFile(filepath.FromSlash(from))
		if err != nil {
			return nil, fmt.Errorf("it is made in the repository's root: %w", err)
		}
		list = append(list, file{name: to, mode: 0o644, data: data})
	}
	here, err := r.build(runtime.GOOS, runtime.GOARCH, work)
	if err != nil {
		return nil, err
	}
	program := filepath.Join(work, "here")
	if err := os.WriteFile(program, here.data, 0o755); err != nil {
		return nil, err
	}
	for shell, name := range completions {
		data, err := r.output(program, "completion", shell)
		if err != nil {
			return nil, err
		}
		list = append(list, file{name: "completions/" + name, mode: 0o644, data: data})
	}
	pages := filepath.Join(work, "man1")
	if _, err := r.output(program, "docs", "--man", pages, "--quiet"); err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(pages)
	if err != nil {
		return nil, err
	}
	for _, entry := range entries {
		data, err := os.ReadFile(filepath.Join(pages, entry.Name()))
		if err != nil {
			return nil, err
		}
		list = append(list, file{name: "man/man1/" + entry.Name(), mode: 0o644, data: data})
	}
	return list, nil
}

// build makes the program: static, without paths of this machine in it.
func (r *release) build(system, arch, work string) (file, error) {
	path := filepath.Join(work, "kamald-"+system+"-"+arch)
	command := exec.Command("go", "build", "-trimpath", "-buildvcs=auto", "-ldflags", "-s -w -X main.version="+r.version, "-o", path, "./cmd/kamald")
	command.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+system, "GOARCH="+arch, "GOAMD64=v1", "GOARM64=v8.0")
	if out, err := command.CombinedOutput(); err != nil {
		return file{}, fmt.Errorf("go build: %w\n%s", err, out)
	}
	data, err := os.ReadFile(path)
	return file{name: "kamald", mode: 0o755, data: data}, err
}

// output is what a program writes, on the release's day and with nothing of this machine's settings.
func (r *release) output(name string, args ...string) ([]byte, error) {
	command := exec.Command(name, args...)
	command.Env = append(os.Environ(), fmt.Sprintf("SOURCE_DATE_EPOCH=%d", r.at.Unix()), "NO_COLOR=1", "LC_ALL=C")
	var stderr bytes.Buffer
	command.Stderr = &stderr
	out, err := command.Output()
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w\n%s", filepath.Base(name), strings.Join(args, " "), err, stderr.String())
	}
	return out, nil
}
