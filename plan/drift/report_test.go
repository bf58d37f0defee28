package drift

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"html"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/state"
)

var golden = flag.Bool("golden", false, "write what reports look like now into testdata")

// hostile is a name as nobody should give one.
const hostile = "<b>&|`@ev\x1b[31mil\r\n::set-env\u202e{0}[x](javascript:y) ]]>\"'"

// reports are what is shown in every form.
func reports() map[string]Report {
	app := state.App{Service: "shop", Destination: "production"}
	places := []Place{{"web-1", ""}, {"web-1", "web"}, {"web-2", ""}, {"web-2", "web"}, {"jobs-1", ""}, {"jobs-1", "workers"}}
	drift := []plan.Item{{Action: plan.Update, Cause: plan.Drift, Class: plan.DriftTag, Resource: plan.ResourceTag, Host: "web-1", Name: "latest-production", Reason: "it was moved", Risk: plan.Safe}}
	finding := func(class, severity, host, role, name, reason, heals string, age time.Duration, event string) state.Finding {
		return state.Finding{ID: id(class, host, role, name), Class: class, Severity: severity, Host: host, Role: role, Name: name, Reason: reason, Heals: heals, Since: noon.Add(-age), Event: event}
	}
	return map[string]Report{
		"clean": {Schema: Schema, App: app, Version: "v2", Release: 7, At: noon, Against: "release 7", Places: places, Findings: []state.Finding{}, Drift: []plan.Item{}},
		"drift": {Schema: Schema, App: app, Version: "v2", Release: 7, At: noon, Against: "release 7", Places: slices.DeleteFunc(slices.Clone(places), func(p Place) bool { return p.Host == "web-2" }), Drift: drift, Findings: []state.Finding{
			finding("exited", Critical, "jobs-1", "workers", "shop-workers-production-v2", "it is stopped (exit code 137)", "start it again", 2*time.Minute, "container die, exit code 137"),
			finding("orphan", Info, "old-1", "web", "shop-web-production-v1", "the host left the file", "nothing: approve it with `kamald approve`", 72*time.Hour, ""),
			finding("tag", Warning, "web-1", "", "latest-production", "it was moved: version: v1 → v2", "move the tag back to v2", 3*time.Hour, ""),
			finding("route", Critical, "web-1", "web", "shop-web-production", "the proxy does not know it", "put the route back", 0, ""),
			finding("spec", Warning, "web-1", "web", "shop-web-production-v2", "it was changed on the host: option memory: 256m → 512m", "set it right in place", 30*time.Second, ""),
		}, Unreachable: []plan.Skipped{{Host: "web-2", Reason: "dial: 192.0.2.2:22: no answer within 15s"}},
			Gates: []plan.Gate{{Host: "web-1", Role: "web", Route: "shop-web-production", State: state.RoutePaused}}},
		"moved": {Schema: Schema, App: state.App{Service: "shop"}, Version: "v2", At: noon, Against: "the file", Drift: []plan.Item{},
			Findings: []state.Finding{moved(plan.HandMove{Host: "web-1", What: "tag latest", From: "v2", To: "v1"}, noon)}, Moved: []plan.HandMove{{Host: "web-1", What: "tag latest", From: "v2", To: "v1"}}},
		"hostile": {Schema: Schema, App: state.App{Service: "shop"}, Version: hostile, Release: 1, At: noon, Against: hostile, Places: []Place{{hostile, hostile}}, Drift: []plan.Item{},
			Findings:    []state.Finding{finding(hostile, hostile, hostile, hostile, hostile, hostile, hostile, 0, hostile), finding("spec", Warning, "web-1\xff", "", "=cmd|' /C calc'!A0", "a\tb", "", 0, "")},
			Unreachable: []plan.Skipped{{Host: hostile, Reason: hostile}}, Gates: []plan.Gate{{Host: "web-1", Role: hostile, Route: hostile, State: state.RouteStopped}}},
	}
}

