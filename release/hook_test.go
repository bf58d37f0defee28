package release

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestAHookIsReadIntoTheRelease(t *testing.T) {
	text := least + `
hook "migrate" {
  at      = "pre-boot"
  role    = "web"
  run     = "bin/rails db:migrate"
  on      = ["release", "rollback"]
  timeout = "5m"
  output  = "failure"
}
hook "tell" {
  at      = "drift"
  run     = ["./tell", "drift"]
  secrets = ["SLACK_TOKEN"]
}
`
	r := load(t, in(text, ""))
	want := []Hook{
		{Name: "migrate", At: HookPreBoot, Role: "web", Run: []string{"bin/rails", "db:migrate"}, On: []string{"release", "rollback"}, Timeout: 5 * time.Minute, Output: OutputFailure},
		{Name: "tell", At: HookDrift, Run: []string{"./tell", "drift"}, Timeout: 10 * time.Minute, Secrets: []string{"SLACK_TOKEN"}, Output: OutputShow},
	}
	if diff := cmp.Diff(want, r.Hooks.List); diff != "" {
		t.Errorf("%s", diff)
	}
	if got := r.Hooks.At(HookPreBoot, "config"); len(got) != 0 {
		t.Errorf("runs on a change of configuration, and nobody asked for that: %v", got)
	}
	if got := r.Hooks.At(HookDrift, ""); len(got) != 1 {
		t.Errorf("at drift there are %v", got)
	}
}

// Hooks are of the file as it is today: another command is no other release, and no record of one has it.
func TestAHookIsNoPartOfWhatRuns(t *testing.T) {
	hook := "hook \"tell\" {\n  at = \"post-deploy\"\n  run = [\"./tell\"]\n}\n"
	with, without := load(t, in(least+hook, "")), load(t, in(least, ""))
	if len(with.Hooks.List) != 1 || Digest(with) != Digest(without) {
		t.Errorf("%v: the digests are %s and %s", with.Hooks.List, Digest(with), Digest(without))
	}
	if !slices.Equal(Settings(with), Settings(without)) {
		t.Error("a hook is a setting of what runs")
	}
}

func TestExecutablesAreFoundByTheirNames(t *testing.T) {
	files := map[string]string{"deploy.hcl": least + "hooks_output = { pre-deploy = \"quiet\" }\n", ".kamald/hooks/pre-deploy": "#!/bin/sh\n",
		".kamald/hooks/pre-app-boot": "#!/bin/sh\n", ".kamald/hooks/failure": "", ".kamald/hooks/post-deploy.sample": "#!/bin/sh\n"}
	r := load(t, memory(files))
	kinds := []string{"release", "rollback", "config"}
	want := []Hook{
		{Name: "pre-deploy", At: HookPreDeploy, File: ".kamald/hooks/pre-deploy", On: kinds, Timeout: executableTimeout, AllSecrets: true, Output: OutputQuiet},
		{Name: "pre-app-boot", At: HookPreBoot, File: ".kamald/hooks/pre-app-boot", On: kinds, Timeout: executableTimeout, Output: OutputShow},
		{Name: "failure", At: HookFailure, File: ".kamald/hooks/failure", On: kinds, Timeout: executableTimeout, Output: OutputShow},
	}
	if diff := cmp.Diff(want, r.Hooks.List); diff != "" {
		t.Errorf("%s", diff)
	}
	files = map[string]string{"deploy.hcl": least + "hooks_path = \".kamal/hooks\"\nhooks_output = \"failure\"\n", ".kamal/hooks/drift": ""}
	if r = load(t, memory(files)); len(r.Hooks.List) != 1 || r.Hooks.List[0].File != ".kamal/hooks/drift" || r.Hooks.List[0].Output != OutputFailure {
		t.Errorf("found %v", r.Hooks.List)
	}
}

func TestExecutablesThatNobodyRunsAreToldOf(t *testing.T) {
	files := map[string]string{"deploy.hcl": least, ".kamal/hooks/pre-deploy": "", ".kamal/hooks/pre-build.sample": ""}
	r, diags := Load("deploy.hcl", memory(files))
	if diags.HasErrors() || len(r.Hooks.List) != 0 || !strings.Contains(diags.Error(), `.kamal/hooks/pre-deploy is in Kamal's directory and is not run`) {
		t.Errorf("%v, said %s", r.Hooks.List, diags.Error())
	}
	files = map[string]string{"deploy.hcl": least, ".kamald/hooks/pre-traefik-reboot": ""}
	if _, diags := Load("deploy.hcl", memory(files)); !strings.Contains(diags.Error(), "rename it to pre-proxy-reboot") {
		t.Errorf("said %s", diags.Error())
	}
}
