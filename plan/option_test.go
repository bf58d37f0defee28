package plan_test

import (
	"strings"
	"testing"

	"github.com/kamald/kamald/plan"
)

// asked makes the role's container one that was asked for with the given options, and whose live ones are these, too.
func asked(t *testing.T, w *world, options map[string][]string) {
	t.Helper()
	for _, host := range []string{"web-1", "web-2"} {
		c := webOn(t, w, host, "web")
		spec := clone(*c.Asked)
		spec.Options = options
		c.Asked = &spec
		c.Live.Options = options
	}
}

func TestAnOptionInOtherWordsIsNoChange(t *testing.T) {
	for name, values := range map[string]struct{ before, now []string }{
		"cap-add":    {[]string{"CAP_SYS_NICE", "net_admin"}, []string{"NET_ADMIN", "SYS_NICE"}},
		"publish":    {[]string{"8080:80/tcp"}, []string{"8080:80"}},
		"device":     {[]string{"/dev/fuse"}, []string{"/dev/fuse:/dev/fuse:rwm"}},
		"ulimit":     {[]string{"nofile=10"}, []string{"nofile=10:10"}},
		"pids-limit": {[]string{"-1"}, []string{"-1"}},
	} {
		w := released(t, shop())
		asked(t, w, map[string][]string{name: values.before})
		roleOf(w, "web").Options = map[string][]string{name: values.now}
		if p := w.plan(); p.Kind != plan.KindNone {
			t.Errorf("%s: %q and then %q:\n%s", name, values.before, values.now, show(p))
		}
		roleOf(w, "web").Options = nil
		if p := w.plan(); p.Kind != plan.KindConfig {
			t.Errorf("%s taken away: %s", name, show(p))
		}
	}
}

func TestAProfileIsShownByItsDigest(t *testing.T) {
	w := released(t, shop())
	roleOf(w, "web").Options = map[string][]string{"security-opt": {"label=disable", `seccomp={"defaultAction":"SCMP_ACT_ALLOW"}`}}
	field := expectation{plan.Replace, plan.Change, plan.ResourceContainer, "web-1/web", "option security-opt"}
	p := w.plan()
	if !field.in(p) || strings.Contains(show(p), "SCMP_ACT_ALLOW") || !strings.Contains(show(p), "label=disable, seccomp=(profile ") {
		t.Errorf("shown as\n%s", show(p))
	}
}
