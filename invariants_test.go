package house

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Every test and every check that the page of invariants names is there.
func TestThePageOfInvariantsNamesWhatThereIs(t *testing.T) {
	text, err := os.ReadFile("docs/invariants.md")
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("reconcile/*_test.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("no tests: %v", err)
	}
	daemons, err := filepath.Glob("reconcile/loop/*_test.go")
	if err != nil || len(daemons) == 0 {
		t.Fatalf("no tests of the daemon: %v", err)
	}
	files = append(files, daemons...)
	var source strings.Builder
	for _, name := range files {
		code, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		source.Write(code)
	}
	rows := regexp.MustCompile(`(?m)^\| I\d+ \|.*$`).FindAllString(string(text), -1)
	if len(rows) != 11 {
		t.Errorf("the page states %d invariants", len(rows))
	}
	named := regexp.MustCompile("`(Test\\w+)`").FindAllStringSubmatch(string(text), -1)
	for _, row := range rows {
		cells := strings.Split(row, "|")
		checks := regexp.MustCompile("`(\\w+)`").FindAllStringSubmatch(cells[3], -1)
		if len(checks) == 0 {
			t.Errorf("nothing checks this: %s", row)
		}
		named = append(named, checks...)
	}
	for _, match := range named {
		if !regexp.MustCompile(`func (\(h \*history\) )?` + match[1] + `\(`).MatchString(source.String()) {
			t.Errorf("docs/invariants.md names %s, which is not there", match[1])
		}
	}
}
