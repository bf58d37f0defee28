package state

import (
	"slices"
	"strings"
)

// Ground is what a host is before there is an engine on it that answers: what can be seen with a shell alone.
type Ground struct {
	User   string   // the SSH user
	Groups []string // the groups of this login
	// Become is how a command is run as root: RootItself or RootSudo, "" when it cannot be.
	Become string
	// Refused is why not, in the host's own words.
	Refused string
	Client  bool // there is a program docker
	Engine  bool // there is a program dockerd
	Socket  bool // there is a socket where the engine listens
	// Busy is the directory of an installation that still runs, "" when there is none that can be seen.
	Busy string
}

// How a command is run as root.
const (
	RootItself = "root" // the user is root
	RootSudo   = "sudo" // sudo takes it without a password
)

// DockerGroup is the group whose members may use the engine.
const DockerGroup = "docker"

// Admitted tells whether this login may use the engine by its user or its groups.
func (g Ground) Admitted() bool {
	return g.Become == RootItself || slices.Contains(g.Groups, DockerGroup)
}

// String is what there is, for an error.
func (g Ground) String() string {
	var has []string
	for _, part := range []struct {
		there bool
		name  string
	}{{g.Client, "docker"}, {g.Engine, "dockerd"}, {g.Socket, "the engine's socket"}} {
		if part.there {
			has = append(has, part.name)
		}
	}
	if len(has) == 0 {
		return "neither docker, nor dockerd, nor the engine's socket"
	}
	return strings.Join(has, ", ")
}
