package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/kamald/kamald/console"
	"github.com/kamald/kamald/drivers/image"
	"github.com/kamald/kamald/drivers/secrets"
	"github.com/kamald/kamald/drivers/source"
	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/reconcile/group"
	"github.com/kamald/kamald/reconcile/loop"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// comparator names the comparison that this build makes. It is raised with every change that may call something drift that was none
// before.
const comparator = "1"

// assembled is what one reading of the bastion's file makes.
type assembled struct {
	loop    *loop.Loop
	group   *group.Group // nil: no other daemon shares the apps
	daemon  driving      // of the two the one that is asked
	servers []served
	metrics *console.Metrics
	people  []*people
	outputs *outputs
}

// driving is what answers for all apps.
type driving interface {
	console.Daemon
	Looked() bool
}

// assemble wires everything; nothing is reached yet. What listens does so from here on.
func (s *service) assemble(ctx context.Context, bastion release.Bastion) (d *assembled, err error) {
	d = &assembled{outputs: newOutputs(s.log)}
	defer func() {
		if err != nil {
			d.close()
		}
	}()
	told := map[state.App]*people{}
	opened := map[state.App]func(release.Release) (*reconcile.Controller, error){}
	options := loop.Options{
		Store: s.store, Comparator: version + "/" + comparator, Jitter: jitter,
		Open: func(desired release.Release) (*reconcile.Controller, error) { return opened[desired.App()](desired) },
		Notify: func(t loop.Transition) {
			s.logTransition(t)
			told[t.App].tell(t)
		},
		Log: func(n loop.Notice) {
			s.logNotice(n)
			d.outputs.take(n)
		},
	}
	if s.share != nil {
		d.group = s.share.group()
		options.Leadership = d.group
	}
	d.loop = loop.New(options)
	d.daemon = d.loop
	if d.group != nil {
		d.group.Drives(d.loop)
		d.daemon = d.group
	}
	for _, driven := range bastion.Apps {
		hears, err := s.newPeople(driven)
		if err != nil {
			return d, err
		}
		d.people = append(d.people, hears)
		noted := func(desired release.Release) { d.outputs.read(desired, driven.Source, filepath.Dir(s.path)) }
		for _, destination := range driven.Destinations {
			app := state.App{Service: driven.Service, Destination: destination}
			told[app], opened[app] = hears, s.opener(ctx, driven)
			if err := d.loop.Drive(loop.Settings{App: app, Mode: driven.Mode, ImageWait: driven.ImageWait, Source: proposals{newSource(driven, destination, s.path), noted}}); err != nil {
				return d, err
			}
		}
	}
	d.metrics = console.NewMetrics(console.MetricsOptions{Daemon: d.daemon, Version: version, StoreBytes: s.storeBytes})
	return d, s.console(ctx, bastion, d)
}

// close ends what is not the loop's.
func (d *assembled) close() {
	for _, server := range d.servers {
		_ = server.Listener.Close()
	}
	for _, p := range d.people {
		p.close()
	}
	d.outputs.close()
}

// opener makes an app's controllers: the daemon's secrets are those of the bastion's file, else those that the app's file names.
func (s *service) opener(ctx context.Context, driven release.DrivenApp) func(release.Release) (*reconcile.Controller, error) {
	first := &preConnect{}
	return func(desired release.Release) (*reconcile.Controller, error) {
		values, err := s.secretsOf(driven, desired)
		if err != nil {
			return nil, err
		}
		c := reconcile.NewController(reconcile.NewFleet(newConnector(desired, values), trace(s.log)), s.store, values)
		c.NewSpool = func() reconcile.Spool { return &image.Spool{} }
		if s.p.reach != nil {
			return nil, errors.New("the daemon reaches servers by their own way only")
		}
		hooked(c, values, "run")
		return c, first.run(ctx, c, desired)
	}
}

// preConnect runs the hooks before an app's first connection, until they have succeeded once.
type preConnect struct {
	mu   sync.Mutex
	over bool
}

func (p *preConnect) run(ctx context.Context, c *reconcile.Controller, desired release.Release) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over {
		return nil
	}
	about := reconcile.HookAbout{}
	for _, on := range desired.Hosts {
		about.Hosts = append(about.Hosts, on.Name)
	}
	err := c.RunHooks(ctx, desired, release.HookPreConnect, about)
	p.over = err == nil && len(desired.Hooks.List) > 0
	return err
}

