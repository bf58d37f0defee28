package e2e

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v4"
)

// The examples of the pages by task, run as they are written: docs/ci.md's pipelines by a shell, the commands of
// docs/getting-started.md and docs/day-two.md one after the other.

// pageText is a page of docs/.
func pageText(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../docs", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// fenced are the fenced blocks of a text in a language, "" for those without one.
func fenced(text, lang string) []string {
	var found []string
	for i, part := range strings.Split(text, "```") {
		first, rest, _ := strings.Cut(part, "\n")
		if i%2 == 1 && first == lang {
			found = append(found, rest)
		}
	}
	return found
}

// A comment that says what the plan says, and a release of what was read.
func TestThePipelinesAreAsTheyAreWritten(t *testing.T) {
	onlyLong(t) // TestACommitComesToTheServersByTheRegistry and TestAnOperatorsDay have the commands
	f := newFixture(t)
	f.deploy(settings{more: f.buildAt(1)})
	f.repository()
	if err := os.Symlink(f.bin, filepath.Join(f.dir, "bin/kamald")); err != nil {
		t.Fatal(err)
	}
	f.env = append(f.env, "PULL_REQUEST=7", "CI_API_V4_URL=https://gitlab.example.com/api/v4", "CI_PROJECT_ID=3", "CI_MERGE_REQUEST_IID=8", "COMMENT_TOKEN=token")
	f.write("bin/gh", "#!/bin/sh\nset -e\n[ \"$1 $2 $3 $4 $5\" = 'pr comment 7 --body-file plan.md' ]\ncp plan.md said.md\n", 0o700)
	f.write("bin/curl", "#!/bin/sh\nset -e\ncase \"$*\" in *'body@plan.md https://gitlab.example.com/api/v4/projects/3/merge_requests/8/notes') cp plan.md said.md ;; *) exit 97 ;; esac\n", 0o700)
	pipelines := fenced(pageText(t, "ci.md"), "yaml")
	if len(pipelines) != 2 {
		t.Fatalf("the page has %d pipelines", len(pipelines))
	}
	t.Run("GitHub", func(t *testing.T) {
		f := f.within(t)
		jobs := f.jobs(pipelines[0])
		sha := f.commit("one", "")
		f.job(0, jobs["comment"])
		f.commented("kamald will release shop "+sha, "container shop-web-"+sha)
		f.job(0, jobs["release"])
		f.whole(sha)
	})
	t.Run("GitLab", func(t *testing.T) {
		f := f.within(t)
		jobs := f.jobs(pipelines[1])
		sha := f.commit("two", "")
		f.job(0, jobs["comment"])
		f.commented(sha)
		f.job(0, jobs["plan"])
		f.job(0, jobs["release"])
		f.whole(sha)
		f.job(5, jobs["release"])
	})
}

// jobs gives what each job of a pipeline runs, in its order.
func (f *fixture) jobs(pipeline string) map[string][]string {
	f.t.Helper()
	var file map[string]yaml.Node
	if err := yaml.Unmarshal([]byte(pipeline), &file); err != nil {
		f.t.Fatal(err)
	}
	found := map[string][]string{}
	if hosted, ok := file["jobs"]; ok {
		var jobs map[string]struct{ Steps []struct{ Run string } }
		if err := hosted.Decode(&jobs); err != nil {
			f.t.Fatal(err)
		}
		for name, job := range jobs {
			for _, step := range job.Steps {
				if step.Run != "" {
					found[name] = append(found[name], step.Run)
				}
			}
		}
		return found
	}
	for name, node := range file {
		var job struct{ Script []string }
		if node.Kind == yaml.MappingNode && node.Decode(&job) == nil {
			found[name] = job.Script
		}
	}
	return found
}

// job runs the steps of a job as a CI does, each by a shell that ends with what fails, and wants the last one's exit code.
func (f *fixture) job(code int, steps []string) {
	f.t.Helper()
	if len(steps) == 0 {
		f.t.Fatal("the job runs nothing")
	}
	for i, step := range steps {
		ctx, cancel := context.WithTimeout(f.t.Context(), 3*time.Minute)
		cmd := exec.CommandContext(ctx, "sh", "-ec", step)
		cmd.Dir, cmd.Env = f.dir, f.env
		said, err := cmd.CombinedOutput()
		cancel()
		f.t.Logf("%s\n%s", step, said)
		want := 0
		if i == len(steps)-1 {
			want = code
		}
		if got := cmd.ProcessState.ExitCode(); got != want {
			f.t.Fatalf("%q: exit code %d, want %d: %v", step, got, want, err)
		}
	}
}

// commented wants these texts in what the pull request was told.
func (f *fixture) commented(texts ...string) {
	f.t.Helper()
	said, err := os.ReadFile(filepath.Join(f.dir, "said.md"))
	if err != nil {
		f.t.Fatal(err)
	}
	for _, text := range texts {
		if !strings.Contains(string(said), text) {
			f.t.Errorf("the comment does not say %q:\n%s", text, said)
		}
	}
}

// Every section of the first page and of the page by task that servers of kamald's can play: hosts and numbers are those of the lab.
func TestThePagesByTaskAreAsTheyAreWritten(t *testing.T) {
	onlyLong(t) // each command has a quick test of its own
	f := newFixture(t)
	for _, version := range []string{"v1", "v2", "v3"} {
		f.image(version, nil)
	}
	f.named("v1", "web-1")
	both := func(version string) func(*fixture) {
		return func(f *fixture) { f.named(version, "web-1", "web-2") }
	}
	for _, section := range []struct {
		page   string // day-two.md
		title  string
		before func(f *fixture)
		blocks int // that are played, of those that the section has; 0 is all
	}{
		{page: "getting-started.md", title: "Release"},
		{page: "getting-started.md", title: "When it goes wrong", before: func(f *fixture) { f.must(0, "apply", "--version", "v2") }},
		{page: "getting-started.md", title: "Somebody changed a server by hand", before: func(f *fixture) { f.must(0, "resume") }},
		{title: "Review a plan in CI, apply exactly that", before: func(f *fixture) { f.named("v2", "web-1") }},
		{title: "Go back at night"},
		{title: "Add a server", before: both("v2")},
		{title: "Release to one host first", before: both("v3")},
		{title: "Replace a server", before: both("v1"), blocks: 1}, // none is gone for good
		{title: "Mend a server that stays"},
		{title: "Rotate a secret", before: func(f *fixture) { f.rewrite(".kamald/secrets", strings.NewReplacer(canary, "another-"+canary)) }},
		{title: "Put the shop in maintenance"},
		{title: "Restart or replace the proxy", before: both("v2")},
		{title: "Keep everybody from deploying"},
		{title: "Clean disks"},
		{title: "Who did what"},
		{title: "Keep a copy of what kamald remembers"},
		{title: "Is anything not as it was released?"},
		{title: "When something is broken"},
	} {
		if !t.Run(section.title, func(t *testing.T) {
			f := f.within(t)
			if section.before != nil {
				section.before(f)
			}
			f.play(cmp.Or(section.page, "day-two.md"), section.title, section.blocks)
		}) {
			break // each begins with what the one before has left
		}
	}
}

// play runs the commands of a page's section, and wants each to succeed. "" is what comes before the first section; here is what the
// reader types otherwise, as for a NewReplacer.
func (f *fixture) play(page, title string, limit int, here ...string) {
	f.t.Helper()
	rest, found := pageText(f.t, page), true
	if title != "" {
		_, rest, found = strings.Cut(rest, "\n## "+title+"\n")
	}
	if !found {
		f.t.Fatalf("%s has no section %q", page, title)
	}
	section, _, _ := strings.Cut(rest, "\n## ")
	blocks := fenced(section, "")
	if limit > 0 {
		blocks = blocks[:limit]
	}
	typed := strings.NewReplacer(append(here, "show 12", "show 2", "diff 11 12", "diff 1 2", "web-3", "web-2", "/srv/backup", f.t.TempDir(), "--rolling", "--rolling -y", "proxy restart", "proxy restart -y")...)
	ran := 0
	for _, line := range strings.Split(strings.Join(blocks, "\n"), "\n") {
		line, _, _ = strings.Cut(line, " #")
		if words, ok := strings.CutPrefix(typed.Replace(strings.TrimPrefix(line, "$ ")), "kamald "); ok {
			f.must(0, shellWords(words)...)
			ran++
		}
	}
	if ran == 0 {
		f.t.Fatal("the section shows no command")
	}
}

// shellWords splits a line as a shell does that knows double quotes only.
func shellWords(line string) []string {
	var words []string
	for i, part := range strings.Split(line, `"`) {
		if i%2 == 1 {
			words = append(words, part)
			continue
		}
		words = append(words, strings.Fields(part)...)
	}
	return words
}

// named writes a deploy.hcl whose hosts have the names of the page.
func (f *fixture) named(version string, web ...string) {
	f.t.Helper()
	blocks := ""
	for i, name := range web {
		blocks += fmt.Sprintf("host %q { address = %q }\n", name, f.host(i+1).Address)
	}
	blocks += fmt.Sprintf("host \"jobs-1\" { address = %q }\n", f.host(3).Address)
	f.service("shop", fmt.Sprintf(`version = %q
%sproxy { app_port = 3000 }
env { secret = ["API_TOKEN"] }
role "web" { hosts = ["%s"] }
role "workers" {
  hosts = ["jobs-1"]
  cmd   = ["app", "worker"]
}`, version, blocks, strings.Join(web, `", "`)))
}
