package traefik

import (
	"fmt"
	"strings"
	"time"

	"github.com/kamald/kamald/state"
)

// validate refuses by name what Traefik cannot do, and whatever could break out of a rule.
func validate(route state.Route, deploy, drain time.Duration) error {
	o := canonical(route.Options)
	problem := ""
	switch {
	case len(route.Targets) == 0:
		problem = "it has no target"
	case len(route.Readers) > 0 || route.Rollout != nil:
		problem = "Traefik has no readers and no rollout by cookie"
	case deploy <= 0:
		problem = fmt.Sprintf("the deploy timeout must be more than 0, not %s", deploy)
	case drain < 0:
		problem = fmt.Sprintf("the drain timeout must not be negative, not %s", drain)
	case len(route.Targets) > 1 && (o.HealthInterval <= 0 || o.HealthTimeout <= 0):
		problem = "its health check's interval and timeout must be more than 0"
	case (o.CertificatePath == "") != (o.PrivateKeyPath == ""):
		problem = "a certificate needs its private key, and a key its certificate"
	}
	for _, lacks := range state.TraefikLacks(o) {
		if problem == "" {
			problem = lacks
		}
	}
	for _, target := range route.Targets {
		if !targetForm.MatchString(target) {
			problem = fmt.Sprintf("the target %q is not of the form container:port", target)
		}
	}
	if at := unsafeText(o); problem == "" && at != "" {
		problem = at
	}
	if problem != "" {
		return fmt.Errorf("route %s is not deployed: %s", route.Name, problem)
	}
	return validateName(route.Name)
}

// unsafeText finds a host or path that a rule could not hold, or would read otherwise.
func unsafeText(o state.RouteOptions) string {
	for _, host := range o.Hosts {
		if host != "*" && !exactHost.MatchString(strings.TrimPrefix(host, "*.")) {
			return fmt.Sprintf("the host %q cannot stand in a rule of Traefik's: letters, digits, dots, _ and -, with *. before it or not", host)
		}
	}
	for _, path := range o.PathPrefixes {
		if !state.TraefikPath(path) {
			return fmt.Sprintf("the path prefix %q cannot stand in a rule of Traefik's: no space, backquote, backslash, brace, comma, ? or #", path)
		}
	}
	for _, p := range pairs(o) {
		if len(p.rule(3)) > ruleLimit {
			return fmt.Sprintf("the rule for host %q and a path of %d letters is too long", p.host, len(p.path))
		}
	}
	return ""
}

// validateName: a route's name is a file's, and a part of Traefik's names, where @ divides.
func validateName(name string) error {
	if !nameForm.MatchString(name) || fileName(name) == catchAllName || name == unavailable {
		return fmt.Errorf("route name %q is invalid: letters, digits, _ . and -, the first a letter or digit", name)
	}
	return nil
}
