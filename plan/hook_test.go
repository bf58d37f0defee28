package plan_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// migrates is a release with hooks at every moment, and a migration in a container of web.
func migrates(version string) release.Release {
	r := shop()
	r.Version = version
	all := []string{"release", "rollback", "config"}
	r.Hooks.List = []release.Hook{
		{Name: "pre-deploy", At: release.HookPreDeploy, File: ".kamald/hooks/pre-deploy", On: all},
		{Name: "pre-app-boot", At: release.HookPreBoot, File: ".kamald/hooks/pre-app-boot", On: all},
		{Name: "post-app-boot", At: release.HookPostBoot, File: ".kamald/hooks/post-app-boot", On: all},
		{Name: "post-deploy", At: release.HookPostDeploy, File: ".kamald/hooks/post-deploy", On: all},
		{Name: "rollback", At: release.HookRollback, File: ".kamald/hooks/rollback"},
		{Name: "migrate", At: release.HookPreBoot, Role: "web", Run: []string{"bin/migrate"}, On: []string{"release"}},
	}
	return r
}

// hooksOf are the hooks of a plan, in its order: name, group and host.
func hooksOf(p plan.Plan) (list []string) {
	for _, s := range p.Steps {
		if s.Kind == plan.StepHook {
			list = append(list, strings.TrimPrefix(s.ID, "hook/"))
		}
	}
	return list
}

func TestHooksRunAtTheirMoments(t *testing.T) {
	w := released(t, shop())
	w.desired = migrates("v2")
	w.desired.Rollout.Limit.Count = 1
	p := w.plan()
	want := []string{"pre-deploy/pre-deploy", "pre-boot/migrate", "pre-boot/pre-app-boot/1", "post-boot/post-app-boot/1", "pre-boot/pre-app-boot/2", "post-boot/post-app-boot/2"}
	if got := hooksOf(p); len(p.Groups) < 2 || len(got) < len(want) || !slices.Equal(got[:len(want)], want) || got[len(got)-1] != "post-deploy/post-deploy" {
		t.Fatalf("%v\n%s", got, show(p))
	}
	g := graphOf(p)
	for _, s := range p.Steps {
		if s.ID != "hook/pre-deploy/pre-deploy" && !g.after(s.ID)["hook/pre-deploy/pre-deploy"] {
			t.Errorf("%s does not wait for the hook at pre-deploy", s.ID)
		}
		if s.Kind == plan.StepCreate && !g.after(s.ID)["hook/pre-boot/migrate"] {
			t.Errorf("%s does not wait for the migration", s.ID)
		}
	}
	if !g.after("hook/pre-boot/migrate")["image/web-1"] || !g.after("hook/post-deploy/post-deploy")["record/web-1"] {
		t.Errorf("%s", show(p))
	}
}

func TestAHooksContainerIsTheRolesWithAnotherCommand(t *testing.T) {
	w := released(t, shop())
	w.desired = migrates("v2")
	w.desired.Roles[0].Options = map[string][]string{"publish": {"80:80"}, "memory": {"1000000"}}
	p := w.plan()
	i := slices.IndexFunc(p.Steps, func(s plan.Step) bool { return s.ID == "hook/pre-boot/migrate" })
	s := p.Steps[i]
	spec := s.Spec
	_, named := spec.Env["KAMAL_CONTAINER_NAME"]
	_, labelled := spec.Labels[state.LabelRole]
	if s.Host != "web-1" || !slices.Equal(spec.Cmd, []string{"bin/migrate"}) || spec.Restart != "no" || named || labelled || spec.Options["publish"] != nil || spec.Options["memory"] == nil ||
		spec.Env["KAMAL_VERSION"] != "v2" || spec.Labels[state.LabelService] != "shop" || spec.Digest == "" {
		t.Errorf("on %s: %+v", s.Host, spec)
	}
	if len(w.desired.Roles[0].Options) != 2 {
		t.Error("the role has lost its options")
	}
}

func TestOnlyANewVersionIsMigratedFor(t *testing.T) {
	without := func(what string, w *world) {
		t.Helper()
		p := w.plan()
		if got := hooksOf(p); p.Empty() || slices.Contains(got, "pre-boot/migrate") {
			t.Errorf("%s: %v\n%s", what, got, show(p))
		}
	}
	w := released(t, migrates("v1"))
	if p := w.plan(); !p.Empty() || len(hooksOf(p)) > 0 {
		t.Errorf("with nothing to do there are %v", hooksOf(p))
	}
	w.desired.Roles[0].Env.Clear = map[string]string{"COLOUR": "blue"}
	without("configuration", w)

	w = released(t, migrates("v1"))
	w.container("web-1", "shop-web-v1").Status = state.StatusExited
	if p := w.plan(); p.Empty() || len(hooksOf(p)) > 0 {
		t.Errorf("healing runs %v", hooksOf(p))
	}

	w = released(t, migrates("v1"))
	w.desired, w.options.Back = migrates("v2"), true
	without("rollback", w)
	if got := hooksOf(w.plan()); !slices.Contains(got, "pre-deploy/pre-deploy") || !slices.Contains(got, "rollback/rollback") {
		t.Errorf("a rollback runs %v", got)
	}
	without("back to what is held, from a partial release", partly(t, "v2"))
	if got := hooksOf(partly(t, "v2").plan()); !slices.Contains(got, "rollback/rollback") {
		t.Errorf("back to what is held runs %v", got)
	}
}

