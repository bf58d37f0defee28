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
	// Registry asks image registries as that host sees them.
	Registry Registry
	// Installer needs no engine there.
	Installer Installer
	// Shell needs none either.
	Shell Shell
	Close func() error
	// Bulk opens a connection of its own to the same engine, for what takes long, so that nothing else waits behind it; nil: there
	// is no other way than Engine. What it gives is closed by the function.
	Bulk func(ctx context.Context) (Engine, func() error, error)
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
	// Ports lists the ports of the host that running containers publish, of every service.
	Ports(ctx context.Context) ([]state.Port, error)
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
	// ReadLog tells a container's lines one after another, each stream's in its order; told holds the next one up. With q.Follow it has no
	// limit and ends with the container. The error is state.ErrNoLog where the log cannot be read, state.ErrUnreachable where the
	// connection or the engine went in the middle of it.
	ReadLog(ctx context.Context, container string, q state.LogQuery, told func(state.LogLine)) error
	Exec(ctx context.Context, container string, argv []string) (state.ExecResult, error)
	// Converse is Exec with streams, further variables, and no limit: for as long as the command runs. It gives its exit code. When ctx
	// ends first the command goes on in the container, without its streams.
	Converse(ctx context.Context, container string, argv []string, env map[string]release.Secret, s state.Streams) (code int, err error)
	// RunThrough starts a container that was made and carries its streams until it ends; it gives its exit code. It has no limit. When ctx
	// ends first the container goes on. One that could not be started has an error and stays as it was made.
	RunThrough(ctx context.Context, container string, s state.Streams) (code int, err error)
	// ReadFile reads one file out of a container, running or not, at most 4 MiB. fs.ErrNotExist when it is not there.
	ReadFile(ctx context.Context, container, path string) ([]byte, error)
	// Download gives a directory of a container, running or not, as a tar archive whose first entry is the directory; a link at the
	// path is followed. fs.ErrNotExist when it is not there. The reader ends the call when closed.
	Download(ctx context.Context, container, dir string) (io.ReadCloser, error)
	// Upload unpacks a tar archive into a directory of a container, running or not; files that are there are replaced.
	Upload(ctx context.Context, container, dir string, archive io.Reader) error

	// Images lists images whose reference is of the repository (server/repo), without inspected fields; "" lists all of them.
	Images(ctx context.Context, repository string) ([]state.Image, error)
	// Image inspects by ID or reference.
	Image(ctx context.Context, ref string) (state.Image, error)
	// Manifest asks the registry, from the host, what it has under a reference. What a registry is at fault for, here and in Pull, is a
	// *state.RegistryError.
	Manifest(ctx context.Context, ref string, auth release.Auth) (state.Manifest, error)
	// Pull fetches a reference: repo:tag, or repo@sha256:…. Of a list for several platforms it takes what there is for one
	// (os/architecture[/variant]), and for "" the engine's own. It has no limit but one of silence: state.FaultStalled.
	Pull(ctx context.Context, ref, platform string, auth release.Auth) error
	// Login asks the registry, from the host, whether it lets in who shows these credentials. Nothing is kept of them. What a registry is
	// at fault for is a *state.RegistryError.
	Login(ctx context.Context, auth release.Auth) error
	Tag(ctx context.Context, image, ref string) error
	// RemoveImage takes a reference away, and the image with its last one. One in use is an error that is state.ErrConflict.
	RemoveImage(ctx context.Context, ref string) error
	// Load reads a `docker save` archive. Layers that the engine has, as the lowest of some image, need not be in it, where
	// containerd does not keep its images; each that is in it is held to its digest. Of an archive that fails nothing stays.
	Load(ctx context.Context, archive io.Reader) error
	// Save writes references as a `docker save` archive; the reader ends the call when closed.
	Save(ctx context.Context, refs ...string) (io.ReadCloser, error)

	Networks(ctx context.Context) ([]state.Network, error)
	// CreateNetwork makes one; of several that runs make at once one stays, and no call fails for that.
	CreateNetwork(ctx context.Context, name string) error
	ConnectNetwork(ctx context.Context, network, container string, aliases []string) error
	// RemoveVolume takes a volume away with what is in it. One that a container has, running or not, is an error that is
	// state.ErrConflict; one that is not there is state.ErrNotFound.
	RemoveVolume(ctx context.Context, name string) error

	// Events follows what happens there: to containers that bear the label service, to proxies, to images, and containers' connections to
	// networks. It begins at a time by the engine's clock, as far back as the engine remembers; zero: from now on. heard gets each event
	// in the engine's order, one at a time, and holds the next up. Events ends with why the stream ended: state.ErrUnreachable when the
	// connection or the engine went, the context's cause when that ended. It has no limit.
	Events(ctx context.Context, since time.Time, heard func(state.EngineEvent)) error
}