// forms are all that a report can be shown as, by the extension of their files.
var forms = map[string]func(Report, io.Writer) error{
	".txt":  func(r Report, w io.Writer) error { return r.Text(w, TextOptions{}) },
	".json": Report.JSON,
	".md":   Report.Markdown,
	".xml":  Report.JUnit,
	".sarif": func(r Report, w io.Writer) error {
		return r.SARIF(w, SARIFOptions{File: "deploy/shop deploy.hcl", Version: "1.2.3"})
	},
	".html": Report.HTML,
}

func TestReportsAreShownInEachForm(t *testing.T) {
	for name, r := range reports() {
		for ext, show := range forms {
			var b bytes.Buffer
			if err := show(r, &b); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join("testdata", name+ext)
			if *golden {
				if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if b.String() != string(want) {
				t.Errorf("%s is\n%s\nwant\n%s", path, b.String(), want)
			}
		}
	}
}

func TestNothingFromAServerDisturbsAReader(t *testing.T) {
	for ext, show := range forms {
		var b bytes.Buffer
		if err := show(reports()["hostile"], &b); err != nil {
			t.Fatal(err)
		}
		if !utf8.Valid(b.Bytes()) {
			t.Errorf("%s is no UTF-8", ext)
		}
		control := func(r rune) bool { return r < ' ' && r != '\n' || r == 0x7f || r == '\u202e' && ext != ".json" }
		if i := strings.IndexFunc(b.String(), control); i >= 0 {
			t.Errorf("%s has the character %q at %d:\n%s", ext, b.String()[i], i, b.String())
		}
		if strings.Contains(b.String(), "\n::set-env") {
			t.Errorf("%s has a line that a CI would take for a command:\n%s", ext, b.String())
		}
		if (ext == ".html" || ext == ".md") && strings.Contains(b.String(), "<b>&") {
			t.Errorf("%s has a name's markup in it:\n%s", ext, b.String())
		}
	}
}

func TestColourChangesNoWordOfAReport(t *testing.T) {
	ansi := regexp.MustCompile(`\x1b\[\d+m`)
	var plain, coloured bytes.Buffer
	r := reports()["drift"]
	if err := errors.Join(r.Text(&plain, TextOptions{}), r.Text(&coloured, TextOptions{Color: true})); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(coloured.String(), "\x1b[31mcritical\x1b[0m  exited") {
		t.Errorf("no colour in\n%s", coloured.String())
	}
	if stripped := ansi.ReplaceAllString(coloured.String(), ""); stripped != plain.String() {
		t.Errorf("without its colours it is\n%s\nwant\n%s", stripped, plain.String())
	}
}

func TestACaseIsARoleOnAHostAndFailsWithAllThatWasFoundThere(t *testing.T) {
	var b bytes.Buffer
	r := reports()["drift"]
	if err := r.JUnit(&b); err != nil {
		t.Fatal(err)
	}
	var read junitSuites
	if err := xml.Unmarshal(b.Bytes(), &read); err != nil {
		t.Fatal(err)
	}
	s, failures, failed := read.Suite, 0, map[string]string{}
	for _, c := range s.Cases {
		if c.Failure != nil {
			failures++
			failed[c.Class+" "+c.Name] = c.Failure.Text
		}
	}
	// Two hosts with a role each, one that left the file, and one that was not reached.
	if len(s.Cases) != 6 || s.Tests != 6 || s.Failures != failures || failures != 4 || s.Errors != 1 || read.Tests != 6 || read.Failures != 4 || read.Errors != 1 {
		t.Errorf("%d cases, tests=%d failures=%d of %d errors=%d", len(s.Cases), s.Tests, s.Failures, failures, s.Errors)
	}
	if web := failed["shop-production.web-1 web"]; !strings.Contains(web, "critical route") || !strings.Contains(web, "warning spec") || strings.Index(web, "critical") > strings.Index(web, "warning") {
		t.Errorf("web on web-1 fails with %q", web)
	}
}

// TestALogIsWhatScannersTake holds what SARIF 2.1.0 asks of a log, as far as it is used.
func TestALogIsWhatScannersTake(t *testing.T) {
	for name, r := range reports() {
		var b bytes.Buffer
		if err := r.SARIF(&b, SARIFOptions{File: "deploy.hcl", Version: "1.2.3"}); err != nil {
			t.Fatal(err)
		}
		var log sarifLog
		decoder := json.NewDecoder(&b)
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&log); err != nil || len(log.Runs) != 1 || log.Version != "2.1.0" || log.Runs[0].Results == nil {
			t.Fatalf("%s: %v: %+v", name, err, log)
		}
		rules := log.Runs[0].Tool.Driver.Rules
		for i, result := range log.Runs[0].Results {
			f := r.Findings[i]
			known := slices.ContainsFunc(rules, func(rule sarifRule) bool { return rule.ID == f.Class })
			switch {
			case known != (result.RuleIndex >= 0) || known && rules[result.RuleIndex].ID != result.Rule:
				t.Errorf("%s: rule %q has the index %d", name, result.Rule, result.RuleIndex)
			case !slices.Contains([]string{"error", "warning", "note"}, result.Level) || result.Message.Text == "":
				t.Errorf("%s: level %q, message %q", name, result.Level, result.Message.Text)
			case result.Fingerprints["kamaldFinding/v1"] != f.ID:
				t.Errorf("%s: fingerprints %v of %s", name, result.Fingerprints, f.ID)
			case result.Locations[0].Physical.Artifact.URI != "deploy.hcl" || len(result.Locations[0].Logical) != 1:
				t.Errorf("%s: %+v", name, result.Locations)
			}
		}
	}
}

