package release

import (
	"slices"
	"strings"
)

// injectedNames are variables that every container is given, whatever the file says.
var injectedNames = []string{"KAMAL_CONTAINER_NAME", "KAMAL_VERSION", "KAMAL_HOST"}

// compileEnv reads an env block, which may be nil.
func (c *compiler) compileEnv(b *block) Env {
	env := newEnv()
	clear := b.get("clear")
	for _, name := range clear.keys() {
		if !variableName.MatchString(name) {
			c.errorf(clear.rangeOf(name), "Bad variable name", "%q cannot name an environment variable: letters, digits and _.", name)
		}
		if slices.Contains(injectedNames, name) {
			c.warnf(clear.rangeOf(name), "Set by kamald", "Every container has %s, set by kamald itself: what stands here has no effect.", name)
		}
		if entry := clear.dict[name][0]; entry.host != "" {
			env.FromHost[name] = entry.host
		} else {
			env.Clear[name] = entry.s
		}
	}
	for _, item := range b.get("secret").items() {
		name, secret, aliased := strings.Cut(item.s, ":")
		if !aliased {
			secret = name
		}
		switch _, double := clear.entry(name); {
		case !variableName.MatchString(name) || !variableName.MatchString(secret):
			c.errorf(item.rng, "Bad secret", "%q is not NAME or NAME:THE_SECRET'S_NAME.", item.s)
		case double:
			c.errorf(item.rng, "Both clear and secret", "%s stands in clear too, at line %d; a variable is one or the other.", name, clear.rangeOf(name).Start.Line)
		case env.Secrets[name] != "":
			c.errorf(item.rng, "Secret listed twice", "%s stands in this list already.", name)
		default:
			env.Secrets[name] = secret
		}
	}
	return env
}

// trimmed has nil for what is empty, so that equal environments have equal JSON.
func (e Env) trimmed() Env {
	if len(e.Clear) == 0 {
		e.Clear = nil
	}
	if len(e.Secrets) == 0 {
		e.Secrets = nil
	}
	if len(e.FromHost) == 0 {
		e.FromHost = nil
	}
	return e
}

func (c *compiler) compileTags() {
	for _, b := range c.root.children("tag") {
		tag := Tag{Name: b.label, Roles: b.get("roles").strings(), Env: c.compileEnv(b.child("env")).trimmed()}
		c.checkRoleNames(b.get("roles"))
		c.rel.Tags = append(c.rel.Tags, tag)
	}
}

// roleEnv is the root's environment with the role's laid over it and `remove` taken away.
func (c *compiler) roleEnv(role *block) (Env, []string) {
	env := c.compileEnv(c.root.child("env"))
	own := role.child("env")
	env.lay(c.compileEnv(own))
	remove := own.get("remove").strings()
	for _, name := range remove {
		env.remove(name)
	}
	c.checkRemoved(own)
	return env.trimmed(), remove
}

// checkRemoved looks at the variables that a role takes away: the same block must not set them, and somebody should.
func (c *compiler) checkRemoved(own *block) {
	known := namesOf(c.root.child("env"))
	for _, tag := range c.root.children("tag") {
		known = append(known, namesOf(tag.child("env"))...)
	}
	set := namesOf(own)
	for _, item := range own.get("remove").items() {
		switch {
		case slices.Contains(set, item.s):
			c.errorf(item.rng, "Set and removed", "%s is removed here and set in the same block.", item.s)
		case !slices.Contains(known, item.s) && known != nil:
			c.warnf(item.rng, "Nothing to remove", "No env of the root or of a tag has %s.%s", item.s, didYouMean(item.s, known))
		}
	}
}

// namesOf are the variables that an env block sets; nil when it sets none.
func namesOf(env *block) []string {
	names := env.get("clear").keys()
	for _, item := range env.get("secret").items() {
		name, _, _ := strings.Cut(item.s, ":")
		names = append(names, name)
	}
	return names
}
