package release

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

var capabilityName = regexp.MustCompile(`\A[A-Z][A-Z0-9_]*\z`)

// readCapability has no CAP_ before it and is in capitals.
func readCapability(s string) (string, error) {
	canonical := strings.TrimPrefix(strings.ToUpper(s), "CAP_")
	if !capabilityName.MatchString(canonical) {
		return "", fmt.Errorf("is a capability such as \"NET_ADMIN\", or ALL, not %q", s)
	}
	return canonical, nil
}

// securityKeys are what security-opt can set on Linux.
var securityKeys = []string{"apparmor", "label", "no-new-privileges", "seccomp", "systempaths", "writable-cgroups"}

// readSecurity is NAME=value, no-new-privileges alone, or NAME:value, docker's old form. A seccomp profile is its JSON.
func readSecurity(s string) (string, error) {
	name, value, found := strings.Cut(s, "=")
	if !found {
		name, value, found = strings.Cut(s, ":")
	}
	truth := value == "true" || value == "false"
	switch {
	case !slices.Contains(securityKeys, name):
		return "", fmt.Errorf("is NAME=value with one of %s for NAME, not %q.%s", strings.Join(securityKeys, ", "), s, didYouMean(name, securityKeys))
	case name == "no-new-privileges" && (!found || truth):
		return s, nil
	case name == "no-new-privileges" || name == "writable-cgroups" && !truth:
		return "", fmt.Errorf("takes true or false for %s, not %q", name, value)
	case value == "":
		return "", fmt.Errorf("needs a value for %s, as in \"%s=unconfined\"", name, name)
	case name == "systempaths" && s != "systempaths=unconfined":
		return "", fmt.Errorf("takes systempaths=unconfined alone, not %q", s)
	case name != "seccomp" || value == "unconfined" || value == "builtin":
		return s, nil
	}
	if _, file := seccompFile(s); file {
		return "", fmt.Errorf("takes a seccomp profile as its JSON here, unconfined or builtin, not %q: no engine reads a file", s)
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, []byte(value)); err != nil {
		return "", fmt.Errorf("has a seccomp profile that is no JSON: %w", err)
	}
	return "seccomp=" + compact.String(), nil
}

// seccompFile is the path of the profile that a security-opt names.
func seccompFile(s string) (path string, found bool) {
	path, found = strings.CutPrefix(s, "seccomp=")
	if !found {
		path, found = strings.CutPrefix(s, "seccomp:")
	}
	if path == "" || path == "unconfined" || path == "builtin" || strings.HasPrefix(strings.TrimSpace(path), "{") {
		return "", false
	}
	return path, found
}

// kernelSettings are what of the kernel's settings each container has for itself.
var kernelSettings = []string{"kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.sem", "kernel.shmall", "kernel.shmmax",
	"kernel.shmmni", "kernel.shm_rmid_forced"}

func readSysctl(s string) (string, error) {
	if _, err := readPair(s); err != nil {
		return "", err
	}
	name, _, _ := strings.Cut(s, "=")
	if !slices.Contains(kernelSettings, name) && !strings.HasPrefix(name, "net.") && !strings.HasPrefix(name, "fs.mqueue.") {
		return "", fmt.Errorf("takes what a container has for itself (net.*, fs.mqueue.*, kernel.shm* and kernel.msg*, kernel.sem), not %q, which is the whole server's", name)
	}
	return s, nil
}
