package release

import (
	"encoding/csv"
	"errors"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// cdiDevice is a device by the name that its vendor's description gives it: vendor.com/class=name.
var cdiDevice = regexp.MustCompile(`\A[A-Za-z](?:[A-Za-z0-9_.-]*[A-Za-z0-9])?/[A-Za-z](?:[A-Za-z0-9_.-]*[A-Za-z0-9])?=[A-Za-z0-9](?:[A-Za-z0-9_.:-]*[A-Za-z0-9])?\z`)

// readDevice is host[:container[:permissions]], written with all three, or a CDI name.
func readDevice(s string) (string, error) {
	if cdiDevice.MatchString(s) {
		return s, nil
	}
	parts := strings.Split(s, ":")
	host, inside, permissions := parts[0], parts[0], "rwm"
	switch {
	case len(parts) == 2 && devicePermissions(parts[1]):
		permissions = parts[1]
	case len(parts) == 2:
		inside = parts[1]
	case len(parts) == 3:
		inside, permissions = parts[1], parts[2]
	}
	if len(parts) > 3 || !strings.HasPrefix(host, "/") || !strings.HasPrefix(inside, "/") || !devicePermissions(permissions) {
		return "", fmt.Errorf("is /dev/NAME[:/dev/NAME in the container[:permissions of rwm]] or a CDI name such as \"nvidia.com/gpu=0\", not %q", s)
	}
	if len(parts) < 3 {
		host, inside = cleanUnless(host, len(parts) == 2 && inside != host), path.Clean(inside)
	}
	return host + ":" + inside + ":" + permissions, nil
}

// cleanUnless leaves the host's path as it is written where another is given for the container, as docker does.
func cleanUnless(p string, asIs bool) string {
	if asIs {
		return p
	}
	return path.Clean(p)
}

func devicePermissions(s string) bool {
	if s == "" || len(s) > 3 || strings.Trim(s, "rwm") != "" {
		return false
	}
	return strings.Count(s, s[:1]) == 1 && (len(s) < 3 || s[1] != s[2])
}

var deviceRule = regexp.MustCompile(`\A[acb] (?:[0-9]+|\*):(?:[0-9]+|\*) [rwm]{1,3}\z`)

func readDeviceRule(s string) (string, error) {
	if !deviceRule.MatchString(s) {
		return "", fmt.Errorf("is type major:minor permissions, such as \"c 189:* rwm\", not %q", s)
	}
	return s, nil
}

// readDeviceRate is /dev/NAME:rate.
func readDeviceRate(rate func(string) (string, error)) func(string) (string, error) {
	return func(s string) (string, error) {
		device, text, found := strings.Cut(s, ":")
		if !found || !strings.HasPrefix(device, "/dev/") {
			return "", fmt.Errorf("is /dev/NAME:value, not %q", s)
		}
		canonical, err := rate(text)
		if err != nil {
			return "", fmt.Errorf("is /dev/NAME:value, and the value %w", err)
		}
		return device + ":" + canonical, nil
	}
}

// readGPUs is a number or "all", or NAME=value separated by commas: count, device, driver, capabilities, options. It is
// written in that order; a value that has commas itself stands in quotes.
func readGPUs(s string) (string, error) {
	bad := func(why string) (string, error) {
		return "", fmt.Errorf("is \"all\", a number, or driver=…, count=…, device=…, capabilities=…, options=… with commas between, not %q: %s", s, why)
	}
	fields, err := OptionFields(s)
	if err != nil {
		return bad(err.Error())
	}
	part := map[string]string{}
	for _, field := range fields {
		name, value, named := strings.Cut(field, "=")
		if !named {
			name, value = "count", name
		}
		if _, twice := part[name]; twice {
			return bad(name + " is given twice")
		}
		if !slices.Contains(gpuParts, name) || value == "" {
			return bad(fmt.Sprintf("%q is none of them", field))
		}
		part[name] = value
	}
	if problem := completeGPUs(part); problem != "" {
		return bad(problem)
	}
	var written []string
	for _, name := range gpuParts {
		if value, ok := part[name]; ok {
			written = append(written, name+"="+value)
		}
	}
	return OptionLine(written), nil
}

var gpuParts = []string{"driver", "count", "device", "capabilities", "options"}

// completeGPUs writes the parts canonically, or says what is wrong.
func completeGPUs(part map[string]string) string {
	count, counted := part["count"]
	device, named := part["device"]
	switch n, err := strconv.Atoi(count); {
	case counted && named:
		return `count and device exclude each other; several devices stand in quotes of their own: "\"device=0,1\""`
	case named && slices.Contains(strings.Split(device, ","), ""):
		return "a device has no name"
	case named:
	case !counted:
		part["count"] = "1"
	case count == "all" || err == nil && n == -1:
		part["count"] = "all"
	case err != nil || n < 1:
		return fmt.Sprintf("%q is no number of them", count)
	default:
		part["count"] = strconv.Itoa(n)
	}
	if given, ok := part["capabilities"]; ok && slices.Contains(strings.Split(given, ","), "") {
		return "a capability has no name"
	}
	given, ok := part["options"]
	if !ok {
		return ""
	}
	fields, err := OptionFields(given)
	if err != nil {
		return err.Error()
	}
	options := map[string]string{}
	for _, field := range fields {
		name, value, found := strings.Cut(field, "=")
		if !found || name == "" {
			return fmt.Sprintf("the option %q is not NAME=value", field)
		}
		options[name] = value
	}
	part["options"] = pairsLine(options)
	return ""
}

// OptionFields splits a value as the docker client does: by commas, but for those in quotes.
func OptionFields(s string) ([]string, error) {
	if s == "" || strings.ContainsAny(s, "\r\n") {
		return nil, errors.New("it is empty, or of several lines")
	}
	return csv.NewReader(strings.NewReader(s)).Read()
}

// OptionLine writes fields with commas between; those that have one stand in quotes.
func OptionLine(fields []string) string {
	var b strings.Builder
	w := csv.NewWriter(&b)
	_ = w.Write(fields) // a builder takes everything
	w.Flush()
	return strings.TrimSuffix(b.String(), "\n")
}

// pairsLine writes NAME=value in the order of the names.
func pairsLine(pairs map[string]string) string {
	var fields []string
	for _, name := range slices.Sorted(maps.Keys(pairs)) {
		fields = append(fields, name+"="+pairs[name])
	}
	return OptionLine(fields)
}
