package plan_test

import (
	"fmt"
	"slices"
	"time"

	"pgregory.net/rapid"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

var versions = []string{"v1", "v2", "v3"}

func pick[T any](t *rapid.T, what string, among ...T) T {
	return rapid.SampledFrom(among).Draw(t, what)
}

// often is true three times in four, so that most of a world is well.
func often(t *rapid.T, what string) bool { return rapid.IntRange(0, 3).Draw(t, what) > 0 }

func rarely(t *rapid.T, what string) bool { return rapid.IntRange(0, 7).Draw(t, what) == 7 }

// anyWorld draws a release and servers in any state, left behind by anybody.
func anyWorld(t *rapid.T) *world {
	w := fresh(anyRelease(t))
	if !often(t, "secrets at hand") {
		w.atHand = map[string]string{}
		if rapid.Bool().Draw(t, "some secrets") {
			w.atHand["TOKEN"] = "s3cret-1"
		}
	}
	w.options = plan.Options{SkipUnreachable: often(t, "skip"), Retain: pick(t, "retain option", 0, 0, 1, 2)}
	for _, on := range w.desired.Hosts {
		w.keys[on.Name] = often(t, "key")
	}
	all := w.clone()
	all.atHand = map[string]string{"TOKEN": pick(t, "token there", "s3cret-1", "s3cret-1", "s3cret-old"), "DB": "s3cret-2"}
	specs := map[string]map[string]state.Spec{}
	for _, version := range versions {
		specs[version] = all.specs(version)
	}
	misplace(t, w.desired, specs)
	for i := range w.hosts {
		w.fill(t, &w.hosts[i], all, specs)
	}
	if rapid.Bool().Draw(t, "held") {
		w.held = &state.Record{Number: 1, Version: pick(t, "held version", versions...), Outcome: state.OutcomeSucceeded}
	}
	w.around(t, all, specs)
	return w
}

func anyRelease(t *rapid.T) release.Release {
	r := shop()
	r.Destination = pick(t, "destination", "", "staging")
	r.Version = pick(t, "version", versions...)
	r.RetainContainers = rapid.IntRange(1, 3).Draw(t, "retain")
	if rapid.Bool().Draw(t, "carried") {
		r.Registry = nil
	}
	r.Rollout = release.Rollout{Limit: release.Limit{Count: rapid.IntRange(0, 3).Draw(t, "limit"), Percent: pick(t, "share", 0, 30, 60)},
		Wait: pick(t, "wait", 0, time.Second), ParallelRoles: rapid.Bool().Draw(t, "parallel"),
		Canary: pick(t, "canary", nil, nil, &release.Canary{Percent: 10, Hold: time.Minute})}
	r.Hosts, r.Roles = nil, nil
	var names []string
	for i := range rapid.IntRange(1, 4).Draw(t, "hosts") {
		name := fmt.Sprintf("h%d", i+1)
		names = append(names, name)
		r.Hosts = append(r.Hosts, release.Host{Name: name, Tags: pick(t, "tags", nil, []string{"eu"})})
	}
	r.Tags = []release.Tag{{Name: "eu", Env: release.Env{Clear: map[string]string{"REGION": "eu"}}}}
	for _, name := range []string{"web", "workers", "cron"}[:rapid.IntRange(1, 3).Draw(t, "roles")] {
		r.Roles = append(r.Roles, anyRole(t, name, names))
	}
	r.Hooks = anyHooks(t)
	return r
}

// anyHooks are hooks at some moments, on this machine and in containers.
func anyHooks(t *rapid.T) (hooks release.Hooks) {
	for _, moment := range []string{release.HookPreDeploy, release.HookPreBoot, release.HookPostBoot, release.HookPostDeploy} {
		on := pick(t, "hook at "+moment, nil, nil, []string{"release"}, []string{"release", "config", "heal"})
		if on == nil {
			continue
		}
		h := release.Hook{Name: "here-" + moment, At: moment, Run: []string{"true"}, On: on}
		hooks.List = append(hooks.List, h)
		if moment != release.HookPreDeploy && rapid.Bool().Draw(t, "in a container") {
			h.Name, h.Role = "there-"+moment, pick(t, "hook's role", "web", "workers")
			hooks.List = append(hooks.List, h)
		}
	}
	return hooks
}

func anyRole(t *rapid.T, name string, hosts []string) release.Role {
	role := release.Role{Name: name, Restart: "unless-stopped", Stop: release.Stop{Grace: 10 * time.Second}, Singleton: name == "cron",
		Env: release.Env{Clear: map[string]string{"COLOUR": pick(t, "colour", "red", "blue")}}}
	for _, host := range hosts {
		if often(t, "on "+host) {
			role.Hosts = append(role.Hosts, host)
		}
	}
	if len(role.Hosts) == 0 {
		role.Hosts = hosts[:1]
	}
	for _, secret := range []string{"TOKEN", "DB"}[:rapid.IntRange(0, 2).Draw(t, "secrets")] {
		if role.Env.Secrets == nil {
			role.Env.Secrets = map[string]string{}
		}
		role.Env.Secrets[secret] = secret
	}
	role.Cmd = pick(t, "cmd", nil, []string{"bin/run", "jobs"})
	role.Volumes = pick(t, "volumes", nil, []string{"data:/data"})
	role.Options = pick(t, "options", nil, map[string][]string{"memory": {"536870912"}}, map[string][]string{"cpus": {"500000000"}})
	switch name {
	case "web":
		role.Primary = true
		role.Proxy = &release.Proxy{AppPort: 80, Options: state.RouteOptions{Hosts: []string{"shop.test"}, HealthPath: "/up"}}
	case "workers":
		role.DependsOn = pick(t, "depends_on", nil, []string{"web"})
		if rapid.Bool().Draw(t, "second proxied") {
			role.Proxy = &release.Proxy{AppPort: 8080, Options: state.RouteOptions{Hosts: []string{"jobs.test"}, HealthPath: "/up"}}
		}
	case "cron":
		role.DependsOn = pick(t, "depends_on", nil, []string{"workers"}, []string{"web", "workers"})
	}
	if role.DependsOn != nil && role.DependsOn[len(role.DependsOn)-1] == "workers" && name != "cron" {
		role.DependsOn = nil
	}
	return role
}

// fill puts onto a host what releases, people and others have left there.
func (w *world) fill(t *rapid.T, h *state.Host, all *world, specs map[string]map[string]state.Spec) {
	if rarely(t, "unreachable") {
		*h = state.Host{Name: h.Name, Unreachable: "no route to host"}
		return
	}
	if often(t, "network") {
		h.Networks = []state.Network{{ID: id("network", h.Name), Name: "kamal"}, {ID: id("bridge", h.Name), Name: "bridge"}}
	}
	for _, version := range versions {
		if often(t, "image "+version) {
			h.Images = append(h.Images, image(w.desired, version))
		}
	}
	if rarely(t, "tag moved") {
		untag(h, w.desired.Image())
		h.Images = append(h.Images, state.Image{ID: "sha256:" + id("image", "moved"), Tags: []string{w.desired.Image()}, Inspected: true})
	}
	for _, version := range versions {
		for _, role := range []string{"web", "workers", "cron"} {
			if spec, ok := specs[version][h.Name+"/"+role]; ok {
				w.anyContainer(t, h, role, version, spec)
			}
		}
	}
	w.leftovers(t, h)
	w.anyLatest(t, h)
	w.anyProxy(t, h)
	w.anyEnvFiles(t, h, all)
}

// anyContainer makes at most two of a role and version: one of the plain name, one that made way.
func (w *world) anyContainer(t *rapid.T, h *state.Host, role, version string, spec state.Spec) {
	name := w.desired.App().ContainerName(role, version)
	for _, replaced := range []bool{true, false} {
		if rapid.IntRange(0, 2).Draw(t, "there") == 0 || replaced && !rarely(t, "replaced") {
			continue
		}
		c := w.make(h.Name, name, spec, pick(t, "status", state.StatusRunning, state.StatusRunning, state.StatusRunning, state.StatusExited, state.StatusExited,
			state.StatusCreated, state.StatusPaused, state.StatusRestarting, state.StatusDead), image(w.desired, version).ID)
		if replaced {
			c.Name = state.ReplacedName(name, c.ID)
		}
		if !often(t, "as made") {
			w.disturb(t, c)
		}
	}
}

// disturb changes a container in one of the ways that people and crashes do.
func (w *world) disturb(t *rapid.T, c *state.Container) {
	switch rapid.IntRange(0, 9).Draw(t, "disturbance") {
	case 0:
		c.Asked, c.Release = nil, 0 // Kamal made it
	case 1:
		c.Asked.Env["COLOUR"], c.Live.Env["COLOUR"] = "green", "green"
	case 2:
		c.Live.Env["COLOUR"] = "green"
	case 3:
		c.Asked, c.Release = nil, 0
		c.Live.Env["COLOUR"] = "green"
	case 4:
		c.IPs = map[string]string{}
	case 5:
		c.Live.Options = map[string][]string{"memory": {"268435456"}}
	case 6:
		c.Live.Options = map[string][]string{"memory-swap": {"268435456"}, "pids-limit": {"100"}}
	case 7:
		c.Health = "unhealthy"
	case 8:
		c.Live.Labels["extra"], c.Live.Restart = "yes", "no"
	case 9:
		c.Name = fmt.Sprintf("by-hand-%d", w.serial)
	}
}

// leftovers are of a role that left the file, of another destination, of another service, and of nobody.
func (w *world) leftovers(t *rapid.T, h *state.Host) {
	app := w.desired.App()
	for _, left := range []struct {
		name, service, role, destination string
	}{
		{app.ContainerName("gone", "v1"), "shop", "gone", app.Destination},
		{app.ContainerName("gone", "v2"), "shop", "gone", app.Destination},
		{"shop-web-other-v1", "shop", "web", "other"},
		{release.Release{Service: "shop", Destination: beside(app)}.App().ContainerName("web", "v3"), "shop", "web", beside(app)},
		{"shop-web-other-v2", "shop", "web", "other"},
		{"blog-web-v1", "blog", "web", ""},
		{"postgres", "", "", ""},
		{app.ContainerName("web", "v1") + "_replaced_hand", "", "", ""},
	} {
		ours := left.service == "shop" && left.destination == app.Destination
		if ours && !rarely(t, "orphan") || !ours && !rapid.Bool().Draw(t, "foreign "+left.name) {
			continue
		}
		spec := state.Spec{Image: w.desired.ImageName() + ":v1", Network: "kamal",
			Labels: map[string]string{"service": left.service, "role": left.role, "destination": left.destination}}
		w.make(h.Name, left.name, spec, pick(t, "status", state.StatusRunning, state.StatusExited, state.StatusCreated), image(w.desired, "v1").ID)
	}
	for n := range rapid.IntRange(0, 2).Draw(t, "hooks' containers") { // of runs that failed or were interrupted
		spec := state.Spec{Image: w.desired.ImageName() + ":v1", Network: "kamal", Labels: map[string]string{"service": "shop", "destination": app.Destination}}
		name := app.HookName("there-pre-boot", n+1)
		w.make(h.Name, name, spec, pick(t, "hook's status", state.StatusRunning, state.StatusExited, state.StatusCreated), image(w.desired, "v1").ID)
		c := w.container(h.Name, name)
		c.Hook, c.Release = "there-pre-boot", n+1
	}
}

// beside is a destination that lives on the same hosts.
func beside(app state.App) string {
	if app.Destination == "" {
		return "staging"
	}
	return ""
}

func (w *world) anyLatest(t *rapid.T, h *state.Host) {
	for i := range h.Images {
		if slices.Contains([]string{"v1", "v2"}, pick(t, "latest", versions...)) && h.Latest == "" {
			h.Latest = h.Images[i].ID
			h.Images[i].Tags = append(h.Images[i].Tags, w.desired.ImageName()+":"+w.desired.App().LatestTag())
		}
		if rarely(t, "other latest") {
			h.Images[i].Tags = append(h.Images[i].Tags, w.desired.ImageName()+":latest-other")
		}
	}
}

func (w *world) anyProxy(t *rapid.T, h *state.Host) {
	if !often(t, "proxy") {
		return
	}
	h.Proxy = state.Proxy{ID: id("proxy", h.Name), Name: "kamal-proxy", Image: "proxy:v1", Running: often(t, "proxy runs"), Own: often(t, "own proxy"), Features: []string{state.FeatureSides}}
	if !h.Proxy.Own {
		h.Proxy.Image = "basecamp/kamal-proxy:v0.9.2"
	}
	if often(t, "proxy attached") {
		h.Proxy.Networks = []string{"kamal"}
	}
	h.Proxy.Routes = []state.Route{{Name: "blog-web", Targets: []string{"0123456789ab:80"}}, {Name: state.App{Service: "shop", Destination: beside(w.desired.App())}.RouteName("web"), Targets: []string{"0123456789ab:80"}}}
	for _, role := range []string{"web", "workers", "gone"} {
		var targets []string
		for _, c := range h.Containers {
			if c.Role == role && c.Service == "shop" && c.Destination == w.desired.Destination {
				targets = append(targets, c.ShortID()+":80", c.ShortID()+":8080")
			}
		}
		if len(targets) == 0 || !often(t, "routed") {
			continue
		}
		h.Proxy.Routes = append(h.Proxy.Routes, state.Route{Name: w.desired.App().RouteName(role), Targets: []string{pick(t, "target", targets...)},
			Rollout: pick(t, "rollout", nil, nil, &state.Rollout{Targets: []string{pick(t, "rollout's target", targets...)}, On: true, Percent: 10}),
			Options: state.RouteOptions{Hosts: []string{"shop.test"}, HealthPath: pick(t, "health path", "/up", "/up", "/health")}})
	}
}

func (w *world) anyEnvFiles(t *rapid.T, h *state.Host, all *world) {
	for _, role := range w.desired.Roles {
		on, _ := w.desired.Host(h.Name)
		file := state.EnvFile{Role: role.Name, Digests: map[string]string{}}
		for _, name := range []string{"TOKEN", "DB"} {
			if _, wanted := w.desired.EnvOn(role, on).Secrets[name]; wanted && !rarely(t, "lacks "+name) {
				file.Digests[name] = w.digest(h.Name, all.atHand[name])
			}
		}
		if len(file.Digests) > 0 && often(t, "env file") {
			h.EnvFiles = append(h.EnvFiles, file)
		}
	}
}
