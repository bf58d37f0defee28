package ssh

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/user"
	"strconv"
	"strings"

	"github.com/kamald/kamald/release"
	"github.com/kevinburke/ssh_config"
)

// target is one sshd to connect to, with everything resolved but its name.
type target struct {
	label    string // for errors
	alias    string // the name as it was written
	host     string
	port     int
	user     string
	identity []string // IdentityFile of ssh_config
	jumps    []string // [user@]host[:port], outermost first
	pin      string   // SHA256:… that the host key must have
	command  string   // proxy_command
}

// address is host:port, as known_hosts and dialers want it.
func (t target) address() string { return net.JoinHostPort(t.host, strconv.Itoa(t.port)) }

// configs are the ssh_config files of a host, in their order.
type configs []*ssh_config.Config

// readConfigs reads the ssh_config files; one that is not there is skipped, as ssh does.
func readConfigs(o Options, files []string) (configs, error) {
	var all configs
	for _, name := range files {
		data, err := os.ReadFile(o.path(name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("cannot read the ssh_config file: %w", err)
		}
		config, err := ssh_config.DecodeBytes(data)
		if err != nil {
			return nil, fmt.Errorf("cannot read the ssh_config file %s: %w (Host, HostName, User, Port, IdentityFile, ProxyJump and Include are understood)", name, err)
		}
		all = append(all, config)
	}
	return all, nil
}

// get is the first value of a keyword for a host; "" when no file says one.
func (c configs) get(alias, keyword string) string {
	for _, config := range c {
		if value, err := config.Get(alias, keyword); err == nil && value != "" {
			return value
		}
	}
	return ""
}

func (c configs) all(alias, keyword string) []string {
	var values []string
	for _, config := range c {
		if found, err := config.GetAll(alias, keyword); err == nil {
			values = append(values, found...)
		}
	}
	return values
}

// resolveHost is the target of a release's host: deploy.hcl wins, ssh_config fills in what it leaves out.
func resolveHost(o Options, c configs, h release.Host) (target, error) {
	alias := h.Address
	if alias == "" {
		alias = h.Name
	}
	t := target{label: h.Name, alias: alias}
	if !h.SSH.UserDefault {
		t.user = h.SSH.User
	}
	if !h.SSH.PortDefault {
		t.port = h.SSH.Port
	}
	t, err := resolve(o, c, t)
	if err != nil {
		return target{}, err
	}
	t.pin, t.command = h.HostKey, h.SSH.ProxyCommand
	jump := h.SSH.Jump
	if jump == "" && t.command == "" {
		jump = c.get(alias, "ProxyJump")
	}
	if jump != "" && jump != "none" {
		for _, hop := range strings.Split(jump, ",") {
			t.jumps = append(t.jumps, strings.TrimSpace(hop))
		}
	}
	return t, nil
}

// resolveJump is the target of a jump host. Without a user in deploy.hcl or ssh_config it is root, as Kamal has it.
func resolveJump(o Options, c configs, text string) (target, error) {
	t := target{label: "jump host " + text}
	name, rest, found := strings.Cut(text, "@")
	if found {
		t.user = name
	} else {
		rest = text
	}
	rest = strings.TrimPrefix(rest, "ssh://")
	t.alias = strings.Trim(rest, "[]")
	if host, port, err := net.SplitHostPort(rest); err == nil {
		number, err := strconv.Atoi(port)
		if err != nil || number < 1 || number > 65535 {
			return target{}, fmt.Errorf("jump host %q: the port must be a number from 1 to 65535", text)
		}
		t.alias, t.port = host, number
	}
	if t.alias == "" {
		return target{}, fmt.Errorf("jump host %q: no host in it; write [user@]host[:port]", text)
	}
	return resolve(o, c, t)
}

func resolve(o Options, c configs, t target) (target, error) {
	t.host = t.alias
	if name := c.get(t.alias, "HostName"); name != "" {
		t.host = strings.NewReplacer("%%", "%", "%h", t.alias).Replace(name)
	}
	if t.user == "" {
		t.user = c.get(t.alias, "User")
	}
	if t.user == "" {
		t.user = "root"
	}
	if port := c.get(t.alias, "Port"); t.port == 0 && port != "" {
		number, err := strconv.Atoi(port)
		if err != nil {
			return target{}, fmt.Errorf("ssh_config: Port %q of %s is no number", port, t.alias)
		}
		t.port = number
	}
	if t.port == 0 {
		t.port = 22
	}
	for _, file := range c.all(t.alias, "IdentityFile") {
		t.identity = append(t.identity, t.expand(o, file))
	}
	return t, nil
}

// expand fills in ssh_config's tokens that file names use.
func (t target) expand(o Options, text string) string {
	local := ""
	if me, err := user.Current(); err == nil {
		local = me.Username
	}
	return strings.NewReplacer("%%", "%", "%d", o.Home, "%h", t.host, "%r", t.user, "%u", local,
		"%p", strconv.Itoa(t.port), "%n", t.alias).Replace(text)
}
