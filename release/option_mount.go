package release

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// mountParts are the parts of a mount in the order that they are written in.
var mountParts = []string{"type", "source", "target", "readonly", "consistency", "bind-propagation", "bind-recursive", "bind-create-src",
	"volume-subpath", "volume-nocopy", "volume-label", "volume-driver", "volume-opt", "image-subpath", "tmpfs-size", "tmpfs-mode"}

// mountAlias are docker's other names for a part.
var mountAlias = map[string]string{"src": "source", "dst": "target", "destination": "target", "ro": "readonly", "bind-nonrecursive": "bind-recursive"}

var (
	mountFlags  = []string{"readonly", "bind-create-src", "volume-nocopy"}
	mountPairs  = []string{"volume-label", "volume-opt"} // these may be given several times
	mountValues = map[string][]string{
		"type":             {"bind", "volume", "tmpfs", "image"},
		"consistency":      {"default", "consistent", "cached", "delegated"},
		"bind-propagation": {"rprivate", "private", "rshared", "shared", "rslave", "slave"},
		"bind-recursive":   {"enabled", "disabled", "writable", "readonly"},
	}
)

// readMount is NAME=value with commas between, as docker run's --mount: parts in the order above, flags by their name alone.
func readMount(s string) (string, error) {
	bad := func(format string, args ...any) (string, error) {
		return "", fmt.Errorf("is such as \"type=bind,source=/srv/data,target=/data,readonly\", not %q: %s", s, fmt.Sprintf(format, args...))
	}
	fields, err := OptionFields(strings.TrimSpace(s))
	if err != nil {
		return bad("%v", err)
	}
	part := map[string][]string{}
	for _, field := range fields {
		name, value, problem := mountPart(field)
		switch {
		case problem != "":
			return bad("%s", problem)
		case value == "" && name != "volume-label" && name != "volume-opt": // a flag that is off
		case len(part[name]) > 0 && !slices.Contains(mountPairs, name):
			return bad("%s is given twice", name)
		default:
			part[name] = append(part[name], value)
		}
	}
	if problem := checkMount(part); problem != "" {
		return bad("%s", problem)
	}
	return OptionLine(mountText(part)), nil
}

// mountText writes the parts in their order.
func mountText(part map[string][]string) []string {
	var written []string
	for _, name := range mountParts {
		values := slices.Compact(slices.Sorted(slices.Values(part[name])))
		for _, value := range values {
			switch {
			case slices.Contains(mountFlags, name):
				written = append(written, name)
			case name == "bind-recursive" && value == "enabled": // the same as not given
			default:
				written = append(written, name+"="+value)
			}
		}
	}
	return written
}

// mountPart reads one part; the value of a flag is "true" or "".
func mountPart(field string) (name, value, problem string) {
	written, value, valued := strings.Cut(field, "=")
	name = strings.ToLower(written)
	if other, ok := mountAlias[name]; ok {
		name = other
	}
	flag := slices.Contains(mountFlags, name) || strings.EqualFold(written, "bind-nonrecursive")
	switch {
	case !slices.Contains(mountParts, name):
		return "", "", fmt.Sprintf("a mount has no %q.%s", written, didYouMean(name, mountParts))
	case flag && (!valued || value == "true" || value == "1"):
		value = "true"
	case flag && (value == "false" || value == "0"):
		return name, "", ""
	case flag || value == "" || strings.TrimSpace(value) != value:
		return "", "", fmt.Sprintf("%q says nothing that %s takes", field, name)
	}
	if name == "bind-recursive" && value == "true" {
		value = "disabled"
	}
	return mountValue(name, value)
}

func mountValue(name, value string) (string, string, string) {
	if known, ok := mountValues[name]; ok {
		if value = strings.ToLower(value); !slices.Contains(known, value) {
			return "", "", fmt.Sprintf("%s is one of %s", name, strings.Join(known, ", "))
		}
	}
	switch name {
	case "tmpfs-size":
		canonical, err := readSize(value)
		if err != nil {
			return "", "", name + " " + err.Error()
		}
		value = canonical
	case "tmpfs-mode":
		mode, err := strconv.ParseUint(value, 8, 32)
		if err != nil {
			return "", "", fmt.Sprintf("tmpfs-mode is a mode such as 1777, not %q", value)
		}
		value = strconv.FormatUint(mode, 8)
	case "volume-label", "volume-opt":
		if key, _, found := strings.Cut(value, "="); key == "" {
			return "", "", name + " is NAME=value"
		} else if !found {
			value += "="
		}
	}
	return name, value, ""
}

// checkMount says what does not go together; a mount without a type is a volume.
func checkMount(part map[string][]string) string {
	first := func(name string) string {
		if len(part[name]) == 0 {
			return ""
		}
		return part[name][0]
	}
	kind := first("type")
	if kind == "" {
		kind = "volume"
		part["type"] = []string{kind}
	}
	for _, name := range mountParts {
		owner, _, dashed := strings.Cut(name, "-")
		if dashed && len(part[name]) > 0 && owner != kind {
			return fmt.Sprintf("%s is for mounts of type %s", name, owner)
		}
	}
	source, recursive := first("source"), first("bind-recursive")
	switch {
	case !strings.HasPrefix(first("target"), "/"):
		return "target is an absolute path in the container"
	case kind == "bind" && !strings.HasPrefix(source, "/"):
		return "source of a bind is an absolute path on the server"
	case kind == "volume" && source != "" && !volumeName.MatchString(source):
		return fmt.Sprintf("the source %q cannot name a volume", source)
	case kind == "tmpfs" && source != "":
		return "a tmpfs has no source"
	case kind == "image" && source == "":
		return "source of an image is its name"
	case (recursive == "writable" || recursive == "readonly") && first("readonly") == "":
		return "bind-recursive=" + recursive + " needs readonly with it"
	case recursive == "readonly" && first("bind-propagation") != "rprivate":
		return "bind-recursive=readonly needs bind-propagation=rprivate with it"
	}
	return pairTwice(part)
}

func pairTwice(part map[string][]string) string {
	for _, name := range mountPairs {
		given := map[string]string{}
		for _, value := range part[name] {
			key, _, _ := strings.Cut(value, "=")
			if other, twice := given[key]; twice && other != value {
				return fmt.Sprintf("%s says two things of %s", name, key)
			}
			given[key] = value
		}
	}
	return ""
}

// mountTarget is where a canonical mount goes.
func mountTarget(s string) string {
	fields, _ := OptionFields(s)
	for _, field := range fields {
		if target, ok := strings.CutPrefix(field, "target="); ok {
			return target
		}
	}
	return s
}

// readTmpfs is path[:options].
func readTmpfs(s string) (string, error) {
	target, options, given := strings.Cut(s, ":")
	if !strings.HasPrefix(target, "/") || given && options == "" || strings.ContainsAny(options, ": \t") {
		return "", fmt.Errorf("is an absolute path with options or none, such as \"/tmp:size=64m,mode=1777\", not %q", s)
	}
	return s, nil
}

var volumesFrom = regexp.MustCompile(`\A[A-Za-z0-9][A-Za-z0-9_.-]*(?::[A-Za-z,]+)?\z`)

func readVolumesFrom(s string) (string, error) {
	if !volumesFrom.MatchString(s) {
		return "", fmt.Errorf("is container[:mode], such as \"data:ro\", not %q", s)
	}
	return s, nil
}
