package main

import (
	"fmt"
	"os"
	"strings"
)

// performancePage has a place for the report, between pageBegin and pageEnd.
const (
	performancePage = "docs/performance.md"
	pageBegin       = "<!-- proxyload -->\n"
	pageEnd         = "<!-- /proxyload -->"
)

// writePage puts the report into its place in a file, instead of what is there.
func writePage(path, report string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	before, rest, found := strings.Cut(string(text), pageBegin)
	_, after, ended := strings.Cut(rest, pageEnd)
	if !found || !ended {
		return fmt.Errorf("%s: there is no place for the report: a line %q and below it one %q", path, strings.TrimSpace(pageBegin), pageEnd)
	}
	return os.WriteFile(path, []byte(before+pageBegin+strings.TrimSpace(report)+"\n"+pageEnd+after), 0o644)
}
