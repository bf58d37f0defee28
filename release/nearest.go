package release

import (
	"fmt"
	"slices"
	"strings"

	"github.com/agext/levenshtein"
)

// kamalNames are Kamal's words for what has another name here.
var kamalNames = map[string]string{
	"servers": "role", "roles": "role", "builder": "build", "accessories": "accessory", "aliases": "alias", "boot": "rollout",
	"sshkit": "ssh", "app_port": "proxy", "healthcheck": "health", "secrets_path": "secrets", "hooks": "hook", "tags": "tag",
	"hosts": "host", "host": "hosts", "run": "proxy_server", "path_prefix": "path_prefixes", "max_concurrent_starts": "dial_limit",
	"certificate_pem": "certificate", "private_key_pem": "private_key", "traefik": "proxy_server", "envs": "env",
	"stop_wait_time": "drain_timeout", "max_parallel": "limit", "command": "cmd",
	"identity_file": "keys", "proxy": "jump", "variable": "locals", "variables": "locals", "environment": "env",
}

// DidYouMean is a sentence to append to an error about a name, with its space before; "" when no known name is near.
func DidYouMean(name string, known []string) string { return didYouMean(name, known) }

// nearest is the known name that was probably meant, "" when none is near.
func nearest(name string, known []string) string {
	if other, ok := kamalNames[name]; ok {
		for _, k := range known {
			if k == other {
				return k
			}
		}
	}
	allowed := 2
	if len(name) > 9 {
		allowed = 3
	}
	if len(name) <= 3 {
		allowed = 1
	}
	best := ""
	for _, k := range known {
		if d := distance(strings.ToLower(name), strings.ToLower(k)); d <= allowed {
			best, allowed = k, d-1
		}
	}
	if full := begunBy(name, known); full != "" && allowed > 0 { // one slip is likelier than a name that is half written
		return full
	}
	return best
}

// begunBy is the one known name that begins so, "" when there is none or several do.
func begunBy(name string, known []string) string {
	full := ""
	for _, k := range known {
		if len(name) < 4 || !strings.HasPrefix(strings.ToLower(k), strings.ToLower(name)) || k == name {
			continue
		}
		if full != "" {
			return ""
		}
		full = k
	}
	return full
}

// distance counts edits; letters in another order are one slip of the fingers.
func distance(a, b string) int {
	d := levenshtein.Distance(a, b, nil)
	if d == 2 && len(a) == len(b) && slices.Equal(sorted(a), sorted(b)) {
		return 1
	}
	return d
}

func sorted(s string) []byte {
	letters := []byte(s)
	slices.Sort(letters)
	return letters
}

// didYouMean is a sentence to append, with its space before; "" when no known name is near.
func didYouMean(name string, known []string) string {
	if near := nearest(name, known); near != "" {
		return fmt.Sprintf(" Did you mean %q?", near)
	}
	return ""
}

// quoted lists names for a message.
func quoted(names []string) string {
	var all []string
	for _, name := range names {
		all = append(all, fmt.Sprintf("%q", name))
	}
	return strings.Join(all, ", ")
}
