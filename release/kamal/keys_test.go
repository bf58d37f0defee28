package kamal

import (
	"bytes"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const page = "../../docs/from-kamal.md"

// Each row of the page has a section in keys.txtar, and what the row says is so.
func TestEveryRowOfThePageAboutKamalIsSo(t *testing.T) {
	sections := keySections(t)
	rows := keyRows(t)
	for _, id := range kamalsKeys() {
		if !slices.Contains(rows, id) {
			t.Errorf("%s has no row in %s", id, page)
		}
	}
	for _, id := range rows {
		section, ok := sections[id]
		if !ok {
			t.Errorf("row %s has no section in keys.txtar", id)
			continue
		}
		delete(sections, id)
		t.Run(id, func(t *testing.T) { isSo(t, section) })
	}
	for id := range sections {
		t.Errorf("keys.txtar has %s, and the page has no such row", id)
	}
}

// kamalsKeys are the numbers of everything that Kamal's configuration has.
func kamalsKeys() []string {
	var ids []string
	for n := 1; n <= 6; n++ {
		ids = append(ids, fmt.Sprintf("K-L%d", n))
	}
	for _, span := range [][2]int{{1, 25}, {30, 41}, {50, 55}, {60, 73}, {80, 95}, {100, 102}, {110, 132}, {140, 146}, {150, 155}} {
		for n := span[0]; n <= span[1]; n++ {
			ids = append(ids, fmt.Sprintf("K-%02d", n))
		}
	}
	return ids
}

var rowID = regexp.MustCompile(`(?m)^\| (K1?-[L0-9]+) \|.*\|.*\|$`)

func keyRows(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, match := range rowID.FindAllStringSubmatch(string(text), -1) {
		if slices.Contains(ids, match[1]) {
			t.Errorf("%s has two rows", match[1])
		}
		ids = append(ids, match[1])
	}
	return ids
}

func keySections(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("testdata/keys.txtar")
	if err != nil {
		t.Fatal(err)
	}
	sections := map[string]string{}
	for _, part := range strings.Split(string(text), "\n-- ")[1:] {
		id, body, _ := strings.Cut(part, " --\n")
		sections[id] = body
	}
	return sections
}

func isSo(t *testing.T, section string) {
	source, wanted, ok := strings.Cut(section, "\n---\n")
	if !ok || strings.TrimSpace(wanted) == "" {
		t.Fatalf("nothing is expected of\n%s", section)
	}
	var hooks []string
	if names, found := strings.CutPrefix(source, "hooks: "); found {
		source, hooks = "", strings.Fields(names)
	}
	parts := strings.Split(source, "\n=== ")
	files := map[string]string{"config/deploy.yml": completed(parts[0])}
	for _, part := range parts[1:] {
		name, body, _ := strings.Cut(part, "\n")
		files["config/deploy."+name+".yml"] = body
	}
	result, err := Import("config/deploy.yml", memory(files, hooks))
	if err != nil {
		t.Fatal(err)
	}
	var report bytes.Buffer
	for _, line := range result.Report {
		fmt.Fprintln(&report, line)
	}
	secrets := string(secretsText(result.Secrets))
	text := squeezed(string(result.HCL))
	for want := range strings.SplitSeq(strings.TrimRight(wanted, "\n"), "\n") {
		line, isReport := strings.CutPrefix(want, "report: ")
		secret, isSecret := strings.CutPrefix(want, "secret: ")
		switch {
		case isReport && !strings.Contains(report.String(), line):
			t.Errorf("no line of the report has %q:\n%s", line, report.String())
		case isSecret && !strings.Contains(secrets, secret+"\n"):
			t.Errorf("the secrets have no line %q:\n%s", secret, secrets)
		case !isReport && !isSecret && !strings.Contains(text, squeezed(want)):
			t.Errorf("deploy.hcl has no %q:\n%s", want, result.HCL)
		}
	}
}

// completed adds what every file needs and the snippet does not say.
func completed(source string) string {
	for _, key := range []string{"service: shop", "image: acme/shop", "servers: [10.0.0.1]", "registry: {username: acme, password: [REGISTRY_PASSWORD]}"} {
		name, _, _ := strings.Cut(key, ":")
		if !strings.Contains("\n"+source, "\n"+name+":") {
			source += "\n" + key
		}
	}
	return source + "\n"
}

var spaces = regexp.MustCompile(`[ \t\n]+`)

// squeezed makes layout not count.
func squeezed(text string) string { return spaces.ReplaceAllString(text, " ") }
