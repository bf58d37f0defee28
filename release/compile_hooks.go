package release

import (
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const (
	defaultHooksPath   = ".kamald/hooks"
	kamalHooksPath     = ".kamal/hooks"
	defaultHookTimeout = 10 * time.Minute
	// executableTimeout is for Kamal's executables: its own sample waits twelve minutes for the checks of a commit.
	executableTimeout = 30 * time.Minute
)

// The moments at which a hook can run, and the kinds of release that it can run on.
var (
	hookMoments = []string{HookPreConnect, HookPreBuild, HookPreDeploy, HookPreBoot, HookPostBoot, HookPostDeploy, HookPreProxyReboot,
		HookPostProxyReboot, HookDockerSetup, HookDrift, HookFailure, HookRollback}
	hookKinds   = []string{"release", "rollback", "config", "heal"}
	hookOutputs = []string{OutputShow, OutputQuiet, OutputFailure}
	// ofRelease are the moments that come with every release, of whatever kind.
	ofRelease = []string{HookPreDeploy, HookPreBoot, HookPostBoot, HookPostDeploy, HookFailure}
	// inContainer are the moments at which the new image is on the hosts.
	inContainer = []string{HookPreBoot, HookPostBoot, HookPostDeploy}
)

// executable is a name that a file in hooks_path may have, and what it is there.
type executable struct {
	name, at string
	secrets  bool // Kamal gives it all of them
}

// executables are Kamal's names, and kamald's own moments.
var executables = []executable{
	{HookDockerSetup, HookDockerSetup, false},
	{HookPreConnect, HookPreConnect, true},
	{HookPreBuild, HookPreBuild, false},
	{HookPreDeploy, HookPreDeploy, true},
	{"pre-app-boot", HookPreBoot, false},
	{HookPreBoot, HookPreBoot, false},
	{"post-app-boot", HookPostBoot, false},
	{HookPostBoot, HookPostBoot, false},
	{HookPostDeploy, HookPostDeploy, true},
	{HookPreProxyReboot, HookPreProxyReboot, false},
	{HookPostProxyReboot, HookPostProxyReboot, false},
	{HookDrift, HookDrift, false},
	{HookFailure, HookFailure, false},
	{HookRollback, HookRollback, false},
}

// HookNames are the names that files in hooks_path may have.
func HookNames() (names []string) {
	for _, e := range executables {
		names = append(names, e.name)
	}
	return names
}

// compileHooks finds the executables, and reads the blocks.
func (c *compiler) compileHooks() {
	c.rel.Hooks.Dir = filepath.Dir(c.path)
	c.checkHooks()
	shown := c.hooksOutput()
	if !c.lenient {
		dir := c.root.get("hooks_path").textOr(defaultHooksPath)
		there := c.namesIn(dir)
		for _, e := range executables {
			if slices.Contains(there, e.name) {
				c.rel.Hooks.List = append(c.rel.Hooks.List, Hook{Name: e.name, At: e.at, File: filepath.Join(dir, e.name), On: kindsAt(e.at, hookKinds[:3]),
					Timeout: executableTimeout, AllSecrets: e.secrets, Output: shown(e.name)})
			}
		}
		c.checkKamalHooks(dir, there)
	}
	for _, b := range c.root.children("hook") {
		on := b.get("on").strings()
		if len(on) == 0 {
			on = hookKinds[:1]
		}
		c.rel.Hooks.List = append(c.rel.Hooks.List, Hook{Name: b.label, At: b.get("at").text(), Role: b.get("role").text(),
			Run: b.get("run").strings(), On: kindsAt(b.get("at").text(), on), Timeout: b.get("timeout").durationOr(defaultHookTimeout),
			Secrets: b.get("secrets").strings(), Output: b.get("output").textOr(OutputShow)})
	}
}

// kindsAt are the kinds of release that a hook runs on; none at a moment that is none of a release.
func kindsAt(moment string, kinds []string) []string {
	if !slices.Contains(ofRelease, moment) {
		return nil
	}
	return slices.Clone(kinds)
}

// namesIn lists a directory, relative to the configuration; nothing where there is none.
func (c *compiler) namesIn(dir string) []string {
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(filepath.Dir(c.path), dir)
	}
	names, err := c.opts.ReadDir(dir)
	if err != nil {
		return nil
	}
	return names
}

