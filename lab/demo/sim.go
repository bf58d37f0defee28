package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/kamald/kamald/drivers/sim"
	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
	"github.com/kamald/kamald/state/bolt"
)

// simStage plays on a simulated host: kamald's own planner and executor, over a server in memory.
type simStage struct {
	dir   string
	out   io.Writer
	world *sim.World
	store *bolt.Store
	own   *reconcile.Controller
}

func newSimStage(dir string, out io.Writer) (*simStage, error) {
	store, err := bolt.Open(filepath.Join(dir, "state.db"))
	if err != nil {
		return nil, err
	}
	s := &simStage{dir: dir, out: out, world: sim.New(1), store: store}
	s.world.AddHost(host)
	s.own = reconcile.NewController(reconcile.NewFleet(simulated{s.world.Connector()}), store, noSecrets{})
	var one sync.Mutex // steps end at once
	s.own.Report = func(p reconcile.Progress) {
		one.Lock()
		defer one.Unlock()
		if p.Kind != "begin" {
			fmt.Fprintf(out, "%-8s %s\n", p.Kind, p.Message)
		}
	}
	return s, nil
}

// simulated gives the simulator's connections the form that the executor takes.
type simulated struct{ connector *sim.Connector }

func (s simulated) Connect(ctx context.Context, on release.Host) (*reconcile.Connection, error) {
	c, err := s.connector.Connect(ctx, on)
	if err != nil {
		return nil, err
	}
	return &reconcile.Connection{Engine: c.Engine, Files: c.Files, Prober: c.Prober, Proxy: c.Proxy, Environ: c.Environ, Registry: c.Registry, Close: c.Close}, nil
}

type noSecrets struct{}

func (noSecrets) Secret(string) (release.Secret, bool, error) { return release.Secret{}, false, nil }
func (noSecrets) Renew(string) (release.Secret, bool, error)  { return release.Secret{}, false, nil }
func (noSecrets) Sources() []string                           { return nil }

func (s *simStage) Prepare(context.Context) error { return nil }
func (s *simStage) At(int)                        {}

func (s *simStage) Build(_ context.Context, version string, sick bool) error {
	behaviour := sim.Healthy(0)
	if sick {
		behaviour = sim.NeverHealthy(http.StatusServiceUnavailable)
	}
	s.world.Place(host, sim.Image{Ref: image + ":" + version, Behaviour: behaviour, Labels: map[string]string{"service": service}})
	fmt.Fprintf(s.out, "   simulated image %s:%s\n", image, version)
	return nil
}

// Kamald does what the command of that name does, as thinly as the program.
func (s *simStage) Kamald(ctx context.Context, args ...string) (result, error) {
	var text strings.Builder
	out := io.MultiWriter(s.out, &text)
	code, err := s.command(ctx, out, args)
	if err != nil && ctx.Err() == nil {
		fmt.Fprintln(out, "error:", err)
		code, err = 1, nil
	}
	return result{code: code, text: text.String()}, err
}

func (s *simStage) command(ctx context.Context, out io.Writer, args []string) (int, error) {
	desired, problems := release.Load(filepath.Join(s.dir, "deploy.hcl"), release.Options{})
	if problems.HasErrors() {
		return 1, errors.New(problems.Error())
	}
	switch args[0] {
	case "validate":
		fmt.Fprintln(out, "deploy.hcl is valid")
		return 0, nil
	case "plan":
		return s.plan(ctx, out, desired)
	case "drift":
		return s.drift(ctx, out, desired)
	case "apply":
		report, err := s.own.Apply(ctx, desired, reconcile.Options{})
		return s.told(out, report), err
	case "rollback":
		report, err := s.own.Rollback(ctx, desired, reconcile.Back{}, reconcile.Options{})
		return s.told(out, report), err
	case "history":
		records, err := s.own.History(ctx, desired)
		for _, r := range records {
			fmt.Fprintf(out, "%3d  %-10s %-10s %s\n", r.Number, r.Version, r.Kind, r.Outcome)
		}
		return 0, err
	}
	return 1, fmt.Errorf("the simulated demo has no command %s", args[0])
}

func (s *simStage) plan(ctx context.Context, out io.Writer, desired release.Release) (int, error) {
	planned, err := s.own.Plan(ctx, desired, reconcile.Options{})
	if err != nil {
		return 1, err
	}
	if err := planned.Plan.Text(out, plan.TextOptions{}); err != nil {
		return 1, err
	}
	if planned.Plan.Empty() {
		return 0, nil
	}
	return 2, nil
}

func (s *simStage) drift(ctx context.Context, out io.Writer, desired release.Release) (int, error) {
	planned, err := s.own.Plan(ctx, desired, reconcile.Options{})
	if err != nil {
		return 1, err
	}
	drifted := planned.Plan.Drifted()
	for _, item := range drifted {
		fmt.Fprintf(out, "%s %s on %s: %s\n", item.Action, item.Name, item.Host, item.Reason)
	}
	if len(drifted) == 0 {
		fmt.Fprintln(out, "no drift")
		return 0, nil
	}
	return 3, nil
}

// told prints the rows of a report.
func (s *simStage) told(out io.Writer, report reconcile.Report) int {
	for _, row := range report.Rows {
		fmt.Fprintf(out, "%s %s: before %q, wanted %q, now %q %s\n", row.Host, row.Role, row.Before, row.Wanted, row.Now, row.Why)
	}
	return 0
}

// Ask sends a simulated request; the version is that of the container that the proxy routes to.
func (s *simStage) Ask(context.Context) (string, error) {
	if status := s.world.Request(host, "demo.example.com", "/"); status != http.StatusOK {
		return "", fmt.Errorf("the answer is %d", status)
	}
	routes, containers := s.world.Routes(host), s.world.Containers(host, state.View{})
	for _, route := range routes {
		for _, c := range containers {
			if slices.ContainsFunc(route.Targets, func(target string) bool { return strings.HasPrefix(target, c.ShortID()) }) {
				return c.Version(), nil
			}
		}
	}
	return "", fmt.Errorf("no container is behind the routes %v", routes)
}

func (s *simStage) Running(context.Context) (map[string]string, error) {
	running := map[string]string{}
	for _, c := range s.world.Containers(host, state.View{}) {
		if c.Running() && c.Service == service {
			running[c.Name] = c.ID
		}
	}
	return running, nil
}

func (s *simStage) Latest(context.Context) (string, error) {
	latest := s.world.ImageID(host, image+":latest")
	for _, version := range []string{"v1", "v2", "v3"} {
		if latest != "" && s.world.ImageID(host, image+":"+version) == latest {
			return version, nil
		}
	}
	return "", nil
}

func (s *simStage) RemoveByHand(_ context.Context, container string) error {
	fmt.Fprintf(s.out, "$ docker rm -f %s      # simulated\n", container)
	s.world.RemoveContainer(host, container)
	return nil
}

func (s *simStage) Clean(context.Context) error { return errors.Join(s.own.Close(), s.store.Close()) }
