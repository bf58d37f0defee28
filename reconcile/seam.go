// Package reconcile observes the servers, carries plans out, and declares what it needs from the drivers. It knows neither
// SSH nor HTTP.
package reconcile

import (
	"context"
	"io"
	"io/fs"
	"time"

	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// Connection is one server, reached. One method call on any of its parts is one remote call: one point where a fault can be
// injected, one counted round trip. All parts are safe for concurrent use. After Close every call fails.
type Connection struct {
	Engine  Engine
	Files   Files
	Prober  Prober
	Proxy   Proxy
	Environ Environ
	Close   func() error
}

// Connector reaches a server. The error says which stage failed (name, dial, host key, authentication, engine socket) and
// what to do about it.
type Connector interface {
	Connect(ctx context.Context, host release.Host) (*Connection, error)
}

// Engine is the container engine of one host. A container that does not exist gives an error that is state.ErrNotFound; a name that is taken
// gives state.ErrConflict. Calls that repeat what is already so (start a running container, stop a stopped one, remove one that is gone,
// create a network that is there) succeed.
type Engine interface {
	Info(ctx context.Context) (state.Engine, error)

	// Containers lists in any state, newest first, without Asked, Live, Health and exit details: Inspect gives those.
	Containers(ctx context.Context, f state.Filter) ([]state.Container, error)
	Inspect(ctx context.Context, container string, v state.View) (state.Container, error)
	// Create makes a container that is not started, with values for every name in spec.Secrets. labels are added to the
	// spec's own (kamald.*). Where the network wants it, aliases come from the spec's options.
	Create(ctx context.Context, name string, spec state.Spec, labels map[string]string, secrets map[string]release.Secret) (id string, err error)
	Start(ctx context.Context, container string) error
	// Stop asks with the container's own signal, or the spec's, waits grace, then kills.
	Stop(ctx context.Context, container string, grace time.Duration) error
	Rename(ctx context.Context, container, name string) error
	// Update changes live resources: memory, memory-swap, memory-reservation, cpus, cpu-shares, cpuset-cpus, pids-limit, restart. Values are canonical.
	Update(ctx context.Context, container string, options map[string][]string) error
	// Remove kills it first when it runs.
	Remove(ctx context.Context, container string) error
	// Logs gives the last lines, stdout and stderr in their order, at most tail; those after a time, by the host's clock, where it is
	// not zero.
	Logs(ctx context.Context, container string, tail int, since time.Time) ([]string, error)
	Exec(ctx context.Context, container string, argv []string) (state.ExecResult, error)
	// ReadFile reads one file out of a container, running or not, at most 4 MiB. fs.ErrNotExist when it is not there.
	ReadFile(ctx context.Context, container, path string) ([]byte, error)

	// Images lists images whose reference is of the repository (server/repo), without inspected fields.
	Images(ctx context.Context, repository string) ([]state.Image, error)
	// Image inspects by ID or reference.
	Image(ctx context.Context, ref string) (state.Image, error)
	// ResolveDigest asks the registry, from the host, for the manifest digest (sha256:…) of a reference.
	ResolveDigest(ctx context.Context, ref string, auth release.Auth) (string, error)
	// Pull fetches a reference: repo:tag, or repo@sha256:….
	Pull(ctx context.Context, ref string, auth release.Auth) error
	Tag(ctx context.Context, image, ref string) error
	// RemoveImage takes a reference away, and the image with its last one. One in use is an error that is state.ErrConflict.
	RemoveImage(ctx context.Context, ref string) error
	// Load reads a `docker save` archive.
	Load(ctx context.Context, archive io.Reader) error
	// Save writes references as a `docker save` archive; the reader ends the call when closed.
	Save(ctx context.Context, refs ...string) (io.ReadCloser, error)

	Networks(ctx context.Context) ([]state.Network, error)
	CreateNetwork(ctx context.Context, name string) error
	ConnectNetwork(ctx context.Context, network, container string, aliases []string) error
}

// Files is the file system of one host as the SSH user sees it. A relative path begins at the user's home. Errors are
// fs.ErrNotExist, fs.ErrExist and fs.ErrPermission where they apply.
type Files interface {
	// Home is the absolute path that relative paths begin at.
	Home(ctx context.Context) (string, error)
	// Read reads a whole file, at most 4 MiB.
	Read(ctx context.Context, path string) ([]byte, error)
	// Write puts the file there in one go: temporary file, mode before content, rename. Directories that are missing are
	// made 0700.
	Write(ctx context.Context, path string, data []byte, mode fs.FileMode) error
	// Mkdir makes a directory exclusively: fs.ErrExist when it is there. Its parents are made when missing.
	Mkdir(ctx context.Context, path string) error
	Rename(ctx context.Context, from, to string) error
	// Append adds to a file's end, creating it 0600.
	Append(ctx context.Context, path string, data []byte) error
	// Remove takes a file or a directory with all that is in it; what is not there is no error.
	Remove(ctx context.Context, path string) error
	// List gives the names in a directory, sorted; empty when the directory is not there.
	List(ctx context.Context, path string) ([]string, error)
	// Modified is the file's time by that host's clock.
	Modified(ctx context.Context, path string) (time.Time, error)
	// Touch sets a file's time to that host's now, by rewriting it.
	Touch(ctx context.Context, path string) error
	// Free is the number of bytes that are free on the file system of path.
	Free(ctx context.Context, path string) (int64, error)
}

// Prober asks a container's own address, through the connection to its host.
type Prober interface {
	// HTTP sends one GET, following no redirect. The error is for what never answered.
	HTTP(ctx context.Context, address, path, hostHeader string) (state.HTTPResult, error)
	// TCP opens and closes a connection.
	TCP(ctx context.Context, address string) error
}

// Proxy drives the proxy container of one host.
type Proxy interface {
	// Routes reads what the proxy (a container's name or ID) keeps as its state; none when it has kept nothing yet.
	Routes(ctx context.Context, container string) ([]state.Route, error)
	// Deploy routes to the targets: it waits until they are healthy (at most deploy), switches, drains the old ones (at most drain),
	// and returns. All options are replaced.
	Deploy(ctx context.Context, container string, route state.Route, deploy, drain time.Duration) error
	// Remove takes the route away; one that is not there is no error.
	Remove(ctx context.Context, container, name string) error
	// Image gives a `docker save` archive of the proxy's image for an architecture, when the reference is one that kamald
	// makes itself; fs.ErrNotExist otherwise (then it is pulled).
	Image(ctx context.Context, ref, arch string) (io.ReadCloser, error)
}

// Environ is the environment that a host gives to its SSH user.
type Environ interface {
	// Variables gives those of the named variables that are set there.
	Variables(ctx context.Context, names []string) (map[string]string, error)
}

// Secrets looks secrets' values up on the machine that kamald runs on.
type Secrets interface {
	// Secret returns a value; false when no source has it. Names are those of deploy.hcl.
	Secret(name string) (release.Secret, bool, error)
	// Sources names the places that were searched, for errors.
	Sources() []string
}
