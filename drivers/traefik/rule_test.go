package traefik

import (
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/kamald/kamald/state"
)

// The rules of Traefik's documentation: matchers Host, HostRegexp, Path and PathPrefix with one backquoted value, joined by
// && and ||, in parentheses or not.
func TestRulesAreWrittenInTraefiksWords(t *testing.T) {
	for _, c := range []struct {
		host, path string
		major      int
		want       string
	}{
		{"", "/", 3, "PathPrefix(`/`)"},
		{"shop.example.com", "/", 2, "Host(`shop.example.com`)"},
		{"shop.example.com", "/api", 3, "Host(`shop.example.com`) && (Path(`/api`) || PathPrefix(`/api/`))"},
		{"", "/api", 3, "(Path(`/api`) || PathPrefix(`/api/`))"},
		{"*.example.com", "/", 2, "HostRegexp(`{sub:[^.]+}.example.com`)"},
		{"*.example.com", "/", 3, "HostRegexp(`(?i)^[^.]+\\.example\\.com(:[0-9]+)?$`)"},
	} {
		if got := (pair{c.host, c.path}).rule(c.major); got != c.want {
			t.Errorf("%s%s in version %d is %s, want %s", c.host, c.path, c.major, got, c.want)
		}
	}
}

func TestTheVersionIsReadFromTheImagesTag(t *testing.T) {
	for image, want := range map[string]int{
		"traefik:v3.1": 3, "traefik:3": 3, "traefik:v2.11.2": 2, "registry.example.com:5000/traefik:v2.11-alpine": 2, "traefik:v10.0": 10,
		"traefik:v3.1@sha256:abc": 3, "traefik:v1.7": 0, "traefik": 0, "traefik:latest": 0, "registry.example.com:5000/traefik": 0,
	} {
		if got, err := Major(image); got != want || (err == nil) != (want > 0) {
			t.Errorf("%s is version %d, %v, want %d", image, got, err, want)
		}
	}
}

// Of all that take a request, the one with the highest priority gets it: it is the one that kamal-proxy would choose.
func TestPrioritiesChooseAsTheOtherProxyDoes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		hosts := []string{"", "*.example.com", "a.example.com", "b.example.com", "very-long-name-of-a-host.with.many.parts.example.org"}
		segment := rapid.SampledFrom([]string{"a", "b", "api", "a-very-long-segment-of-a-path-that-makes-the-rule-longer-than-any-host"})
		path := rapid.Custom(func(t *rapid.T) string {
			return "/" + strings.Join(rapid.SliceOfN(segment, 0, 4).Draw(t, "segments"), "/")
		})
		all := rapid.SliceOfNDistinct(rapid.Custom(func(t *rapid.T) pair {
			return pair{rapid.SampledFrom(hosts).Draw(t, "host"), path.Draw(t, "prefix")}
		}), 1, 12, rapid.ID).Draw(t, "pairs")
		major := rapid.IntRange(2, 3).Draw(t, "major")
		host, asked := rapid.SampledFrom(hosts[2:]).Draw(t, "asked host"), path.Draw(t, "asked path")
		var best, want *pair
		for i, p := range all {
			rule := p.rule(major)
			if priority := p.priority(rule); priority <= priorityCatchAll || len(rule) > ruleLimit {
				t.Fatalf("%v has priority %d, rule of %d letters", p, priority, len(rule))
			}
			takes := matches(t, rule, host, asked, major)
			if takes != p.takes(host, asked) {
				t.Fatalf("%s on %s%s: %v", rule, host, asked, takes)
			}
			if !takes {
				continue
			}
			if best == nil || p.priority(rule) > best.priority(best.rule(major)) {
				best = &all[i]
			} else if p.priority(rule) == best.priority(best.rule(major)) {
				t.Fatalf("%v and %v have one priority, and both take %s%s", p, *best, host, asked)
			}
			if want == nil || p.before(*want) {
				want = &all[i]
			}
		}
		if (best == nil) != (want == nil) || best != nil && *best != *want {
			t.Fatalf("%s%s goes to %v, want %v", host, asked, best, want)
		}
	})
}

// takes is what a pair means.
func (p pair) takes(host, path string) bool {
	label, suffix, _ := strings.Cut(host, ".")
	onHost := p.host == "" || p.host == host || p.host == "*."+suffix && label != ""
	return onHost && (p.path == "/" || path == p.path || strings.HasPrefix(path, p.path+"/"))
}