func (s *service) secretsOf(driven release.DrivenApp, desired release.Release) (*secrets.Lookup, error) {
	dir, files := filepath.Dir(driven.Source.Path), desired.SecretFiles
	if len(driven.SecretFiles) > 0 {
		return secrets.Load("/", driven.SecretFiles, nil, nil)
	}
	if driven.Source.Kind == release.SourceGit { // nobody commits secrets
		return secrets.Load("/", nil, desired.SecretFetches, nil)
	}
	return secrets.Load(dir, files, desired.SecretFetches, nil)
}

// proposals gives the loop what a source proposes.
type proposals struct {
	source.Source
	noted func(release.Release) // hears what was read
}

// Read implements loop.Source.
func (p proposals) Read(ctx context.Context) (loop.Proposal, error) {
	found, err := p.Source.Read(ctx)
	if err != nil {
		return loop.Proposal{}, err
	}
	p.noted(found.Release)
	return loop.Proposal{Release: found.Release, From: found.From}, refuseUnbuilt(found.Release)
}

// jitter keeps daemons that began together from acting together.
func jitter(most time.Duration) time.Duration {
	if most <= 0 {
		return 0
	}
	return rand.N(most)
}

// console answers on the socket, and where the file says else.
func (s *service) console(ctx context.Context, bastion release.Bastion, d *assembled) error {
	tokens := make([]console.Token, 0, len(bastion.Tokens))
	for _, t := range bastion.Tokens {
		role, err := console.RoleOf(t.Role)
		if err != nil {
			return err
		}
		tokens = append(tokens, console.Token{Name: t.Name, Hash: t.Hash, Role: role, Apps: t.Apps})
	}
	server, err := console.New(console.Options{Daemon: d.daemon, History: s.store, Tokens: tokens, Owner: console.Owner{UID: os.Geteuid(), GID: os.Getegid()},
		Version: version, Log: s.log, Ready: func(context.Context) error { return s.ready(d.daemon) }})
	if err != nil {
		return err
	}
	listener, err := s.socket.listen(cmp.Or(bastion.Listen.Socket, s.path+".sock"))
	if err != nil {
		return err
	}
	d.servers = append(d.servers, served{Server: server.HTTP(console.ViaSocket), Listener: listener})
	for _, on := range []struct {
		address          string
		via              console.Via
		certificate, key string
	}{{bastion.Listen.HTTP, console.ViaLoopback, "", ""}, {bastion.Listen.HTTPS, console.ViaHTTPS, bastion.Listen.Certificate, bastion.Listen.Key}} {
		if on.address == "" {
			continue
		}
		listener, err := net.Listen("tcp", on.address)
		if err != nil {
			return fmt.Errorf("listen: %w", err)
		}
		d.servers = append(d.servers, served{Server: server.HTTP(on.via), Listener: listener, certificate: on.certificate, key: on.key})
	}
	if address := bastion.Metrics.Listen; address != "" {
		listener, err := net.Listen("tcp", address)
		if err != nil {
			return fmt.Errorf("metrics: %w", err)
		}
		mux := http.NewServeMux()
		mux.Handle("GET /metrics", d.metrics.Handler())
		d.servers = append(d.servers, served{Server: &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}, Listener: listener})
	}
	return nil
}

// ready tells why the daemon cannot do its work; nil when it can.
func (s *service) ready(daemon driving) error {
	if !daemon.Looked() {
		return errors.New("not every app has been looked at yet")
	}
	return s.store.Writable()
}

// listen serves until the context ends, and lets what is being answered end.
func (d *assembled) listen(ctx context.Context, server served, log zerolog.Logger) {
	stop := context.AfterFunc(ctx, func() {
		short, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		if server.Shutdown(short) != nil {
			_ = server.Server.Close() // events that are followed do not end by themselves
		}
	})
	defer stop()
	var err error
	if server.certificate != "" {
		err = server.ServeTLS(server.Listener, server.certificate, server.key)
	} else {
		err = server.Serve(server.Listener)
	}
	if err != nil && !errors.Is(err, http.ErrServerClosed) && ctx.Err() == nil {
		log.Error().Err(err).Str("address", server.Listener.Addr().String()).Msg("it does not listen any more")
	}
}
