// Package state holds the observed world as values: what runs on the servers, the container specification, and the
// records of the history. It does no I/O, decides nothing, and has no field that can hold a secret's value.
package state

import "fmt"

// App names what one release is about: a service, and the destination it is deployed to.
type App struct {
	Service     string `json:"service"`
	Destination string `json:"destination,omitempty"`
}

// String is the form used for files on the servers: service[-destination].
func (a App) String() string {
	if a.Destination == "" {
		return a.Service
	}
	return a.Service + "-" + a.Destination
}

// ContainerPrefix is what every container name of the role begins with; the version follows it.
func (a App) ContainerPrefix(role string) string {
	prefix := a.Service + "-" + role + "-"
	if a.Destination != "" {
		prefix += a.Destination + "-"
	}
	return prefix
}

// ContainerName is Kamal's name for the role's container of a version.
func (a App) ContainerName(role, version string) string {
	return a.ContainerPrefix(role) + version
}

// ExecName is Kamal's name for a container that one command is run in; suffix are six hex digits.
func (a App) ExecName(role, version, suffix string) string {
	return a.ContainerPrefix(role) + "exec-" + version + "-" + suffix
}

// HookName is the name of the container in which a release runs a hook's command. No role's container has a name with a dot before
// its version's.
func (a App) HookName(hook string, number int) string {
	return fmt.Sprintf("%s-hook.%s-%d", a, hook, number)
}

// RouteName is the name under which the proxy knows the role.
func (a App) RouteName(role string) string {
	name := a.Service + "-" + role
	if a.Destination != "" {
		name += "-" + a.Destination
	}
	return name
}

// LatestTag is the tag that marks the current version on a host: latest, or latest-<destination>.
func (a App) LatestTag() string {
	if a.Destination == "" {
		return "latest"
	}
	return "latest-" + a.Destination
}
