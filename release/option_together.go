package release

import (
	"slices"
	"strconv"
	"strings"
)

// checkTogether reports options that exclude or need each other, which engines refuse at creation.
func (c *compiler) checkTogether(v *value, kept map[string][]string) {
	for _, pair := range [][2]string{{"cpus", "cpu-period"}, {"cpus", "cpu-quota"}} {
		if kept[pair[0]] != nil && kept[pair[1]] != nil && kept[pair[1]][0] != "0" {
			c.errorf(v.rangeOf(pair[1]), "Options exclude each other", "%s is cpu-quota and cpu-period in one number; keep it, or these two.", pair[0])
		}
	}
	if kept["no-healthcheck"] != nil {
		for _, name := range OptionNames() {
			if strings.HasPrefix(name, "health-") && kept[name] != nil {
				c.errorf(v.rangeOf(name), "Options exclude each other", "no-healthcheck takes the check away that %s sets.", name)
			}
		}
	}
	memory, swap, reserved := amount(kept["memory"]), amount(kept["memory-swap"]), amount(kept["memory-reservation"])
	switch {
	case swap > 0 && memory == 0:
		c.errorf(v.rangeOf("memory-swap"), "Option needs another", "memory-swap is memory and swap together, and needs memory with it.")
	case swap > 0 && swap < memory:
		c.errorf(v.rangeOf("memory-swap"), "Bad option", "memory-swap is memory and swap together: it cannot be less than memory.")
	}
	if memory > 0 && reserved > memory {
		c.errorf(v.rangeOf("memory-reservation"), "Bad option", "memory-reservation is what is kept when memory is short: it cannot be more than memory.")
	}
	c.checkTargets(v, kept)
}

func amount(values []string) int64 {
	if len(values) != 1 {
		return 0
	}
	n, _ := strconv.ParseInt(values[0], 10, 64)
	return n
}

// checkTargets reports a place in the container that is mounted twice.
func (c *compiler) checkTargets(v *value, kept map[string][]string) {
	var targets []string
	for _, mount := range kept["mount"] {
		targets = append(targets, mountTarget(mount))
	}
	for _, tmpfs := range kept["tmpfs"] {
		if target := before(":")(tmpfs); slices.Contains(targets, target) {
			c.errorf(v.rangeOf("tmpfs"), "Mounted twice", "%s is mounted by mount, too.", target)
		}
	}
}
