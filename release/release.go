// Package release is the desired release as a value, read from HCL with good diagnostics. It knows of no server.
package release

import (
	"slices"
	"time"

	"github.com/kamald/kamald/state"
)

// Release is what should be: one service at one version on its hosts, for one destination, with every default filled in.
// It has references to secrets and never a value, so that it can be kept whole in a release record (as JSON).
type Release struct {
	Service     string `json:"service"`
	Destination string `json:"destination,omitempty"`
	Repository  string `json:"repository"`        // without server and tag
	Version     string `json:"version,omitempty"` // "" until resolved: the file says git.sha, or has a version policy
	// VersionPolicy chooses the version where Version is empty; nil: there is none.
	VersionPolicy *VersionPolicy `json:"version_policy,omitempty"`

	PrimaryRole      string        `json:"primary_role"`
	RetainContainers int           `json:"retain_containers"`
	DeployTimeout    time.Duration `json:"deploy_timeout"`
	ReadinessDelay   time.Duration `json:"readiness_delay"`
	DrainTimeout     time.Duration `json:"drain_timeout"`
	RunDirectory     string        `json:"run_directory"` // relative to the SSH user's home, or absolute
	Network          string        `json:"network"`

	Registry    *Registry   `json:"registry,omitempty"` // nil: images are carried
	Build       Build       `json:"-"`                  // how the image is made; not part of what runs, see Build
	SSH         SSH         `json:"ssh"`
	Hosts       []Host      `json:"hosts"` // every host of every role, hosts of the primary role first, in file order, then those of accessories alone
	Roles       []Role      `json:"roles"` // the primary role first, then in file order
	Tags        []Tag       `json:"tags,omitempty"`
	Accessories []Accessory `json:"accessories,omitempty"` // in file order; they live beside the releases
	ProxyServer ProxyServer `json:"proxy_server"`
	Rollout     Rollout     `json:"rollout"`
	SecretFiles []string    `json:"secret_files"` // relative to the file's directory; read in this order, later ones win
	// SecretFetches are asked for what no file has; later ones win.
	SecretFetches []Fetch `json:"secret_fetches,omitempty"`

	Output Output `json:"output,omitzero"`

	// ErrorPages are what the proxy answers with in place of its own pages: NNN.html → text.
	ErrorPages map[string]string `json:"error_pages,omitempty"`

	Aliases []Alias `json:"-"` // names for commands; nothing of them runs
	Hooks   Hooks   `json:"-"` // what runs around a release; no part of what runs, see Hooks

	Reconcile Reconcile `json:"-"` // how the daemon keeps it so; no part of what runs, as Build is none

	// Leaving are hosts that left the release and may hold something of it still. Only a release record has them.
	Leaving []Host `json:"leaving,omitempty"`

	// Unbuilt names what the file uses and this build of kamald does not do: `plan` refuses it by name.
	Unbuilt []Unbuilt `json:"unbuilt,omitempty"`
}

// App is the name of what is released.
func (r Release) App() state.App {
	return state.App{Service: r.Service, Destination: r.Destination}
}

// ImageName is server/repository, what Kamal tags `:version` and `:latest`.
func (r Release) ImageName() string { return r.Named(r.Repository) }

// Named is the name of a repository in the release's registry.
func (r Release) Named(repository string) string {
	if r.Registry == nil || r.Registry.Server == "" {
		return repository
	}
	return r.Registry.Server + "/" + repository
}

// Image is the reference that containers are made from.
func (r Release) Image() string { return r.ImageName() + ":" + r.Version }

// Role finds a role by name, or an accessory as a role by the name that state.AccessoryRole gives it.
func (r Release) Role(name string) (Role, bool) {
	if of, is := state.AccessoryOf(name); is {
		accessory, ok := r.Accessory(of)
		return accessory.Role(), ok
	}
	i := slices.IndexFunc(r.Roles, func(role Role) bool { return role.Name == name })
	if i < 0 {
		return Role{}, false
	}
	return r.Roles[i], true
}

// Host finds a host by name.
func (r Release) Host(name string) (Host, bool) {
	i := slices.IndexFunc(r.Hosts, func(h Host) bool { return h.Name == name })
	if i < 0 {
		return Host{}, false
	}
	return r.Hosts[i], true
}

// PrimaryHost is the first host of the primary role: it holds the lock first. "" when that role has no hosts.
func (r Release) PrimaryHost() string {
	role, ok := r.Role(r.PrimaryRole)
	if !ok && len(r.Roles) == 0 && len(r.Hosts) > 0 {
		return r.Hosts[0].Name // accessories are all that there is
	}
	if !ok || len(role.Hosts) == 0 {
		return ""
	}
	return role.Hosts[0]
}

// Registry is where images come from.
type Registry struct {
	Server   string `json:"server"` // "" is Docker Hub
	Username string `json:"username,omitempty"`
	// UsernameSecret and PasswordSecret name secrets.
	UsernameSecret string `json:"username_secret,omitempty"`
	PasswordSecret string `json:"password_secret,omitempty"`
}

