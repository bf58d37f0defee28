package contract

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

const golden = "KAMALD_GOLDEN" // set to 1, the pages are written instead of compared

// TestThePagesSayWhatTheContractSays holds docs/proxy-contract.md, and the table of differences in docs/proxy.md, to the rows.
func TestThePagesSayWhatTheContractSays(t *testing.T) {
	for _, page := range []struct{ path, name, text string }{
		{"../../docs/proxy-contract.md", "contract", contractTable()},
		{"../../docs/proxy.md", "differences", differenceTable()},
	} {
		data, err := os.ReadFile(page.path)
		if err != nil {
			t.Fatal(err)
		}
		begin, end := "<!-- "+page.name+" -->\n", "<!-- /"+page.name+" -->"
		before, rest, opened := strings.Cut(string(data), begin)
		_, after, closed := strings.Cut(rest, end)
		if !opened || !closed {
			t.Errorf("%s has no place for the table: %s%s", page.path, begin, end)
			continue
		}
		whole := before + begin + page.text + end + after
		if whole == string(data) {
			continue
		}
		if os.Getenv(golden) == "" {
			t.Errorf("%s says something else than the contract's rows; write it with %s=1 go test ./proxy/contract -run Pages", page.path, golden)
		} else if err := os.WriteFile(page.path, []byte(whole), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func contractTable() string {
	var b strings.Builder
	for _, a := range areas() {
		fmt.Fprintf(&b, "\n## %s\n\n| what holds | done | expected | kamal-proxy 0.9.2 |\n|---|---|---|---|\n", a.name)
		for _, row := range a.rows {
			kamal := row.kamal
			if kamal == "" {
				kamal = "the same"
			}
			fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", cell(row.name), cell(row.does), cell(row.expects), cell(kamal))
		}
	}
	return b.String() + "\n"
}

func differenceTable() string {
	var b strings.Builder
	b.WriteString("\n| | kamald-proxy | kamal-proxy 0.9.2 |\n|---|---|---|\n")
	for _, a := range areas() {
		for _, row := range a.rows {
			if row.kamal != "" {
				fmt.Fprintf(&b, "| %s | %s: %s | %s |\n", cell(row.name), cell(row.does), cell(row.expects), cell(row.kamal))
			}
		}
	}
	return b.String() + "\n"
}

// cell keeps a text from being taken for a table or for HTML.
func cell(text string) string {
	return strings.NewReplacer("|", `\|`, "<", "&lt;", ">", "&gt;", "*", `\*`, "_", `\_`).Replace(text)
}
