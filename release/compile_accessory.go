package release

import (
	"path"
	"slices"
	"strings"
)

const (
	defaultOnChange = OnChangePlan
	// defaultFileMode is Kamal's.
	defaultFileMode = "0755"
	// DirectoryMode is that of a directory that says nothing of it: what mkdir gives on most hosts.
	DirectoryMode = "0755"
)

// compileAccessories makes the accessories, in the file's order. It comes before hosts: they are of accessories, too.
func (c *compiler) compileAccessories() {
	for _, b := range c.root.children("accessory") {
		c.rel.Accessories = append(c.rel.Accessories, c.compileAccessory(b))
	}
}

func (c *compiler) compileAccessory(b *block) Accessory {
	a := Accessory{Name: b.label, Service: b.get("service").textOr(c.rel.Service + "-" + b.label), Hosts: c.accessoryPlaces(b),
		Cmd: b.get("cmd").strings(), Env: c.compileEnv(b.child("env")), Labels: b.get("labels").stringMap(), Volumes: b.get("volumes").strings(),
		Network: b.get("network").textOr(c.rel.Network), Restart: defaultRestart, Health: c.compileHealth(b), Stop: c.compileStop(b, false),
		OnChange: b.get("on_change").textOr(defaultOnChange), Shared: b.get("shared").boolOr(false)}
	a.Logging = compileLogging(overlay(c.root.child("logging"), b.child("logging")))
	a.Registry = c.accessoryRegistry(b)
	a.Image = c.accessoryImage(b, a.Registry)
	options := c.compileOptions(b.get("options"), b.title())
	c.publish(b.get("port"), &options)
	a.Options = options.kept
	c.checkLabels(b.get("labels"))
	c.checkVolumes(b.get("volumes"))
	c.mergeOptions(b, options, optionTarget{restart: &a.Restart, labels: &a.Labels, env: &a.Env, volumes: &a.Volumes, logging: &a.Logging, stop: &a.Stop})
	a.Env = a.Env.trimmed()
	for _, file := range b.children("file") {
		a.Files = append(a.Files, c.compilePlaced(file, a.Service, defaultFileMode))
	}
	for _, directory := range b.children("directory") {
		a.Directories = append(a.Directories, c.compilePlaced(directory, a.Service, DirectoryMode))
	}
	if b.get("proxied").boolOr(false) {
		a.Proxy = c.compileProxy(b)
	}
	c.checkMounts(b, a)
	return a
}

// places are the names of the hosts of a role or an accessory; false when a part is not known.
func (c *compiler) places(b *block) ([]string, bool) {
	if b.spec.name != "accessory" {
		return c.view.hostsOf(b)
	}
	_, known := c.view.accessoryHosts(b)
	return c.accessoryPlaces(b), known
}

// accessoryPlaces are the names of an accessory's hosts: those that it lists or selects by tags, else those of its roles, each once.
func (c *compiler) accessoryPlaces(b *block) []string {
	hosts, _ := c.view.hostsOf(b)
	if !c.view.emptied(b) {
		for _, name := range b.get("roles").strings() {
			if role := c.root.find("role", name); role != nil {
				of, _ := c.view.hostsOf(role)
				hosts = append(hosts, of...)
			}
		}
	}
	places := []string{}
	for _, host := range hosts {
		if !slices.Contains(places, host) {
			places = append(places, host)
		}
	}
	return places
}

// accessoryRegistry is the registry of its own; nil when it has none.
func (c *compiler) accessoryRegistry(b *block) *Registry {
	own := b.child("registry")
	if own == nil {
		return nil
	}
	registry := &Registry{Server: own.get("server").text(), PasswordSecret: own.get("password").text()}
	if OnHub(registry.Server) {
		registry.Server = ""
	}
	if v := own.get("username"); v.set() && v.one.secret {
		registry.UsernameSecret = v.text()
	} else {
		registry.Username = v.text()
	}
	if user, password := own.get("username"), own.get("password"); user.set() != password.set() {
		c.errorf(own.rng, "Half a login", "registry needs both username and password, or neither.")
	}
	return registry
}