// Files is the file system of one host as the SSH user sees it. A relative path begins at the user's home. Errors are
// fs.ErrNotExist, fs.ErrExist and fs.ErrPermission where they apply.
type Files interface {
	// Home is the absolute path that relative paths begin at.
	Home(ctx context.Context) (string, error)
	// Read reads a whole file, at most 4 MiB; state.ErrDirectory when it is none, fs.ErrPermission when the user may not.
	Read(ctx context.Context, path string) ([]byte, error)
	// Write puts the file there in one go: temporary file, mode before content, rename. Directories that are missing are
	// made 0700.
	Write(ctx context.Context, path string, data []byte, mode fs.FileMode) error
	// Mkdir makes a directory exclusively: fs.ErrExist when it is there. Its parents are made when missing.
	Mkdir(ctx context.Context, path string) error
	Rename(ctx context.Context, from, to string) error
	// Unpack makes a directory, fs.ErrExist when it is there, of the directories, files and links of a tar archive as Engine.Download
	// gives it. All of it is the user's, and everybody may read it. Of one that fails a part may be there.
	Unpack(ctx context.Context, dir string, archive io.Reader) error
	// Share gives the tree at to all that the tree at from has and it has not: its files are hard links where the file system has
	// such, else copies. What is there is left as it is. Missing directories are made; fs.ErrNotExist when there is no from.
	Share(ctx context.Context, from, to string) error
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
	// Stat gives the permissions and the owner of a file or a directory, as four octal digits and as user:group by number; a link is
	// followed. fs.ErrNotExist when it is not there.
	Stat(ctx context.Context, path string) (state.File, error)
	// Chmod sets the permissions of a file or a directory.
	Chmod(ctx context.Context, path string, mode fs.FileMode) error
	// Chown gives a file or a directory to a user and a group, by number; -1 leaves one as it is. Only root may give away.
	Chown(ctx context.Context, path string, user, group int) error
	// Free is the number of bytes that are free on the file system of path, -1 when nobody says, and its size in bytes, 0 when nobody says.
	Free(ctx context.Context, path string) (free, size int64, err error)
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
	// Pause holds the requests of a route until it is resumed, each at most so long, and lets those in flight end (at most drain).
	// One that is not there gives state.ErrNotFound, here and below. What is paused or stopped stays so through deploys and restarts.
	Pause(ctx context.Context, container, name string, drain, most time.Duration) error
	// Stop answers the requests of a route with 503 and the message until it is resumed, and lets those in flight end (at most drain).
	Stop(ctx context.Context, container, name, message string, drain time.Duration) error
	// Resume ends a pause and a stop.
	Resume(ctx context.Context, container, name string) error
	// RolloutDeploy puts targets beside a route's own, once they are healthy (at most deploy); they get no request until RolloutSet, but
	// by the share of an earlier rollout, whose targets are drained (at most drain).
	RolloutDeploy(ctx context.Context, container, name string, targets []string, deploy, drain time.Duration) error
	// RolloutSet gives the rollout a share of the route's requests, 0 to 100.
	RolloutSet(ctx context.Context, container, name string, percent int) error
	// RolloutStop gives the route's own targets all requests again and drains the rollout's (at most drain, as the proxy was told by
	// RolloutDeploy; that bounds the call). A route without a rollout, and one that is not there, is no error.
	RolloutStop(ctx context.Context, container, name string, drain time.Duration) error
	// Sides counts the answers of both sides of a route's rollout; state.ErrNotFound without one.
	Sides(ctx context.Context, container, name string) (state.Sides, error)
	// List asks the running proxy what it routes: Routes is what it keeps, and a proxy may have started without having read that.
	List(ctx context.Context, container string) ([]state.LiveRoute, error)
	// Prepare puts on the host what the proxy's container finds there at its start; it comes before the container is made.
	Prepare(ctx context.Context) error
	// Answers asks once whether the proxy takes commands and knows its routes; nil when it does.
	Answers(ctx context.Context, container string) error
	// About gives what the proxy says of itself; fs.ErrNotExist for one that is not kamald-proxy. It may be of an earlier program in the
	// same volume: its Started says so.
	About(ctx context.Context, container string) (state.Program, error)
	// Upgrade replaces the program of a running proxy by the one that Program has put into its container. It loses no request: the old one
	// ends its own within drain. After a failure the old one serves on.
	Upgrade(ctx context.Context, container string, drain time.Duration) error
	// Program gives a tar archive of the proxy's program of an image, to be unpacked into ProgramDir of its container; fs.ErrNotExist where
	// Image gives that.
	Program(ctx context.Context, ref, arch string) (io.ReadCloser, error)
	// Image gives a `docker save` archive of the proxy's image for an architecture, when the reference is one that kamald
	// makes itself; fs.ErrNotExist otherwise (then it is pulled).
	Image(ctx context.Context, ref, arch string) (io.ReadCloser, error)
}

