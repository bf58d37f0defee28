package reconcile

import (
	"context"
	"io"
	"time"

	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// Call names one remote call.
type Call struct {
	Host    string
	Method  string // "Engine.Start", "Files.Read", …
	Mutates bool
	Bulk    bool // over the connection for what takes long
}

// Interceptor runs around every remote call: it counts, bounds, traces, refuses or fails it.
type Interceptor func(ctx context.Context, call Call, next func(context.Context) error) error

// StepOf tells which step of a plan a call is of, "" when it is of none: for whoever traces calls.
func StepOf(ctx context.Context) string {
	step, _ := ctx.Value(stepKey{}).(string)
	return step
}

type stepKey struct{}

func withStep(ctx context.Context, step string) context.Context {
	return context.WithValue(ctx, stepKey{}, step)
}

// Intercept gives a connection whose every call goes through the interceptors, the first outermost.
func Intercept(host string, c *Connection, chain ...Interceptor) *Connection {
	around := caller{host: host, chain: chain}
	return &Connection{
		Bulk:      around.opens(c.Bulk),
		Engine:    engine{around, c.Engine},
		Files:     files{around, c.Files},
		Prober:    prober{around, c.Prober},
		Proxy:     proxy{around, c.Proxy},
		Environ:   environ{around, c.Environ},
		Registry:  registry{around, c.Registry},
		Installer: installer{around, c.Installer},
		Shell:     shell{around, c.Shell},
		Close:     c.Close,
	}
}

type caller struct {
	host  string
	chain []Interceptor
	bulk  bool
}

// opens lets the opening of a connection for what takes long go through the interceptors, and every call over it.
func (c caller) opens(open func(context.Context) (Engine, func() error, error)) func(context.Context) (Engine, func() error, error) {
	if open == nil {
		return nil
	}
	c.bulk = true
	return func(ctx context.Context) (opened Engine, end func() error, err error) {
		err = c.read(ctx, "Bulk", func(ctx context.Context) (err error) { opened, end, err = open(ctx); return })
		if err != nil {
			return nil, nil, err
		}
		return engine{c, opened}, end, nil
	}
}

func (c caller) read(ctx context.Context, method string, next func(context.Context) error) error {
	return c.call(ctx, Call{Host: c.host, Method: method, Bulk: c.bulk}, next)
}

func (c caller) write(ctx context.Context, method string, next func(context.Context) error) error {
	return c.call(ctx, Call{Host: c.host, Method: method, Mutates: true, Bulk: c.bulk}, next)
}

func (c caller) call(ctx context.Context, call Call, next func(context.Context) error) error {
	for i := len(c.chain) - 1; i >= 0; i-- {
		inner, around := next, c.chain[i]
		next = func(ctx context.Context) error { return around(ctx, call, inner) }
	}
	return next(ctx)
}

type engine struct {
	caller
	next Engine
}

func (e engine) Info(ctx context.Context) (info state.Engine, err error) {
	err = e.read(ctx, "Engine.Info", func(ctx context.Context) (err error) { info, err = e.next.Info(ctx); return })
	return
}

func (e engine) Ports(ctx context.Context) (held []state.Port, err error) {
	err = e.read(ctx, "Engine.Ports", func(ctx context.Context) (err error) { held, err = e.next.Ports(ctx); return })
	return
}

func (e engine) Containers(ctx context.Context, f state.Filter) (list []state.Container, err error) {
	err = e.read(ctx, "Engine.Containers", func(ctx context.Context) (err error) { list, err = e.next.Containers(ctx, f); return })
	return
}

func (e engine) Inspect(ctx context.Context, container string, v state.View) (c state.Container, err error) {
	err = e.read(ctx, "Engine.Inspect", func(ctx context.Context) (err error) { c, err = e.next.Inspect(ctx, container, v); return })
	return
}

func (e engine) Create(ctx context.Context, name string, spec state.Spec, labels map[string]string, secrets map[string]release.Secret) (id string, err error) {
	err = e.write(ctx, "Engine.Create", func(ctx context.Context) (err error) {
		id, err = e.next.Create(ctx, name, spec, labels, secrets)
		return
	})
	return
}

func (e engine) Start(ctx context.Context, container string) error {
	return e.write(ctx, "Engine.Start", func(ctx context.Context) error { return e.next.Start(ctx, container) })
}

func (e engine) Stop(ctx context.Context, container string, grace time.Duration) error {
	return e.write(ctx, "Engine.Stop", func(ctx context.Context) error { return e.next.Stop(ctx, container, grace) })
}

func (e engine) Rename(ctx context.Context, container, name string) error {
	return e.write(ctx, "Engine.Rename", func(ctx context.Context) error { return e.next.Rename(ctx, container, name) })
}

func (e engine) Update(ctx context.Context, container string, options map[string][]string) error {
	return e.write(ctx, "Engine.Update", func(ctx context.Context) error { return e.next.Update(ctx, container, options) })
}

func (e engine) Remove(ctx context.Context, container string) error {
	return e.write(ctx, "Engine.Remove", func(ctx context.Context) error { return e.next.Remove(ctx, container) })
}

func (e engine) Logs(ctx context.Context, container string, tail int, since time.Time) (lines []string, err error) {
	err = e.read(ctx, "Engine.Logs", func(ctx context.Context) (err error) { lines, err = e.next.Logs(ctx, container, tail, since); return })
	return
}

func (e engine) Exec(ctx context.Context, container string, argv []string) (result state.ExecResult, err error) {
	err = e.write(ctx, "Engine.Exec", func(ctx context.Context) (err error) { result, err = e.next.Exec(ctx, container, argv); return })
	return
}

func (e engine) ReadFile(ctx context.Context, container, path string) (data []byte, err error) {
	err = e.read(ctx, "Engine.ReadFile", func(ctx context.Context) (err error) { data, err = e.next.ReadFile(ctx, container, path); return })
	return
}

func (e engine) Download(ctx context.Context, container, dir string) (archive io.ReadCloser, err error) {
	err = e.read(ctx, "Engine.Download", func(ctx context.Context) (err error) {
		archive, err = e.next.Download(ctx, container, dir)
		return
	})
	return
}

func (e engine) Upload(ctx context.Context, container, dir string, archive io.Reader) error {
	return e.write(ctx, "Engine.Upload", func(ctx context.Context) error { return e.next.Upload(ctx, container, dir, archive) })
}

func (e engine) Images(ctx context.Context, repository string) (list []state.Image, err error) {
	err = e.read(ctx, "Engine.Images", func(ctx context.Context) (err error) { list, err = e.next.Images(ctx, repository); return })
	return
}

func (e engine) Image(ctx context.Context, ref string) (image state.Image, err error) {
	err = e.read(ctx, "Engine.Image", func(ctx context.Context) (err error) { image, err = e.next.Image(ctx, ref); return })
	return
}

func (e engine) Manifest(ctx context.Context, ref string, auth release.Auth) (m state.Manifest, err error) {
	err = e.read(ctx, "Engine.Manifest", func(ctx context.Context) (err error) { m, err = e.next.Manifest(ctx, ref, auth); return })
	return
}

func (e engine) Pull(ctx context.Context, ref, platform string, auth release.Auth) error {
	return e.write(ctx, "Engine.Pull", func(ctx context.Context) error { return e.next.Pull(ctx, ref, platform, auth) })
}

func (e engine) Tag(ctx context.Context, image, ref string) error {
	return e.write(ctx, "Engine.Tag", func(ctx context.Context) error { return e.next.Tag(ctx, image, ref) })
}

func (e engine) RemoveImage(ctx context.Context, ref string) error {
	return e.write(ctx, "Engine.RemoveImage", func(ctx context.Context) error { return e.next.RemoveImage(ctx, ref) })
}

func (e engine) Load(ctx context.Context, archive io.Reader) error {
	return e.write(ctx, "Engine.Load", func(ctx context.Context) error { return e.next.Load(ctx, archive) })
}

func (e engine) Save(ctx context.Context, refs ...string) (archive io.ReadCloser, err error) {
	err = e.read(ctx, "Engine.Save", func(ctx context.Context) (err error) { archive, err = e.next.Save(ctx, refs...); return })
	return
}

func (e engine) Networks(ctx context.Context) (list []state.Network, err error) {
	err = e.read(ctx, "Engine.Networks", func(ctx context.Context) (err error) { list, err = e.next.Networks(ctx); return })
	return
}

func (e engine) CreateNetwork(ctx context.Context, name string) error {
	return e.write(ctx, "Engine.CreateNetwork", func(ctx context.Context) error { return e.next.CreateNetwork(ctx, name) })
}

func (e engine) ConnectNetwork(ctx context.Context, network, container string, aliases []string) error {
	return e.write(ctx, "Engine.ConnectNetwork", func(ctx context.Context) error {
		return e.next.ConnectNetwork(ctx, network, container, aliases)
	})
}

func (e engine) RemoveVolume(ctx context.Context, name string) error {
	return e.write(ctx, "Engine.RemoveVolume", func(ctx context.Context) error { return e.next.RemoveVolume(ctx, name) })
}

func (e engine) Events(ctx context.Context, since time.Time, heard func(state.EngineEvent)) error {
	return e.read(ctx, "Engine.Events", func(ctx context.Context) error { return e.next.Events(ctx, since, heard) })
}

type prober struct {
	caller
	next Prober
}

func (p prober) HTTP(ctx context.Context, address, path, hostHeader string) (result state.HTTPResult, err error) {
	err = p.read(ctx, "Prober.HTTP", func(ctx context.Context) (err error) {
		result, err = p.next.HTTP(ctx, address, path, hostHeader)
		return
	})
	return
}

func (p prober) TCP(ctx context.Context, address string) error {
	return p.read(ctx, "Prober.TCP", func(ctx context.Context) error { return p.next.TCP(ctx, address) })
}

type proxy struct {
	caller
	next Proxy
}

func (p proxy) Routes(ctx context.Context, container string) (routes []state.Route, err error) {
	err = p.read(ctx, "Proxy.Routes", func(ctx context.Context) (err error) { routes, err = p.next.Routes(ctx, container); return })
	return
}

func (p proxy) Deploy(ctx context.Context, container string, route state.Route, deploy, drain time.Duration) error {
	return p.write(ctx, "Proxy.Deploy", func(ctx context.Context) error {
		return p.next.Deploy(ctx, container, route, deploy, drain)
	})
}

func (p proxy) Remove(ctx context.Context, container, name string) error {
	return p.write(ctx, "Proxy.Remove", func(ctx context.Context) error { return p.next.Remove(ctx, container, name) })
}

func (p proxy) Pause(ctx context.Context, container, name string, drain, most time.Duration) error {
	return p.write(ctx, "Proxy.Pause", func(ctx context.Context) error { return p.next.Pause(ctx, container, name, drain, most) })
}

func (p proxy) Stop(ctx context.Context, container, name, message string, drain time.Duration) error {
	return p.write(ctx, "Proxy.Stop", func(ctx context.Context) error { return p.next.Stop(ctx, container, name, message, drain) })
}

func (p proxy) Resume(ctx context.Context, container, name string) error {
	return p.write(ctx, "Proxy.Resume", func(ctx context.Context) error { return p.next.Resume(ctx, container, name) })
}

func (p proxy) RolloutDeploy(ctx context.Context, container, name string, targets []string, deploy, drain time.Duration) error {
	return p.write(ctx, "Proxy.RolloutDeploy", func(ctx context.Context) error {
		return p.next.RolloutDeploy(ctx, container, name, targets, deploy, drain)
	})
}

func (p proxy) RolloutSet(ctx context.Context, container, name string, percent int) error {
	return p.write(ctx, "Proxy.RolloutSet", func(ctx context.Context) error { return p.next.RolloutSet(ctx, container, name, percent) })
}

func (p proxy) RolloutStop(ctx context.Context, container, name string, drain time.Duration) error {
	return p.write(ctx, "Proxy.RolloutStop", func(ctx context.Context) error { return p.next.RolloutStop(ctx, container, name, drain) })
}

func (p proxy) Sides(ctx context.Context, container, name string) (sides state.Sides, err error) {
	err = p.read(ctx, "Proxy.Sides", func(ctx context.Context) (err error) { sides, err = p.next.Sides(ctx, container, name); return })
	return
}

func (p proxy) List(ctx context.Context, container string) (routes []state.LiveRoute, err error) {
	err = p.read(ctx, "Proxy.List", func(ctx context.Context) (err error) { routes, err = p.next.List(ctx, container); return })
	return
}

func (p proxy) Prepare(ctx context.Context) error {
	return p.write(ctx, "Proxy.Prepare", p.next.Prepare)
}

func (p proxy) Answers(ctx context.Context, container string) error {
	return p.read(ctx, "Proxy.Answers", func(ctx context.Context) error { return p.next.Answers(ctx, container) })
}

func (p proxy) About(ctx context.Context, container string) (program state.Program, err error) {
	err = p.read(ctx, "Proxy.About", func(ctx context.Context) (err error) { program, err = p.next.About(ctx, container); return })
	return
}

func (p proxy) Upgrade(ctx context.Context, container string, drain time.Duration) error {
	return p.write(ctx, "Proxy.Upgrade", func(ctx context.Context) error { return p.next.Upgrade(ctx, container, drain) })
}

func (p proxy) Program(ctx context.Context, ref, arch string) (io.ReadCloser, error) {
	return p.next.Program(ctx, ref, arch) // made on this machine: no remote call
}

func (p proxy) Image(ctx context.Context, ref, arch string) (io.ReadCloser, error) {
	return p.next.Image(ctx, ref, arch) // made on this machine: no remote call
}

type environ struct {
	caller
	next Environ
}

func (e environ) Variables(ctx context.Context, names []string) (found map[string]string, err error) {
	err = e.read(ctx, "Environ.Variables", func(ctx context.Context) (err error) { found, err = e.next.Variables(ctx, names); return })
	return
}

type registry struct {
	caller
	next Registry
}

func (r registry) Size(ctx context.Context, ref, platform string, auth release.Auth) (size int64, err error) {
	err = r.read(ctx, "Registry.Size", func(ctx context.Context) (err error) { size, err = r.next.Size(ctx, ref, platform, auth); return })
	return
}

func (r registry) Tags(ctx context.Context, repository string, auth release.Auth) (tags []string, err error) {
	err = r.read(ctx, "Registry.Tags", func(ctx context.Context) (err error) { tags, err = r.next.Tags(ctx, repository, auth); return })
	return
}
