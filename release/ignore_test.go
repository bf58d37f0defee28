package release

import (
	"strings"
	"testing"
)

func TestAPathOfIgnoreCoversWhatTheFileCallsSo(t *testing.T) {
	for _, c := range []struct {
		ignore, role, path string
		want               bool
	}{
		{"role.workers.options.memory", "workers", "option memory", true},
		{"role.workers.options.memory", "web", "option memory", false},
		{"role.workers.options.memory", "workers", "option memory-swap", false},
		{"role.workers.options", "workers", "option memory", true},
		{"role.workers.options", "workers", "restart", true},
		{"role.workers.options.restart", "workers", "restart", true},
		{"role.workers.options.label", "workers", "label a.b", true},
		{"options.memory", "web", "option memory", true},
		{"role.web", "web", "env A", true}, {"role.web", "web", "", true}, {"role.web", "web", "route", true},
		{"role.web", "workers", "env A", false}, {"role.web", "", "tag", false}, {"role.web", "web", "tag", false},
		{"role.web.env.NAME", "web", "env NAME", true}, {"role.web.env.NAME", "web", "secret NAME", true},
		{"role.web.env.NAME", "web", "env NAMES", false}, {"role.web.env.NAME", "web", "", false},
		{"role.web.env.clear.NAME", "web", "env NAME", true}, {"role.web.env.clear.NAME", "web", "secret NAME", false},
		{"role.web.env.secret", "web", "secret NAME", true}, {"role.web.env.secret", "web", "env NAME", false},
		{"env", "web", "env NAME", true}, {"env", "web", "secret NAME", true},
		{"env.A.B", "web", "env A.B", true},
		{"labels.traefik.enable", "web", "label traefik.enable", true}, {"labels", "web", "label x", true}, {"labels.x", "web", "label y", false},
		{"logging", "web", "log driver", true}, {"logging", "web", "log option max-size", true},
		{"logging.options.max-size", "web", "log option max-size", true}, {"logging.options.max-size", "web", "log driver", false},
		{"logging.driver", "web", "log driver", true},
		{"stop.signal", "web", "stop signal", true}, {"stop.grace", "web", "stop signal", false}, {"stop", "web", "stop grace", true},
		{"network", "web", "network", true}, {"volumes", "web", "volumes", true}, {"cmd", "web", "cmd", true},
		{"image", "web", "image digest", true}, {"image", "web", "image", true},
		{"tag", "", "tag", true}, {"tag", "web", "volumes", false},
		{"route", "web", "route", true}, {"route", "web", "route hosts", true}, {"role.web.proxy", "web", "route hosts", true}, {"role.web.route", "jobs", "route", false},
		{"nonsense", "web", "nonsense", false}, {"role", "web", "env A", false}, {"", "web", "", false},
	} {
		if got := (Reconcile{Ignore: []string{"role.other", c.ignore}}).Ignores(c.role, c.path); got != c.want {
			t.Errorf("%q ignores %q of %q: %v, want %v", c.ignore, c.path, c.role, got, c.want)
		}
	}
}

func TestAPathOfIgnoreThatIsNotThereIsReportedWithTheNearest(t *testing.T) {
	for path, want := range map[string]string{
		"role.web.options.memroy": `role.web.options has no "memroy". Did you mean "memory"?`,
		"role.web.optoins":        `Did you mean "options"?`,
		"role.wbe.options.memory": `ignore names "wbe", and there is no such role. Did you mean "web"?`,
		"role.":                   "A path begins with role.NAME",
		"logging.optoins":         `logging has no "optoins", but driver, options. Did you mean "options"?`,
		"volumes.data":            "Nothing follows volumes.",
		"tags":                    `Did you mean "tag"?`,
		"web.options":             "A path begins with role.NAME, or with one of cmd, env, image,",
		"role":                    "A path begins with role.NAME",
		"env.":                    `env has no "", but clear, secret.`,
		"":                        "A path begins with role.NAME",
	} {
		got := said(in(least+"reconcile { ignore = [\""+path+"\"] }\n", ""), Options{})
		if !strings.Contains(got, want) || !strings.Contains(got, "deploy.hcl:4: error") {
			t.Errorf("%q: said %q, want %q", path, got, want)
		}
	}
}

func TestTheBaseMayIgnoreDriftOfADestinationsRole(t *testing.T) {
	load(t, in(least+"reconcile { ignore = [\"role.jobs.volumes\"] }\ndestination \"staging\" {\nrole \"jobs\" { hosts = [\"10.0.0.2\"] }\n}\n", ""))
}

// Every word of a role that says what its container is like can be ignored.
func TestEveryWordThatMakesAContainerCanBeIgnored(t *testing.T) {
	elsewhere := []string{"hosts", "tags", "proxied", "singleton", "depends_on", "remove", "asset_path", "health"} // of no container
	for _, name := range specAt(t, "role").names() {
		_, _, err := readIgnore("role.web." + name)
		skipped := false
		for _, other := range elsewhere {
			skipped = skipped || other == name
		}
		if (err != nil) != skipped {
			t.Errorf("role.web.%s: %v", name, err)
		}
	}
}
