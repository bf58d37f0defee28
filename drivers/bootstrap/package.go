package bootstrap

import (
	"context"
	"errors"
	"strings"
)

// manager is a distribution's package manager, and what it is asked for. Each command has fixed words.
type manager struct {
	program  string
	commands [][]string
}

// managers are in the order in which they are looked for. Where a package has one of two names, the second is tried when the
// first is not there.
var managers = []manager{
	{"apt-get", [][]string{
		{"env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", "-o", "DPkg::Lock::Timeout=300", "update"},
		{"env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", "-y", "-o", "DPkg::Lock::Timeout=300", "install", "docker.io"}}},
	{"dnf", [][]string{{"sh", "-c", "dnf -y install moby-engine || dnf -y install docker"}}},
	{"yum", [][]string{{"yum", "-y", "install", "docker"}}},
	{"zypper", [][]string{{"zypper", "--non-interactive", "install", "docker"}}},
	{"apk", [][]string{{"apk", "add", "docker"}}},
}

// installPackage installs what the distribution calls Docker.
func (i *Installer) installPackage(ctx context.Context, s *sight, say func(string)) error {
	for _, m := range managers {
		if !s.there(m.program) {
			continue
		}
		for _, command := range m.commands {
			dir, err := i.workspace(ctx, s)
			if err != nil {
				return err
			}
			if err := i.carry(ctx, s, dir, installLimit, say, command...); err != nil {
				return err
			}
		}
		return nil
	}
	var names []string
	for _, m := range managers {
		names = append(names, m.program)
	}
	return errors.New("no package manager that is known is there (" + strings.Join(names, ", ") + "): install Docker by hand, or leave out --from-distro")
}