// checkKamalHooks finds executables that Kamal 1 ran, and those that Kamal would run and nobody runs here.
func (c *compiler) checkKamalHooks(dir string, there []string) {
	for _, name := range []string{HookPreProxyReboot, HookPostProxyReboot} {
		if old := strings.Replace(name, "proxy", "traefik", 1); slices.Contains(there, old) {
			c.errorf(c.root.rng, "Old hook", "%s is Kamal 1's: rename it to %s.", filepath.Join(dir, old), name)
		}
	}
	if c.root.get("hooks_path").set() {
		return
	}
	for _, name := range c.namesIn(kamalHooksPath) {
		if slices.Contains(HookNames(), name) && !slices.Contains(there, name) {
			c.warnf(c.root.rng, "Hook that does not run", "%s is in Kamal's directory and is not run: kamald's own is %s; say hooks_path = %q, or move it.",
				filepath.Join(kamalHooksPath, name), defaultHooksPath, kamalHooksPath)
		}
	}
}

// checkHooks checks what goes together in hooks.
func (c *compiler) checkHooks() {
	known := c.root.labels("role")
	for _, b := range c.root.children("hook") {
		c.checkName(b.rng, "hook", b.label)
		at, role := b.get("at"), b.get("role")
		if slices.Contains(HookNames(), b.label) {
			c.errorf(b.rng, "Name of an executable", "%s has the name of an executable in hooks_path: name the block after what it does, and the moment with at.", b.title())
		}
		if role.set() && !role.unknown && !slices.Contains(known, role.text()) {
			c.errorf(role.rng, "Unknown role", "%s names the role %q, and there is no such role.%s", b.title(), role.text(), didYouMean(role.text(), known))
		}
		if v := b.get("run"); v.set() && !v.unknown && len(v.list) == 0 {
			c.errorf(v.rng, "Empty command", "%s runs nothing: run is empty.", b.title())
		}
		if !at.set() || at.unknown {
			continue
		}
		if role.set() && !slices.Contains(inContainer, at.text()) {
			c.errorf(role.rng, "Not in a container", "%s cannot run in a container at %s, where no server has the new image for sure; with a role it is one of %s.",
				b.title(), at.text(), quoted(inContainer))
		}
		if v := b.get("secrets"); role.set() && v.set() && !v.zero() {
			c.errorf(v.rng, "Secrets of a container", "%s runs in a container of %s and has that role's secrets: leave secrets out.", b.title(), role.textOr("its role"))
		}
		if v := b.get("on"); v.set() && !slices.Contains(ofRelease, at.text()) {
			c.errorf(v.rng, "Without a kind", "%s runs at %s, which is the same for every kind of release: leave on out.", b.title(), at.text())
		}
	}
}

// hooksOutput reads what is shown of the executables, by their names.
func (c *compiler) hooksOutput() func(name string) string {
	v := c.root.get("hooks_output")
	if !v.set() || v.unknown {
		return func(string) string { return OutputShow }
	}
	word := func(t text) string {
		if !t.unknown && !slices.Contains(hookOutputs, t.s) {
			c.errorf(t.rng, "Unknown value", "hooks_output is one of %s, not %q.%s", quoted(hookOutputs), t.s, didYouMean(t.s, hookOutputs))
		}
		return t.s
	}
	if len(v.dict) == 0 {
		all := word(v.one)
		return func(string) string { return all }
	}
	names, by := HookNames(), map[string]string{}
	for _, name := range v.keys() {
		if !slices.Contains(names, name) {
			c.errorf(v.rangeOf(name), "Unknown hook", "hooks_output is about executables in hooks_path, and none is called %q.%s A block says output itself.", name, didYouMean(name, names))
		}
		by[name] = word(v.dict[name][0])
	}
	return func(name string) string {
		if by[name] != "" {
			return by[name]
		}
		return OutputShow
	}
}