// A part that has other settings of the version that is held runs no other version: nothing is rolled back.
func TestNothingIsRolledBackFromOtherSettings(t *testing.T) {
	w := released(t, migrates("v1"))
	w.desired.Roles[0].Env.Clear = map[string]string{"COLOUR": "blue"}
	w.options.Filter = plan.Filter{Hosts: []string{"web-1"}}
	if p := w.plan(); !p.Partial || p.Kind != plan.KindConfig {
		t.Fatalf("%s", show(p))
	} else if err := w.carryOut(p, inOrder); err != nil {
		t.Fatal(err)
	}
	w.desired, w.options = migrates("v1"), plan.Options{}
	w.desired.Roles[0].Env.Clear = map[string]string{"COLOUR": "green"}
	if p := w.plan(); p.Empty() || slices.Contains(hooksOf(p), "rollback/rollback") || slices.Contains(hooksOf(p), "pre-boot/migrate") {
		t.Errorf("%v\n%s", hooksOf(p), show(p))
	}
}

// partly is a world that holds v1, of which a part runs another version.
func partly(t *testing.T, version string) *world {
	w := released(t, migrates("v1"))
	w.desired, w.pin = migrates(version), pinOf(w.desired, version)
	w.options.Filter = plan.Filter{Hosts: []string{"web-1"}}
	p := w.plan()
	if err := w.carryOut(p, inOrder); err != nil || !p.Partial {
		t.Fatalf("%v: %s", err, show(p))
	}
	w.desired, w.pin, w.options = migrates("v1"), pinOf(w.desired, "v1"), plan.Options{}
	return w
}

func TestAPartialReleaseMigratesOnce(t *testing.T) {
	w := released(t, migrates("v1"))
	w.desired = migrates("v2")
	w.records = append([]state.Record{{Number: w.held.Number + 1, Version: "v2", Outcome: state.OutcomePartial,
		Hooks: []state.HookRun{{Name: "migrate"}}}}, w.records...)
	p := w.plan()
	if slices.Contains(hooksOf(p), "pre-boot/migrate") || len(p.LeftOutHooks) != 1 {
		t.Errorf("%v %v", hooksOf(p), p.LeftOutHooks)
	}
}

func TestAMigrationThatCanRunNowhereIsAProblem(t *testing.T) {
	w := released(t, migrates("v1"))
	w.desired = migrates("v2")
	w.options.Filter = plan.Filter{Roles: []string{"workers"}}
	if p := w.plan(); !slices.ContainsFunc(p.Problems, func(q plan.Problem) bool {
		return strings.Contains(q.Summary, "hook migrate runs in a container of web, which is not in scope")
	}) {
		t.Errorf("%s", show(p))
	}
}

// A run that was killed has left its container: the next one goes there, and does not begin elsewhere.
func TestAnInterruptedMigrationIsTakenUpWhereItIs(t *testing.T) {
	w := released(t, migrates("v1"))
	w.desired = migrates("v2")
	name := w.desired.App().HookName("migrate", 2)
	w.make("web-2", name, state.Spec{Image: "x", Labels: map[string]string{"service": "shop", "destination": ""}}, state.StatusRunning, image(w.desired, "v2").ID)
	w.container("web-2", name).Hook = "migrate"
	p := w.plan()
	i := slices.IndexFunc(p.Steps, func(s plan.Step) bool { return s.ID == "hook/pre-boot/migrate" })
	if i < 0 || p.Steps[i].Host != "web-2" {
		t.Errorf("%s", show(p))
	}
}

// What a failed migration has left goes with the next release that succeeds, and before that only by a prune.
func TestWhatAHookHasLeftGoesWithTheNextRelease(t *testing.T) {
	left := func(desired release.Release) *world {
		w := released(t, migrates("v1"))
		w.desired = desired
		name := desired.App().HookName("migrate", 2)
		w.make("web-1", name, state.Spec{Image: "x", Labels: map[string]string{"service": "shop", "destination": ""}}, state.StatusExited, image(w.desired, "v2").ID)
		w.container("web-1", name).Hook = "migrate"
		return w
	}
	removes := func(p plan.Plan) bool {
		return slices.ContainsFunc(p.Steps, func(s plan.Step) bool { return s.Kind == plan.StepRemove && s.Name == "shop-hook.migrate-2" })
	}
	if p := left(migrates("v1")).plan(); !p.Empty() {
		t.Errorf("%s", show(p))
	}
	if p := left(migrates("v2")).plan(); !removes(p) {
		t.Errorf("%s", show(p))
	}
	w := left(migrates("v1"))
	w.options.Prune = true
	if p := w.plan(); !removes(p) || len(hooksOf(p)) > 0 {
		t.Errorf("%s", show(p))
	}
}
