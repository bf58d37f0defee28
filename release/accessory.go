package release

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/kamald/kamald/state"
)

// What happens to an accessory whose configuration changed.
const (
	OnChangePlan     = "plan"     // it is shown, and waits for `kamald accessory reboot`
	OnChangeRecreate = "recreate" // the release makes it anew
	OnChangeIgnore   = "ignore"   // nobody is told
)

// Accessory is a container that lives beside the releases, one on each of its hosts: a database, a cache.
type Accessory struct {
	Name     string    `json:"name"`
	Service  string    `json:"service"`            // the container's name, its label, and the directory of its files
	Image    string    `json:"image"`              // whole: server, repository, and a tag or a digest
	Registry *Registry `json:"registry,omitempty"` // of its image, where it has one of its own
	Hosts    []string  `json:"hosts"`              // names; roles and tags are resolved
	Cmd      []string  `json:"cmd,omitempty"`      // nil: the image's
	// Env is its own: neither the root's nor that of tags is laid under it.
	Env     Env                 `json:"env"`
	Labels  map[string]string   `json:"labels,omitempty"`
	Volumes []string            `json:"volumes,omitempty"` // without those of files and directories
	Network string              `json:"network"`
	Options map[string][]string `json:"options,omitempty"` // canonical, as state.Spec's; `port` is among them
	Restart string              `json:"restart"`
	Logging Logging             `json:"logging"`
	Proxy   *Proxy              `json:"proxy,omitempty"`  // nil: the proxy sends it nothing
	Health  *Health             `json:"health,omitempty"` // nil: the proxy's, else Docker's, else that its port answers, else readiness_delay
	Stop    Stop                `json:"stop"`

	Files       []Placed `json:"files,omitempty"`
	Directories []Placed `json:"directories,omitempty"`

	OnChange string `json:"on_change"`        // OnChangePlan, OnChangeRecreate, OnChangeIgnore
	Shared   bool   `json:"shared,omitempty"` // other destinations may name the same container
}

// Placed is a file that is put on a host, or a directory that is made there, and mounted.
type Placed struct {
	Path    string `json:"path"` // on the host: below the SSH user's home where it begins with ./, else absolute
	To      string `json:"to"`   // in the container
	Mode    string `json:"mode,omitempty"`
	Owner   string `json:"owner,omitempty"`   // user:group by number; "" is whoever makes it
	Options string `json:"options,omitempty"` // of the mount
	Content []Part `json:"content,omitempty"` // of a file; nil for a directory
	Missing string `json:"missing,omitempty"` // why there is no content: the file of this machine cannot be read
}

// Part is a part of a file's content: text, bytes that are none, or the value of a secret.
type Part struct {
	Text   string `json:"text,omitempty"`
	Data   []byte `json:"data,omitempty"`
	Secret string `json:"secret,omitempty"` // its name
}

// Accessory finds an accessory by name.
func (r Release) Accessory(name string) (Accessory, bool) {
	i := slices.IndexFunc(r.Accessories, func(a Accessory) bool { return a.Name == name })
	if i < 0 {
		return Accessory{}, false
	}
	return r.Accessories[i], true
}

// AccessoriesOn are the accessories on a host, in the file's order.
func (r Release) AccessoriesOn(host string) []Accessory {
	var list []Accessory
	for _, a := range r.Accessories {
		if slices.Contains(a.Hosts, host) {
			list = append(list, a)
		}
	}
	return list
}

// Tenants are the roles, and the accessories as roles: whatever has containers and secrets on hosts.
func (r Release) Tenants() []Role {
	tenants := slices.Clone(r.Roles)
	for _, a := range r.Accessories {
		tenants = append(tenants, a.Role())
	}
	return tenants
}

// Role is the accessory as a role, under the name state.AccessoryRole gives it.
func (a Accessory) Role() Role {
	return Role{Name: state.AccessoryRole(a.Name), Hosts: a.Hosts, Cmd: a.Cmd, Env: a.Env, Labels: a.Labels, Volumes: a.Volumes,
		Options: a.Options, Restart: a.Restart, Logging: a.Logging, Proxy: a.Proxy, Health: a.Health, Stop: a.Stop}
}

// Proxied are the tenants that the proxy sends requests to.
func (r Release) Proxied() []Role {
	return slices.DeleteFunc(r.Tenants(), func(role Role) bool { return role.Proxy == nil })
}

// RouteName is the name under which the proxy knows a role; an accessory, by the name that state.AccessoryRole gives it, is known by its
// container's. "" for an accessory that the release has not.
func (r Release) RouteName(role string) string {
	name, is := state.AccessoryOf(role)
	if !is {
		return r.App().RouteName(role)
	}
	accessory, _ := r.Accessory(name)
	return accessory.Service
}

// Secrets names the secrets that a file's content has in it, sorted.
func (p Placed) Secrets() []string {
	var names []string
	for _, part := range p.Content {
		if part.Secret != "" {
			names = append(names, part.Secret)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Clear is the content of a file without secrets in it; false for one that has some.
func (p Placed) Clear() ([]byte, bool) {
	var data []byte
	for _, part := range p.Content {
		if part.Secret != "" {
			return nil, false
		}
		data = append(append(data, part.Text...), part.Data...)
	}
	return data, true
}

// Fill is the content with the values of secrets in it; missing names the first that is not among them.
func (p Placed) Fill(values map[string]Secret) (content Secret, missing string) {
	var b strings.Builder
	for _, part := range p.Content {
		if part.Secret == "" {
			b.WriteString(part.Text)
			b.Write(part.Data)
			continue
		}
		value, ok := values[part.Secret]
		if !ok {
			return Secret{}, part.Secret
		}
		b.WriteString(value.Reveal())
	}
	return NewSecret(b.String()), ""
}

// FileDigest identifies the content of a file without secrets in it: the first 32 hex digits of its SHA-256.
func FileDigest(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:16])
}

// Mount is the volume that puts it into the container.
func (p Placed) Mount() string {
	mount := p.Path + ":" + p.To
	if p.Options != "" {
		mount += ":" + p.Options
	}
	return mount
}

// Mounts are all the volumes of the accessory: its own, then its files, then its directories.
func (a Accessory) Mounts() []string {
	mounts := slices.Clone(a.Volumes)
	for _, p := range slices.Concat(a.Files, a.Directories) {
		mounts = append(mounts, p.Mount())
	}
	return mounts
}

// Data names where the accessory keeps what outlives its container: directories of the host, and volumes of the engine's.
func (a Accessory) Data() (directories, volumes []string) {
	for _, p := range a.Directories {
		directories = append(directories, p.Path)
	}
	for _, volume := range a.Volumes {
		source, _, _ := strings.Cut(volume, ":")
		if strings.HasPrefix(source, "/") || strings.HasPrefix(source, "./") || strings.HasPrefix(source, "~/") {
			directories = append(directories, source)
		} else {
			volumes = append(volumes, source)
		}
	}
	return directories, volumes
}