func TestTheFileIsNamedAsAURI(t *testing.T) {
	for file, want := range map[string]string{"deploy.hcl": "deploy.hcl", "./apps/a b.hcl": "apps/a%20b.hcl", "/srv/deploy.hcl": "file:///srv/deploy.hcl", "c:d.hcl": "./c:d.hcl"} {
		if got := artifact(file); got != want {
			t.Errorf("%s is %s, want %s", file, got, want)
		}
	}
}

func TestAPageHasNoScriptAndNothingFromElsewhere(t *testing.T) {
	for name, r := range reports() {
		var b bytes.Buffer
		if err := r.HTML(&b); err != nil {
			t.Fatal(err)
		}
		for _, foreign := range []string{"<script", "src=", "http://", "https://", "@import", "onload", "ZgotmplZ"} {
			if strings.Contains(b.String(), foreign) {
				t.Errorf("%s has %s:\n%s", name, foreign, b.String())
			}
		}
		ids := map[string]bool{}
		for _, id := range regexp.MustCompile(` id="([^"]*)"`).FindAllStringSubmatch(b.String(), -1) {
			ids[html.UnescapeString(id[1])] = true
		}
		for _, link := range regexp.MustCompile(`href="#([^"]*)"`).FindAllStringSubmatch(b.String(), -1) {
			if !ids[html.UnescapeString(link[1])] {
				t.Errorf("%s: the link to %s leads nowhere: %v", name, link[1], ids)
			}
		}
	}
}

func TestWhatIsKnownOfAFindingIsRecalled(t *testing.T) {
	r := Report{At: noon, Findings: []state.Finding{{ID: "a", Since: noon}, {ID: "b", Since: noon}}}
	r.Recall([]state.Finding{{ID: "b", Since: noon.Add(-time.Hour), Event: "container die"}, {ID: "c"}, {ID: "a"}})
	if a, b := r.Findings[0], r.Findings[1]; !a.Since.Equal(noon) || r.age(b) != "1h" || b.Event != "container die" {
		t.Errorf("%+v", r.Findings)
	}
}

func TestEveryClassIsExplainedInThePages(t *testing.T) {
	text, err := os.ReadFile("../../docs/drift.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range Meanings() {
		if m.Short == "" || m.Text == "" || m.Healing == "" {
			t.Errorf("%s is not explained", m.Class)
		}
		if !strings.Contains(string(text), "| `"+string(m.Class)+"` |") {
			t.Errorf("docs/drift.md has no row of %s", m.Class)
		}
	}
	if len(meanings) != len(plan.DriftClasses) {
		t.Errorf("%d classes are explained, and there are %d", len(meanings), len(plan.DriftClasses))
	}
}