// SSH is how hosts are reached; a host's own block is laid over it.
type SSH struct {
	User         string        `json:"user"`
	UserDefault  bool          `json:"user_default,omitempty"` // User is the default: an ssh_config's User wins
	Port         int           `json:"port"`
	PortDefault  bool          `json:"port_default,omitempty"` // Port is the default: an ssh_config's Port wins
	Keys         []string      `json:"keys,omitempty"`         // files; empty: the agent, then the usual files
	KeysOnly     bool          `json:"keys_only,omitempty"`
	KeySecrets   []string      `json:"key_secrets,omitempty"` // names of secrets that hold private keys (PEM)
	Jump         string        `json:"jump,omitempty"`        // [user@]host[:port]
	ProxyCommand string        `json:"proxy_command,omitempty"`
	Config       []string      `json:"config,omitempty"` // ssh_config files; empty: none is read
	KnownHosts   []string      `json:"known_hosts"`
	AcceptNew    bool          `json:"accept_new,omitempty"`
	ForwardAgent bool          `json:"forward_agent,omitempty"` // commands on the host may use this machine's agent
	DialLimit    int           `json:"dial_limit"`
	Keepalive    time.Duration `json:"keepalive"`
	DNSRetries   int           `json:"dns_retries"`
}

// LocalHost is the host name that means this machine's own engine, with no SSH in between.
const LocalHost = "local"

// Host is one server.
type Host struct {
	Name    string   `json:"name"`    // the label, and KAMAL_HOST
	Address string   `json:"address"` // where SSH goes; default the name
	Tags    []string `json:"tags,omitempty"`
	HostKey string   `json:"host_key,omitempty"` // SHA256:… fingerprint that is pinned
	SSH     SSH      `json:"ssh,omitzero"`       // resolved: the root's with the host's own laid over it
}

// Env is environment variables: clear ones by value, secret ones by the name of the secret.
type Env struct {
	Clear   map[string]string `json:"clear,omitempty"`
	Secrets map[string]string `json:"secrets,omitempty"` // variable → the secret's name
	// FromHost are clear ones whose value is known on the host only.
	FromHost map[string]HostText `json:"from_host,omitempty"`
}

func newEnv() Env {
	return Env{Clear: map[string]string{}, Secrets: map[string]string{}, FromHost: map[string]HostText{}}
}

// Tag is environment for the hosts that bear it.
type Tag struct {
	Name  string   `json:"name"`
	Roles []string `json:"roles,omitempty"` // empty: every role
	Env   Env      `json:"env"`
}

// Role is a kind of container of the release and where it runs.
type Role struct {
	Name    string   `json:"name"`
	Primary bool     `json:"primary,omitempty"`
	Hosts   []string `json:"hosts"`         // names; host tags are already resolved
	Cmd     []string `json:"cmd,omitempty"` // nil: the image's
	// Env is the root's with the role's laid over it and `remove` taken away; a host's tags come on top (see EnvOn).
	Env       Env                 `json:"env"`
	Remove    []string            `json:"remove,omitempty"` // variables that the role takes away, also from tags
	Labels    map[string]string   `json:"labels,omitempty"` // root and role merged; never Kamal's three
	Volumes   []string            `json:"volumes,omitempty"`
	Options   map[string][]string `json:"options,omitempty"` // canonical, as state.Spec's; `restart` lifted out
	Restart   string              `json:"restart"`
	Logging   Logging             `json:"logging"`
	Proxy     *Proxy              `json:"proxy,omitempty"`  // nil: not proxied
	Health    *Health             `json:"health,omitempty"` // nil: the proxy's check when proxied; else Docker's, else readiness_delay
	Stop      Stop                `json:"stop"`
	Singleton bool                `json:"singleton,omitempty"`
	DependsOn []string            `json:"depends_on,omitempty"`
	Assets    *Assets             `json:"assets,omitempty"` // nil: there are none
}

// Places are the hosts where the role has a container: a singleton has one over all its hosts, on the first of them.
func (r Role) Places() []string {
	if r.Singleton && len(r.Hosts) > 1 {
		return r.Hosts[:1]
	}
	return r.Hosts
}

// EnvOn is the role's environment on one host: root < role < the host's tags in their order.
func (r Release) EnvOn(role Role, host Host) Env {
	env := newEnv()
	env.lay(role.Env)
	tags := host.Tags
	if _, is := state.AccessoryOf(role.Name); is {
		tags = nil // an accessory's environment is its own
	}
	for _, name := range tags {
		for _, tag := range r.Tags {
			if tag.Name == name && (len(tag.Roles) == 0 || slices.Contains(tag.Roles, role.Name)) {
				env.lay(tag.Env)
			}
		}
	}
	for _, name := range role.Remove {
		env.remove(name)
	}
	if len(env.FromHost) == 0 {
		env.FromHost = nil
	}
	return env
}

