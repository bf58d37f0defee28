package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclwrite"
	"mvdan.cc/sh/v3/shell"

	"github.com/kamald/kamald/drivers/sim"
	"github.com/kamald/kamald/state"
)

// reader follows a page of docs/ on simulated servers: its files are taken, its commands typed, in the page's order, and what the page
// says that they answer is what they answer.
type reader struct {
	*transcript
	page     string
	sections []section
	exits    map[string]int    // of commands that do not end with 0
	instead  map[string]string // commands in the place of the page's: what is asked there, and nobody is here to answer
	lab      map[string]string // commands that need more than simulated servers, and the test in e2e that has them
	commit   string            // what git says that is checked out
	last     said
}

// section is a heading of a page and what stands below it in fences. The first has no title.
type section struct {
	title  string
	blocks []fence
	read   bool
}

type fence struct {
	line       int
	lang, text string
}

// inReading begins with hosts that have a registry with images of an app in v1 to v5, and no deploy.hcl.
func inReading(t *testing.T, page string, hosts []string, follow func(*reader)) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../../docs", page))
	if err != nil {
		t.Fatal(err)
	}
	e2eTests = testsOf(t, "../../e2e")
	t.Chdir(t.TempDir())
	synctest.Test(t, func(t *testing.T) {
		r := &reader{page: page, sections: sectionsOf(string(text)), exits: map[string]int{}, instead: map[string]string{}, lab: map[string]string{}, commit: "v1"}
		r.transcript = &transcript{World: sim.New(1), t: t, who: "ada"}
		for _, host := range hosts {
			r.AddHost(host)
		}
		r.app("registry.example.com/acme/shop", "shop")
		r.write(".kamald/secrets", "REGISTRY_PASSWORD=registry-password\n")
		follow(r)
		for _, s := range r.sections {
			if n := slices.IndexFunc(s.blocks, fence.commands); n >= 0 && !s.read {
				t.Errorf("%s:%d: nobody follows section %q", page, s.blocks[n].line, s.title)
			}
		}
	})
}

// app puts an app's images into the registry.
func (r *reader) app(repository, service string) {
	for n := range 6 {
		r.image(repository, service, fmt.Sprintf("v%d", n), sim.Healthy(300*time.Millisecond), nil)
	}
}

// image puts one there, with what its commands do.
func (r *reader) image(repository, service, version string, b sim.Behaviour, commands map[string]sim.Behaviour) {
	r.Push(sim.Image{Ref: repository + ":" + version, Behaviour: b, Commands: commands, Labels: map[string]string{"service": service, "version": version}})
}

// e2eTests is the text of the tests on the lab.
var e2eTests string

func testsOf(t *testing.T, dir string) (all string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%s has no tests: %v", dir, err)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all += "\n" + string(text)
	}
	return all
}

func sectionsOf(page string) []section {
	list := []section{{}}
	var open *fence
	for i, line := range strings.Split(page, "\n") {
		last := &list[len(list)-1]
		lang, mark := strings.CutPrefix(line, "```")
		switch title, heading := strings.CutPrefix(line, "## "); {
		case mark && open == nil:
			open = &fence{line: i + 1, lang: lang}
		case mark:
			last.blocks, open = append(last.blocks, *open), nil
		case open != nil:
			open.text += line + "\n"
		case heading:
			list = append(list, section{title: title})
		}
	}
	return list
}

// commands tells whether a fence has any of kamald's.
func (f fence) commands() bool {
	return f.lang == "" && regexp.MustCompile(`(?m)^(\$ )?kamald `).MatchString(f.text)
}

// follow does what the sections say.
func (r *reader) follow(titles ...string) {
	r.t.Helper()
	for _, title := range titles {
		n := slices.IndexFunc(r.sections, func(s section) bool { return s.title == title })
		if n < 0 {
			r.t.Fatalf("%s has no section %q", r.page, title)
		}
		r.sections[n].read = true
		for _, f := range r.sections[n].blocks {
			switch {
			case f.lang == "hcl":
				r.takes(f.text)
			case f.commands() && strings.HasPrefix(f.text, "$ "):
				r.session(f)
			case f.commands():
				for _, line := range strings.Split(f.text, "\n") {
					if strings.HasPrefix(line, "kamald ") {
						r.types(line)
					}
				}
			}
		}
	}
}

