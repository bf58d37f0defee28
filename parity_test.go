package house

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const parityPage = "docs/kamal-parity.md"

// kamalsRows are the rows that the page must have: what Kamal's commands (C), its behaviour (B) and its own scenarios (T) are
// numbered by.
func kamalsRows() []string {
	var ids []string
	for _, part := range []struct {
		form        string
		first, last int
	}{
		{"C-G%d", 1, 12}, {"C-%02d", 1, 14}, {"C-%02d", 20, 33}, {"C-%02d", 40, 47}, {"C-%02d", 50, 58}, {"C-%02d", 60, 64}, {"C-%02d", 70, 80},
		{"B-%02d", 1, 18}, {"B-%02d", 20, 36}, {"B-%02d", 40, 40}, {"B-%02d", 50, 60}, {"B-%02d", 70, 70}, {"B-%02d", 80, 80}, {"B-%02d", 90, 90}, {"B-%02d", 95, 95},
		{"T-%02d", 1, 17},
	} {
		for n := part.first; n <= part.last; n++ {
			ids = append(ids, fmt.Sprintf(part.form, n))
		}
	}
	return ids
}

// parityRow is a row of the page: what it says of a counterpart, and of the test.
type parityRow struct{ id, kamald, test string }

func parityRows(t *testing.T) []parityRow {
	t.Helper()
	text, err := os.ReadFile(parityPage)
	if err != nil {
		t.Fatal(err)
	}
	var rows []parityRow
	for _, line := range strings.Split(string(text), "\n") {
		if !regexp.MustCompile(`^\| [CBT]-`).MatchString(line) {
			continue
		}
		cells := strings.Split(line, "|")
		if len(cells) != 7 {
			t.Errorf("%s: this row has %d cells, want 5: %s", parityPage, len(cells)-2, line)
			continue
		}
		rows = append(rows, parityRow{strings.TrimSpace(cells[1]), strings.TrimSpace(cells[3]), strings.TrimSpace(cells[4])})
	}
	return rows
}

func TestEveryRowOfKamalsHasItsPlaceOnce(t *testing.T) {
	var found []string
	for _, row := range parityRows(t) {
		found = append(found, row.id)
		if row.kamald == "" {
			t.Errorf("%s: nothing is said of kamald", row.id)
		}
		if row.test == "" && !regexp.MustCompile(`^(pending|not there yet)`).MatchString(row.kamald) {
			t.Errorf("%s: no test shows %q, and it does not say that it is not there", row.id, row.kamald)
		}
	}
	if want := kamalsRows(); !slices.Equal(found, want) {
		for _, id := range want {
			if n := strings.Count(" "+strings.Join(found, " ")+" ", " "+id+" "); n != 1 {
				t.Errorf("%s stands %d times in %s", id, n, parityPage)
			}
		}
		t.Errorf("the rows are, in their order, %v", found)
	}
}

func TestThePageOfParityNamesTestsThatThereAre(t *testing.T) {
	form := regexp.MustCompile("^(`(Test\\w+)` \\(([\\w/]+)\\)|`(\\w+\\.txtar)`)$")
	sources := map[string]string{}
	for _, row := range parityRows(t) {
		if row.test == "" {
			continue
		}
		for _, named := range strings.Split(row.test, ", ") {
			m := form.FindStringSubmatch(named)
			switch {
			case m == nil:
				t.Errorf("%s: %s names no test and no script", row.id, named)
			case m[4] != "":
				if _, err := os.Stat(filepath.Join("cmd/kamald/testdata/script", m[4])); err != nil {
					t.Errorf("%s: %v", row.id, err)
				}
			case !strings.Contains(testsOf(t, sources, m[3]), "\nfunc "+m[2]+"("):
				t.Errorf("%s: %s has no %s", row.id, m[3], m[2])
			}
		}
	}
}

// testsOf is the text of all tests of a package.
func testsOf(t *testing.T, known map[string]string, dir string) string {
	t.Helper()
	if text, ok := known[dir]; ok {
		return text
	}
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil || len(files) == 0 {
		t.Errorf("%s has no tests: %v", dir, err)
	}
	var all strings.Builder
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all.WriteString("\n" + string(text))
	}
	known[dir] = all.String()
	return known[dir]
}