// HostVariables are the variables of a host's own environment that the release asks it for, sorted.
func (r Release) HostVariables(host Host) []string {
	var names []string
	for _, role := range r.Tenants() {
		if slices.Contains(role.Hosts, host.Name) {
			for _, text := range r.EnvOn(role, host).FromHost {
				names = append(names, text.Variables()...)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// lay puts over on top: a name is of one kind, whichever came last.
func (e Env) lay(over Env) {
	for name, value := range over.Clear {
		e.remove(name)
		e.Clear[name] = value
	}
	for name, text := range over.FromHost {
		e.remove(name)
		e.FromHost[name] = text
	}
	for name, secret := range over.Secrets {
		e.remove(name)
		e.Secrets[name] = secret
	}
}

func (e Env) remove(name string) {
	delete(e.Clear, name)
	delete(e.FromHost, name)
	delete(e.Secrets, name)
}

// Logging is the engine's log driver for a container.
type Logging struct {
	Driver  string            `json:"driver,omitempty"` // "": the engine's default
	Options map[string]string `json:"options,omitempty"`
}

// Stop is how a container is asked to end.
type Stop struct {
	Signal string        `json:"signal,omitempty"` // "": the image's
	Grace  time.Duration `json:"grace"`            // then SIGKILL
}

// Health is the check of a role without a proxy: exactly one of Exec, HTTP, TCP and Log is set.
type Health struct {
	Exec           []string      `json:"exec,omitempty"`
	HTTP           string        `json:"http,omitempty"` // [host]:port/path
	TCP            int           `json:"tcp,omitempty"`
	Log            string        `json:"log,omitempty"` // a regular expression that a log line matches
	Interval       time.Duration `json:"interval"`
	Timeout        time.Duration `json:"timeout"`
	MinHealthyTime time.Duration `json:"min_healthy_time"`
}

// Proxy is how a proxied role is reached.
type Proxy struct {
	AppPort int                `json:"app_port"`
	Options state.RouteOptions `json:"options"` // every default filled in
	// Certificate and PrivateKey name the secrets that hold the chain and its key as PEM; both or neither.
	Certificate string `json:"certificate,omitempty"`
	PrivateKey  string `json:"private_key,omitempty"`
}

// ProxyServer is the proxy container on each host that has a proxied role.
type ProxyServer struct {
	Declared    bool     `json:"declared,omitempty"` // the file has the block
	Driver      string   `json:"driver,omitempty"`   // state.DriverTraefik; "" for what takes kamal-proxy's commands
	Name        string   `json:"name"`               // the container's; default kamal-proxy
	Image       string   `json:"image"`
	HTTPPort    int      `json:"http_port"`
	HTTPSPort   int      `json:"https_port"`
	MetricsPort int      `json:"metrics_port,omitempty"`
	Bind        []string `json:"bind,omitempty"` // addresses; empty: all
	Publish     bool     `json:"publish"`
	LogMaxSize  string   `json:"log_max_size,omitempty"`
	Debug       bool     `json:"debug,omitempty"`
	// Options, Labels and Env as for a role.
	Options map[string][]string `json:"options,omitempty"`
	Labels  map[string]string   `json:"labels,omitempty"`
	Env     map[string]string   `json:"env,omitempty"`
	// Args are Traefik's own arguments by their names, without dashes.
	Args map[string][]string `json:"args,omitempty"`
}

// Output is where a run's log goes besides the terminal.
type Output struct {
	Dir  string `json:"dir,omitempty"`  // a file a run in it; relative to the file's directory
	OTel string `json:"otel,omitempty"` // a collector's endpoint, http:// or https://
}

// Limit is how many hosts at once: a count, or a percentage of the release's role hosts. The zero value is all.
type Limit struct {
	Count   int `json:"count,omitempty"`
	Percent int `json:"percent,omitempty"`
}

// Of is the number of hosts at once among total: a share is floored, and at least 1.
func (l Limit) Of(total int) int {
	n := total
	switch {
	case l.Count > 0:
		n = l.Count
	case l.Percent > 0:
		n = total * l.Percent / 100
	}
	return max(1, min(n, total))
}

// Rollout is how a release goes over the hosts.
type Rollout struct {
	Limit           Limit         `json:"limit"`
	Wait            time.Duration `json:"wait,omitempty"`
	ParallelRoles   bool          `json:"parallel_roles"`
	Halt            bool          `json:"halt,omitempty"`             // on_failure = "halt"; default rollback
	SkipUnreachable bool          `json:"skip_unreachable,omitempty"` // on_unreachable = "skip"; default fail
	Canary          *Canary       `json:"canary,omitempty"`           // nil: all of the traffic is switched at once
}

// Canary is how a new version is tried on a share of the traffic before all of it is switched.
type Canary struct {
	Percent int           `json:"percent"` // 1 to 100
	Hold    time.Duration `json:"hold"`
}

// Unbuilt is a use of something that this build does not do.
type Unbuilt struct {
	What  string `json:"what"`  // its name in the file: `accessory "redis"`, `rollout.canary`
	Where string `json:"where"` // file:line
	When  string `json:"when"`  // the command that must refuse it: "plan", or a later one such as "run" that alone needs it
}