// session types what stands behind the prompts, and wants the answers that stand below each: "…" is any lines.
func (r *reader) session(f fence) {
	r.t.Helper()
	for _, part := range strings.Split("\n"+f.text, "\n$ ")[1:] {
		line, answer, _ := strings.Cut(part, "\n")
		r.types(line)
		got := strings.TrimSpace(masked(r.last.err + r.last.out))
		want := strings.Split(masked(strings.TrimSpace(answer)), "\n")
		for i, text := range want {
			if want[i] = regexp.QuoteMeta(text); text == "…" {
				want[i] = `.*`
			}
		}
		if answer := strings.TrimSpace(answer); answer != "" && !regexp.MustCompile(`(?s)\A`+strings.Join(want, `\s*\n`)+`\z`).MatchString(got) {
			r.t.Errorf("%s:%d: after %q it says\n%s\nand not\n%s", r.page, f.line, line, got, answer)
		}
	}
}

// types carries a command line of the page out.
func (r *reader) types(line string) {
	r.t.Helper()
	line, _, _ = strings.Cut(line, " #")
	line = strings.TrimPrefix(strings.TrimSpace(line), "kamald ")
	if test, ok := r.lab[line]; ok {
		r.onTheLab(test)
		return
	}
	want := r.exits[line]
	words, err := shell.Fields(line, nil)
	if other, ok := r.instead[line]; ok {
		words, err = shell.Fields(other, nil)
	}
	if err != nil {
		r.t.Fatalf("%s: %q: %v", r.page, line, err)
	}
	r.last = r.kamaldOf(r.t.Context(), words)
	r.t.Logf("$ kamald %s\n%s%s[exit %d]", line, r.last.err, r.last.out, r.last.code)
	if r.last.code != want {
		r.t.Errorf("%s: kamald %s: exit code %d, want %d\n%s%s", r.page, line, r.last.code, want, r.last.err, r.last.out)
	}
}

// onTheLab wants e2e to have a test.
func (r *reader) onTheLab(test string) {
	r.t.Helper()
	if !strings.Contains(e2eTests, "\nfunc "+test+"(") {
		r.t.Errorf("%s: e2e has no %s", r.page, test)
	}
}

// answered wants these texts in the last answer.
func (r *reader) answered(texts ...string) {
	r.t.Helper()
	for _, text := range texts {
		if !strings.Contains(r.last.err+r.last.out, text) {
			r.t.Errorf("%s: the answer does not say %q:\n%s%s", r.page, text, r.last.err, r.last.out)
		}
	}
}

// takes puts a file of the page in place, or a part of one into the file that is there: what it has, too, is replaced.
func (r *reader) takes(text string) {
	r.t.Helper()
	if strings.HasPrefix(text, "# deploy.hcl\n") {
		r.write("deploy.hcl", strings.Replace(text, "\nimage ", fmt.Sprintf("\nversion = %q\nimage ", r.commit), 1))
		return
	}
	there, err := os.ReadFile("deploy.hcl")
	if err != nil {
		r.t.Fatal(err)
	}
	whole, more := r.parsed(there), r.parsed([]byte(text))
	for _, name := range slices.Sorted(maps.Keys(more.Body().Attributes())) {
		whole.Body().SetAttributeRaw(name, more.Body().GetAttribute(name).Expr().BuildTokens(nil))
	}
	for _, block := range more.Body().Blocks() {
		if old := whole.Body().FirstMatchingBlock(block.Type(), block.Labels()); old != nil {
			whole.Body().RemoveBlock(old)
		}
		whole.Body().AppendBlock(block)
	}
	r.write("deploy.hcl", string(whole.Bytes()))
}

func (r *reader) parsed(text []byte) *hclwrite.File {
	r.t.Helper()
	file, problems := hclwrite.ParseConfig(text, r.page, hcl.InitialPos)
	if problems.HasErrors() {
		r.t.Fatal(problems)
	}
	return file
}

// edits is what a person changes in the file.
func (r *reader) edits(old, now string) {
	r.t.Helper()
	text, err := os.ReadFile("deploy.hcl")
	if err != nil || !strings.Contains(string(text), old) {
		r.t.Fatalf("deploy.hcl has no %s: %v", old, err)
	}
	r.write("deploy.hcl", strings.Replace(string(text), old, now, 1))
}

// fence is what stands in a section in the fence that begins so.
func (r *reader) fence(title, begins string) string {
	r.t.Helper()
	for _, s := range r.sections {
		for _, f := range s.blocks {
			if s.title == title && strings.HasPrefix(f.text, begins) {
				return f.text
			}
		}
	}
	r.t.Fatalf("%s has nothing in %q that begins with %q", r.page, title, begins)
	return ""
}

// serves wants a host to run exactly these containers of apps, beside the proxy.
func (r *reader) serves(host string, names ...string) {
	r.t.Helper()
	var got []string
	for _, c := range r.Glance(host) {
		if c.Status == state.StatusRunning && c.Name != "kamal-proxy" {
			got = append(got, c.Name)
		}
	}
	if slices.Sort(got); !slices.Equal(got, names) {
		r.t.Errorf("%s: %s runs %q, want %q", r.page, host, got, names)
	}
}