// before: a name, then a wildcard, then any host; within them the longer prefix.
func (p pair) before(other pair) bool {
	rank := func(p pair) int {
		switch {
		case p.host == "":
			return 0
		case strings.HasPrefix(p.host, "*."):
			return 1
		}
		return 2
	}
	if rank(p) != rank(other) {
		return rank(p) > rank(other)
	}
	return len(p.path) > len(other.path)
}

var matcherCall = regexp.MustCompile("^(Host|HostRegexp|Path|PathPrefix)\\(`([^`]*)`\\)")

type fatal interface{ Fatalf(string, ...any) }

// matches evaluates a rule as Traefik's documentation of a version says.
func matches(t fatal, rule, host, path string, major int) bool {
	e := &evaluation{t: t, rest: rule, host: host, path: path, major: major}
	got := e.or()
	if e.rest != "" {
		t.Fatalf("%s does not end at %q", rule, e.rest)
	}
	return got
}

type evaluation struct {
	t          fatal
	rest       string
	host, path string
	major      int
}

func (e *evaluation) accept(text string) bool {
	rest, ok := strings.CutPrefix(strings.TrimLeft(e.rest, " "), text)
	if ok {
		e.rest = rest
	}
	return ok
}

func (e *evaluation) or() bool {
	got := e.and()
	for e.accept("||") {
		right := e.and()
		got = got || right
	}
	return got
}

func (e *evaluation) and() bool {
	got := e.one()
	for e.accept("&&") {
		right := e.one()
		got = got && right
	}
	return got
}

func (e *evaluation) one() bool {
	if e.accept("(") {
		got := e.or()
		if !e.accept(")") {
			e.t.Fatalf("no ) before %q", e.rest)
		}
		return got
	}
	e.rest = strings.TrimLeft(e.rest, " ")
	m := matcherCall.FindStringSubmatch(e.rest)
	if m == nil {
		e.t.Fatalf("no matcher at %q", e.rest)
	}
	e.rest = e.rest[len(m[0]):]
	switch m[1] {
	case "Host":
		return strings.EqualFold(e.host, m[2])
	case "Path":
		return e.path == m[2]
	case "PathPrefix":
		return strings.HasPrefix(e.path, m[2])
	}
	pattern := m[2]
	if e.major < 3 { // {name:pattern}, the rest is literal
		parts := regexp.MustCompile(`\{[a-z]+:([^}]*)\}`)
		at := parts.FindStringSubmatchIndex(pattern)
		pattern = "^" + regexp.QuoteMeta(pattern[:at[0]]) + pattern[at[2]:at[3]] + regexp.QuoteMeta(pattern[at[1]:]) + "$"
	}
	return regexp.MustCompile(pattern).MatchString(e.host)
}

// Whatever is written in a file, it means itself in a rule or is refused.
func TestNothingBreaksOutOfARule(t *testing.T) {
	for _, o := range []state.RouteOptions{
		{Hosts: []string{"a`) || PathPrefix(`/"}}, {Hosts: []string{"a\"b"}}, {Hosts: []string{"*"}, PathPrefixes: []string{"/`"}}, {Hosts: []string{"*.*.com"}},
		{PathPrefixes: []string{"/{a:.*}"}}, {PathPrefixes: []string{"/{{ env \"HOME\" }}"}}, {PathPrefixes: []string{"/a\nb"}}, {Hosts: []string{"{{.}}"}},
		{PathPrefixes: []string{"/" + strings.Repeat("a", ruleLimit)}}, {Hosts: []string{"a b"}}, {PathPrefixes: []string{"/a\\"}}, {PathPrefixes: []string{"/a,b"}},
	} {
		if unsafeText(canonical(o)) == "" {
			t.Errorf("%+v is taken", o)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		o := canonical(state.RouteOptions{Hosts: []string{rapid.String().Draw(t, "host")}, PathPrefixes: []string{rapid.String().Draw(t, "path")}})
		if unsafeText(o) != "" {
			return
		}
		for _, major := range []int{2, 3} {
			for _, p := range pairs(o) {
				host, path := p.host, p.path
				if host == "" {
					host = "any.example.com"
				}
				host = strings.Replace(host, "*", "sub", 1)
				if !matches(t, p.rule(major), host, path, major) || p.path != "/" && matches(t, p.rule(major), host, path+"x", major) {
					t.Fatalf("%s does not mean %v", p.rule(major), p)
				}
			}
		}
	})
}
