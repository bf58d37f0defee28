package traefik

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/kamald/kamald/state"
)

// Traefik tries routers in the order of their priorities, the highest first. By itself it takes the rule's length, which is
// wrong twice: a short rule loses to a catch-all of a longer one, and a wildcard, written as a regular expression, wins over a
// plain name (kamal-facts: S-13).
const (
	// priorityCatchAll is below every route's.
	priorityCatchAll = 1
	// priorityBase is the lowest of a route, to which the rule's length is added.
	priorityBase = 2
	// priorityStep lies between any host, a wildcard and a name: more than the length of any rule.
	priorityStep = 1 << 16
	// ruleLimit is how long a rule may be.
	ruleLimit = 1 << 12
)

var (
	exactHost  = regexp.MustCompile(`\A[a-zA-Z0-9_](?:[a-zA-Z0-9_.-]*[a-zA-Z0-9_])?\z`)
	targetForm = regexp.MustCompile(`\A[a-zA-Z0-9][a-zA-Z0-9_.-]*:[0-9]{1,5}\z`)
	nameForm   = regexp.MustCompile(`\A[a-zA-Z0-9][a-zA-Z0-9_.-]*\z`)
	// tagForm reads the version of an image's tag: v3.1, 3, v2.11.2-alpine.
	tagForm = regexp.MustCompile(`:v?([0-9]+)(?:\.[0-9]+)*(?:-[a-z0-9.-]+)?\z`)
)

// pair is one host and path prefix of a route. host is "" for any, path "/" for all.
type pair struct{ host, path string }

func pairs(o state.RouteOptions) []pair {
	var all []pair
	for _, host := range o.Hosts {
		for _, path := range o.PathPrefixes {
			all = append(all, pair{plainHost(host), path})
		}
	}
	if len(o.Hosts) == 0 {
		for _, path := range o.PathPrefixes {
			all = append(all, pair{"", path})
		}
	}
	return all
}

// plainHost is a host in lower case, "" where it stands for any.
func plainHost(host string) string {
	if host == "*" {
		return ""
	}
	return strings.ToLower(host)
}

// rule is the pair in Traefik's words. A prefix is matched up to a slash: PathPrefix alone would take /apix for /api. Versions 2
// and 3 differ in how they write a pattern.
func (p pair) rule(major int) string {
	var parts []string
	switch suffix, wild := strings.CutPrefix(p.host, "*."); {
	case wild && major < 3:
		parts = append(parts, "HostRegexp(`{sub:[^.]+}."+suffix+"`)")
	case wild:
		parts = append(parts, "HostRegexp(`(?i)^[^.]+\\."+regexp.QuoteMeta(suffix)+"(:[0-9]+)?$`)") // some of 3 match the port too
	case p.host != "":
		parts = append(parts, "Host(`"+p.host+"`)")
	}
	if p.path != "/" {
		parts = append(parts, "(Path(`"+p.path+"`) || PathPrefix(`"+p.path+"/`))")
	}
	if len(parts) == 0 {
		return "PathPrefix(`/`)"
	}
	return strings.Join(parts, " && ")
}

// priority puts a name before a wildcard and that before any host, and within them a longer prefix before a shorter one.
func (p pair) priority(rule string) int {
	rank := 0
	switch {
	case strings.HasPrefix(p.host, "*."):
		rank = 1
	case p.host != "":
		rank = 2
	}
	return priorityBase + rank*priorityStep + len(rule)
}

// Major is the major version of Traefik that an image's tag says: 2 and later are driven.
func Major(image string) (int, error) {
	repository, _, _ := strings.Cut(image, "@")
	if m := tagForm.FindStringSubmatch(repository); m != nil {
		major := 0
		if _, err := fmt.Sscan(m[1], &major); err == nil && major >= 2 {
			return major, nil
		}
		return 0, fmt.Errorf("the image %s is Traefik before version 2, whose rules are others: kamald drives version 2.11 and later", image)
	}
	return 0, fmt.Errorf("the tag of the image %s does not say which version of Traefik it is: use one like traefik:v3.1", image)
}

// canonical is the form in which routes are kept and compared: no hosts for any host, ["/"] for every path, no empty lists.
func canonical(o state.RouteOptions) state.RouteOptions {
	var hosts, paths []string
	for _, host := range o.Hosts {
		if host != "" {
			hosts = append(hosts, host)
		}
	}
	for _, path := range o.PathPrefixes {
		paths = append(paths, "/"+strings.Trim(path, "/"))
	}
	if len(paths) == 0 {
		paths = []string{"/"}
	}
	o.Hosts, o.PathPrefixes = hosts, paths
	for _, list := range []*[]string{&o.LogRequestHeaders, &o.LogResponseHeaders} {
		if len(*list) == 0 {
			*list = nil
		}
	}
	return o
}

func overlap(a, b state.RouteOptions) bool {
	taken := map[pair]bool{}
	for _, p := range pairs(canonical(a)) {
		taken[p] = true
	}
	for _, p := range pairs(canonical(b)) {
		if taken[p] {
			return true
		}
	}
	return false
}