// accessoryImage is its image as engines name it: the server of its registry before it, and latest where it has no tag.
func (c *compiler) accessoryImage(b *block, registry *Registry) string {
	v := b.get("image")
	image := v.text()
	if image == "" {
		if v.set() && !v.unknown {
			c.errorf(v.rng, "Empty image", "%s needs an image, such as \"redis:7\".", b.title())
		}
		return ""
	}
	if strings.ContainsAny(image, " \t\n\"'") || strings.Contains(image, "://") {
		c.errorf(v.rng, "Bad image", "image is a reference such as \"redis:7\", not %q.", image)
	}
	if registry != nil && registry.Server != "" && ServerOf(image) != registry.Server {
		image = registry.Server + "/" + image
	}
	return canonicalReference(image)
}

// canonicalReference writes a reference as engines list it.
func canonicalReference(ref string) string {
	if server, rest, several := strings.Cut(ref, "/"); several && server != "" && OnHub(server) {
		ref = rest
	}
	if ServerOf(ref) == "" {
		ref = strings.TrimPrefix(ref, hubLibrary)
	}
	if last := ref[strings.LastIndex(ref, "/")+1:]; !strings.ContainsAny(last, ":@") {
		ref += ":latest"
	}
	return ref
}

// SameReference tells whether two references name the same image: a tag that is not said is latest, and Docker Hub's own names may be
// said in several ways.
func SameReference(a, b string) bool { return canonicalReference(a) == canonicalReference(b) }

// publish takes `port` as the option of docker run that it is.
func (c *compiler) publish(port *value, options *dockerOptions) {
	if !port.set() || port.unknown {
		return
	}
	all, err := CanonicalOption("publish", append(slices.Clone(options.kept["publish"]), port.text()))
	if err != nil {
		c.errorf(port.rng, "Bad port", "port is what docker run -p takes, such as \"127.0.0.1:6379:6379\": %v.", err)
		return
	}
	options.keep("publish", all)
}

// compilePlaced reads a file or a directory block. What is relative lies below the directory of the accessory, where Kamal puts it.
func (c *compiler) compilePlaced(b *block, service, mode string) Placed {
	p := Placed{To: path.Clean("/" + b.get("to").text()), Mode: b.get("mode").textOr(mode), Owner: b.get("owner").text(), Options: b.get("options").text()}
	c.checkPlaced(b)
	if b.spec.name == "file" {
		p.Path = "./" + service + p.To
		p.Content, p.Missing = c.content(b)
		return p
	}
	switch source := b.label; {
	case path.IsAbs(source):
		p.Path = path.Clean(source)
	case strings.HasPrefix(source, "~/"):
		p.Path = "./" + path.Clean(strings.TrimPrefix(source, "~/"))
	default:
		p.Path = "./" + path.Join(service, source)
	}
	return p
}

func (c *compiler) checkPlaced(b *block) {
	if v := b.get("to"); v.set() && !v.unknown && (!strings.HasPrefix(v.text(), "/") || strings.ContainsAny(v.text(), ":\x00") || path.Clean(v.text()) == "/") {
		c.errorf(v.rng, "Bad path", "to is an absolute path in the container, not %q.", v.text())
	}
	if v := b.get("mode"); v.set() && !v.unknown && !fileMode.MatchString(v.text()) {
		c.errorf(v.rng, "Bad mode", "mode is permissions in octal, such as \"0640\", not %q.", v.text())
	}
	if v := b.get("owner"); v.set() && !v.unknown && !fileOwner.MatchString(v.text()) {
		c.errorf(v.rng, "Bad owner", "owner is a user and a group by number, such as \"999:999\", not %q: the host has no names for the users of an image.", v.text())
	}
	if v := b.get("options"); v.set() && !v.unknown && v.text() != "" && !volumeMode.MatchString(v.text()) {
		c.errorf(v.rng, "Bad options", "%q is no option of a mount, such as ro or z.", v.text())
	}
	if slices.Contains(strings.Split(b.label, "/"), "..") || strings.ContainsAny(b.label, ":\x00") {
		c.errorf(b.rng, "Bad path", "%s: a path here has no .. and no colon.", b.title())
	}
}

// checkMounts reports two mounts at one place of the container.
func (c *compiler) checkMounts(b *block, a Accessory) {
	targets := map[string]bool{}
	for _, volume := range a.Volumes {
		parts := strings.Split(volume, ":")
		if len(parts) > 1 {
			targets[path.Clean(parts[1])] = true
		}
	}
	for _, p := range slices.Concat(b.children("file"), b.children("directory")) {
		v := p.get("to")
		if target := path.Clean("/" + v.text()); v.set() && !v.unknown {
			if targets[target] {
				c.errorf(v.rng, "Target twice", "Something else is mounted at %s already, and the engine takes one.", target)
			}
			targets[target] = true
		}
	}
}
