package main

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// writeManuals has the program write its pages.
func writeManuals(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "man1")
	if code := newProgram(io.Discard, io.Discard).run([]string{"docs", "--man", dir}); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	return dir
}

func TestEveryCommandHasAManualPage(t *testing.T) {
	dir := writeManuals(t)
	root := newProgram(io.Discard, io.Discard).command()
	root.InitDefaultCompletionCmd()
	var all func(cmd *cobra.Command)
	all = func(cmd *cobra.Command) {
		text, err := os.ReadFile(filepath.Join(dir, strings.ReplaceAll(cmd.CommandPath(), " ", "-")+".1"))
		if err != nil {
			t.Error(err)
		}
		for _, section := range []string{".SH NAME", ".SH SYNOPSIS", ".SH DESCRIPTION", ".SH OPTIONS"} {
			if !strings.Contains(string(text), section) {
				t.Errorf("the page of %s has no %s", cmd.CommandPath(), section)
			}
		}
		for _, sub := range cmd.Commands() {
			if sub.Name() != "help" && !sub.Hidden {
				all(sub)
			}
		}
	}
	all(root)
}

func TestManualPagesKnowNoDayButTheOneTheyAreTold(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", "1767225600")
	told, err := os.ReadFile(filepath.Join(writeManuals(t), "kamald-run.1"))
	if err != nil || !strings.HasPrefix(string(told), `.TH "KAMALD-RUN" 1 "2026-01-01" `) {
		t.Errorf("%v: %.80s", err, told)
	}
	t.Setenv("SOURCE_DATE_EPOCH", "")
	untold, err := os.ReadFile(filepath.Join(writeManuals(t), "kamald-run.1"))
	if err != nil || !strings.HasPrefix(string(untold), `.TH "KAMALD-RUN" 1 "" `) {
		t.Errorf("%v: %.80s", err, untold)
	}
	t.Setenv("SOURCE_DATE_EPOCH", "yesterday")
	if code := newProgram(io.Discard, io.Discard).run([]string{"docs", "--man", t.TempDir()}); code != 1 {
		t.Errorf("a day that is none ends with %d", code)
	}
}

func TestTextInAManualPageMeansItself(t *testing.T) {
	for text, want := range map[string]string{
		"a-b":                        `a\-b`,
		`a\nb`:                       `a\enb`,
		"`kamald run -f` in ~, a `b": `\fBkamald run \-f\fR in \(ti, a \(gab`,
		".kamald/secrets\n'x' y":     "\\&.kamald/secrets\n\\&'x' y",
		"plain text of one sentence": "plain text of one sentence",
	} {
		if got := troff(text); got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
	if got, want := paragraphs("one\n  $ two\n\nthree"), "one\n.nf\n  $ two\n.fi\n.PP\nthree\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestMandocWarnsOfNoPage(t *testing.T) {
	mandoc, err := exec.LookPath("mandoc")
	if err != nil {
		t.Skip("NOT RUN: mandoc is not installed")
	}
	t.Setenv("SOURCE_DATE_EPOCH", "1767225600")
	pages, err := filepath.Glob(filepath.Join(writeManuals(t), "*.1"))
	if err != nil || len(pages) == 0 {
		t.Fatal(err)
	}
	out, err := exec.Command(mandoc, append([]string{"-T", "lint", "-W", "warning"}, pages...)...).CombinedOutput()
	if err != nil || len(out) > 0 {
		t.Errorf("%v: %.2000s", err, out)
	}
}

func TestGroffHasNothingToSayOfAnyPage(t *testing.T) {
	groff, err := exec.LookPath("groff")
	if err != nil {
		t.Skip("NOT RUN: groff is not installed")
	}
	pages, err := filepath.Glob(filepath.Join(writeManuals(t), "*.1"))
	if err != nil || len(pages) == 0 {
		t.Fatal(err)
	}
	out, err := exec.Command(groff, append([]string{"-man", "-Kutf8", "-Tutf8", "-ww", "-z"}, pages...)...).CombinedOutput()
	if err != nil || len(out) > 0 {
		t.Errorf("%v: %.2000s", err, out)
	}
}
