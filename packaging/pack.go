package main

import (
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// nfpm makes packages of both families. It is a tool, and none of the modules that kamald is made of.
const nfpm = "github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.45.0"

// content is one file of a package, in nfpm's words.
type content struct {
	Source string         `json:"src,omitempty"`
	Place  string         `json:"dst"`
	Type   string         `json:"type,omitempty"`
	Info   map[string]any `json:"file_info"`
}

// pack makes one package: kamald, its pages and completions, the units, and an example of its file. Nothing is started by it.
func (r *release) pack(packager, arch string, binary file, papers []file, work string) error {
	if err := os.MkdirAll(work, 0o755); err != nil {
		return err
	}
	var contents []content
	for _, f := range append([]file{binary}, papers...) {
		f.name = placed(packager, f.name)
		if f.name == "" {
			continue
		}
		if err := f.packed(); err != nil {
			return err
		}
		c, err := r.lay(f, filepath.Join(work, fmt.Sprint(len(contents))))
		if err != nil {
			return err
		}
		contents = append(contents, c)
	}
	contents = append(contents, content{Place: "/etc/kamald", Type: "dir", Info: r.info(0o750)})
	slices.SortFunc(contents, func(a, b content) int { return strings.Compare(a.Place, b.Place) })
	settings := filepath.Join(work, "nfpm.yaml")
	if err := os.WriteFile(settings, text(r.settings(packager, arch, contents)), 0o644); err != nil { // JSON is YAML
		return err
	}
	name := fmt.Sprintf("kamald_%s_%s.%s", r.version, arch, packager)
	command := exec.Command("go", "run", nfpm, "package", "--config", settings, "--packager", packager, "--target", filepath.Join(work, name))
	command.Env = append(os.Environ(), "GOFLAGS=", "CGO_ENABLED=0", fmt.Sprintf("SOURCE_DATE_EPOCH=%d", r.at.Unix()))
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("nfpm: %w\n%s", err, out)
	}
	data, err := os.ReadFile(filepath.Join(work, name))
	if err != nil {
		return err
	}
	return r.put(name, data)
}

// placed is where a file of the archive stands in a package, "" for one that does not.
func placed(packager, name string) string {
	zsh := map[string]string{"deb": "/usr/share/zsh/vendor-completions/", "rpm": "/usr/share/zsh/site-functions/"}[packager]
	base := path.Base(name)
	switch {
	case name == "kamald":
		return "/usr/bin/kamald"
	case name == "LICENSE" && packager == "deb":
		return "/usr/share/doc/kamald/copyright"
	case name == "LICENSE":
		return "/usr/share/licenses/kamald/LICENSE"
	case name == "CHANGELOG.md":
		return "/usr/share/doc/kamald/changelog.gz"
	case name == "kamald.hcl.example":
		return "/etc/kamald/kamald.hcl.example"
	case base == "sysusers.conf":
		return "/usr/lib/sysusers.d/kamald.conf"
	case path.Dir(name) == "contrib/systemd":
		return "/usr/lib/systemd/system/" + base
	case base == "kamald.bash":
		return "/usr/share/bash-completion/completions/kamald"
	case base == "_kamald":
		return zsh + base
	case base == "kamald.fish":
		return "/usr/share/fish/vendor_completions.d/" + base
	case strings.HasPrefix(name, "man/"):
		return "/usr/share/" + name + ".gz"
	}
	return "/usr/share/doc/kamald/" + base
}

// packed compresses a file whose place says that it is.
func (f *file) packed() (err error) {
	if strings.HasSuffix(f.name, ".gz") {
		f.data, err = zipped(f.data)
	}
	return err
}

// lay puts a file where nfpm finds it.
func (r *release) lay(f file, at string) (content, error) {
	c := content{Source: at, Place: f.name, Info: r.info(f.mode)}
	if strings.HasPrefix(f.name, "/etc/") {
		c.Type = "config|noreplace"
	}
	return c, os.WriteFile(at, f.data, 0o644)
}

func (r *release) info(mode int64) map[string]any {
	return map[string]any{"mode": mode, "owner": "root", "group": "root", "mtime": r.at.Format(time.RFC3339)}
}

// settings are what nfpm is told of a package.
func (r *release) settings(packager, arch string, contents []content) map[string]any {
	recommended := map[string][]string{"deb": {"ca-certificates", "git", "openssh-client"}, "rpm": {"ca-certificates", "git-core", "openssh-clients"}}
	return map[string]any{
		"name": "kamald", "arch": arch, "platform": "linux", "version": r.version, "version_schema": "semver", "release": "1",
		"section": "admin", "priority": "optional", "maintainer": "kamald <noreply@kamald.invalid>", "license": "MIT",
		"homepage":    "https://github.com/kamald/kamald",
		"description": "declarative controller for container deployments on plain servers\nkamald looks at servers over SSH, shows the difference to the release\nthat is wanted as a plan, and carries it out without dropping a request.",
		"mtime":       r.at.Format(time.RFC3339), "recommends": recommended[packager], "contents": contents,
		"scripts": map[string]string{"postinstall": "packaging/postinstall.sh", "preremove": "packaging/preremove.sh", "postremove": "packaging/postremove.sh"},
		"rpm":     map[string]any{"buildhost": "localhost", "summary": "Declarative controller for container deployments on plain servers", "packager": "kamald"},
	}
}