// ProgramDir is where a proxy's container has its program.
const ProgramDir = "/usr/local/bin"

// Registry asks the registry that images come from. A call may take several questions; it is one all the same.
type Registry interface {
	// Tags lists the tags of a repository (server/repo). state.ErrNotFound when there is no such repository, state.ErrDenied when the
	// registry refused who asked.
	Tags(ctx context.Context, repository string, auth release.Auth) ([]string, error)
	// Size gives how many bytes of an image (repository@digest) the registry holds, of a list those for a platform (os/arch).
	Size(ctx context.Context, ref, platform string, auth release.Auth) (int64, error)
}

// Environ is the environment that a host gives to its SSH user.
type Environ interface {
	// Variables gives those of the named variables that are set there.
	Variables(ctx context.Context, names []string) (map[string]string, error)
}

// Shell runs command lines as the SSH user, by the shell that the user has on the host.
type Shell interface {
	// Run runs a line to its end and gives its exit code; one that a signal ended has 128 and more. It has no limit. When ctx ends first
	// the command is asked to stop. A host that is this machine has no terminal to give.
	Run(ctx context.Context, line string, s state.Streams) (code int, err error)
}

// Installer makes a host ready that has no engine that answers. It needs a shell there and nothing else.
type Installer interface {
	// Look tells what is there; it changes nothing.
	Look(ctx context.Context) (state.Ground, error)
	// Install puts Docker there, by its official script or by the distribution's package. say gets each line of what is said on the
	// way, one at a time. Nothing is left of a download that failed or was not whole. An installation that has begun goes on to its end
	// when ctx is cancelled.
	Install(ctx context.Context, fromDistro bool, say func(line string)) error
	// Start starts the engine, now and at every boot; one that runs is left as it is.
	Start(ctx context.Context, say func(line string)) error
	// Admit lets the SSH user use the engine, in logins from then on.
	Admit(ctx context.Context) error
	// Said gives the last lines that the engine has logged.
	Said(ctx context.Context) ([]string, error)
}

// Hooks runs commands on the machine that kamald runs on.
type Hooks interface {
	// Run runs a command to its end in a directory, with env laid over this process's own environment (a variable without a value is taken
	// away) and the secrets. say gets each line that it writes, one at a time. When ctx ends all its processes are ended, and the error is
	// the context's cause.
	Run(ctx context.Context, dir string, argv []string, env map[string]string, secrets map[string]release.Secret, say func(line string)) error
}

// Secrets looks secrets' values up on the machine that kamald runs on.
type Secrets interface {
	// Secret returns a value; false when no source has it. Names are those of deploy.hcl.
	Secret(name string) (release.Secret, bool, error)
	// Renew is Secret for one that was refused: what it was looked up in is asked anew, its command run again. Later calls of Secret
	// give the new value.
	Renew(name string) (release.Secret, bool, error)
	// Sources names the places that were searched, for errors.
	Sources() []string
}
