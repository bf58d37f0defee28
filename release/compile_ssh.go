package release

import (
	"path/filepath"
	"slices"
	"time"
)

const (
	defaultUser       = "root"
	defaultSSHPort    = 22
	defaultDialLimit  = 8
	defaultKeepalive  = 30 * time.Second
	defaultDNSRetries = 3
	defaultSSHConfig  = "~/.ssh/config"
	defaultKnownHosts = "~/.ssh/known_hosts"
	defaultHostKeys   = "strict"
)

// exists tells whether a file, relative to the configuration, can be read.
func (c *compiler) exists(name string) bool {
	path := name
	if !filepath.IsAbs(path) {
		path = filepath.Join(filepath.Dir(c.path), path)
	}
	_, err := c.opts.ReadFile(path)
	return err == nil
}

// compileSSH fills in the defaults of an ssh block, which may be nil.
func (c *compiler) compileSSH(b *block) SSH {
	s := SSH{
		User: b.get("user").textOr(defaultUser), UserDefault: !b.get("user").set(),
		Port: b.get("port").intOr(defaultSSHPort), PortDefault: !b.get("port").set(),
		Keys: b.get("keys").strings(), KeysOnly: b.get("keys_only").boolOr(false), KeySecrets: b.get("key_data").strings(),
		Jump: b.get("jump").text(), ProxyCommand: b.get("proxy_command").text(),
		Config: []string{defaultSSHConfig}, KnownHosts: b.get("known_hosts").strings(),
		AcceptNew: b.get("host_keys").textOr(defaultHostKeys) == "accept-new", ForwardAgent: b.get("forward_agent").boolOr(false), DialLimit: b.get("dial_limit").intOr(defaultDialLimit),
		Keepalive: b.get("keepalive").durationOr(defaultKeepalive), DNSRetries: b.get("dns_retries").intOr(defaultDNSRetries),
	}
	if len(s.KnownHosts) == 0 {
		s.KnownHosts = []string{defaultKnownHosts}
	}
	if v := b.get("config"); v.set() && !v.unknown && !v.flag {
		s.Config = v.strings()
	}
	if v := b.get("jump"); s.Jump != "" && !jumpHost.MatchString(s.Jump) {
		c.errorf(v.rng, "Bad jump host", "jump is [user@]host[:port], such as \"ops@bastion.example.com\", not %q.", s.Jump)
	}
	if v := b.get("proxy_command"); s.Jump != "" && s.ProxyCommand != "" {
		c.errorf(v.rng, "Two ways", "jump and proxy_command are two ways to the same host: keep one; in a host's block, \"\" takes the ssh block's away.")
	}
	if v := b.get("user"); v.set() && !v.unknown && v.text() == "" {
		c.errorf(v.rng, "Empty user", "user is empty; leave it out for root.")
	}
	return s
}

// compileHosts lists every host of every role, and then of every accessory, once, each with the root's SSH settings and its own laid over them.
func (c *compiler) compileHosts() {
	c.rel.Hosts = []Host{}
	for _, b := range c.root.children("host") {
		c.checkHost(b)
	}
	for _, role := range c.rel.Tenants() {
		for _, name := range role.Hosts {
			if _, there := c.rel.Host(name); !there {
				c.rel.Hosts = append(c.rel.Hosts, c.compileHost(name))
			}
		}
	}
}

func (c *compiler) compileHost(name string) Host {
	b := c.root.find("host", name)
	h := Host{Name: name, Address: b.get("address").textOr(name), Tags: b.get("tags").strings(), HostKey: b.get("host_key").text()}
	h.SSH = c.compileSSH(overlay(c.root.child("ssh"), hostSSH(b)))
	return h
}

// hostSSH is what a host's block says of SSH, as an ssh block. Its null goes back to what holds without it: the ssh block's.
func hostSSH(b *block) *block {
	own := &block{spec: sshSpec(), attrs: map[string]*value{}}
	if b != nil {
		own.rng = b.rng
		for _, as := range own.spec.attrs {
			if v, ok := b.attrs[as.name]; ok && !v.null {
				own.attrs[as.name] = v
			}
		}
	}
	return own
}

func (c *compiler) checkHost(b *block) {
	if !isHost(b.label) {
		c.errorf(b.rng, "Bad host name", "%q is not a host's name or address; a user or a port have attributes of their own.", b.label)
	}
	if v := b.get("address"); v.set() && !v.unknown && !isHost(v.text()) {
		c.errorf(v.rng, "Bad address", "%q is not a host's name or address; a user or a port have attributes of their own.", v.text())
	}
	if v := b.get("host_key"); v.set() && !v.unknown && !fingerprint.MatchString(v.text()) {
		c.errorf(v.rng, "Bad host key", "host_key is a fingerprint as ssh-keygen -l prints it: \"SHA256:\" and 43 characters, not %q.", v.text())
	}
	known := c.knownTags(b)
	for _, tag := range b.get("tags").items() {
		if slices.Contains(known, tag.s) || c.selected(tag.s) {
			continue
		}
		if hint := didYouMean(tag.s, known); hint != "" {
			c.warnf(tag.rng, "Tag used once", "No tag block and no other host has %q.%s", tag.s, hint)
		}
	}
}

// knownTags are the tags that blocks declare and other hosts bear.
func (c *compiler) knownTags(except *block) []string {
	known := c.root.labels("tag")
	for _, b := range c.root.children("host") {
		if b != except {
			known = append(known, b.get("tags").strings()...)
		}
	}
	return known
}

// selected tells whether a role or an accessory selects hosts by the tag.
func (c *compiler) selected(tag string) bool {
	return slices.ContainsFunc(c.root.blocks, func(b *block) bool {
		return b.spec.name != "host" && slices.Contains(b.get("tags").strings(), tag)
	})
}
