package main

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// manuals writes a page for man(1) of every command into a directory. The same program gives the same pages: the date in them is that of
// SOURCE_DATE_EPOCH, and without that there is none.
func (p *program) manuals(root *cobra.Command, dir string) error {
	date, err := sourceDate()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	written := 0
	var write func(cmd *cobra.Command) error
	write = func(cmd *cobra.Command) error {
		if err := os.WriteFile(filepath.Join(dir, manualName(cmd)+".1"), []byte(manual(cmd, date)), 0o644); err != nil {
			return err
		}
		written++
		for _, sub := range manualled(cmd) {
			if err := write(sub); err != nil {
				return err
			}
		}
		return nil
	}
	if err := write(root); err != nil {
		return err
	}
	p.note("%d pages are in %s", written, dir)
	return nil
}

// sourceDate is the day that reproducible builds are told, "" without one.
func sourceDate() (string, error) {
	text := os.Getenv("SOURCE_DATE_EPOCH")
	if text == "" {
		return "", nil
	}
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return "", fmt.Errorf("SOURCE_DATE_EPOCH is seconds since 1970, not %q", text)
	}
	return time.Unix(seconds, 0).UTC().Format(time.DateOnly), nil
}

// manualled are the commands below one that have a page.
func manualled(cmd *cobra.Command) (list []*cobra.Command) {
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() && sub.Name() != "help" {
			list = append(list, sub)
		}
	}
	return list
}

func manualName(cmd *cobra.Command) string { return strings.ReplaceAll(cmd.CommandPath(), " ", "-") }

// manual is the page of one command, in man(7)'s macros.
func manual(cmd *cobra.Command, date string) string {
	var b strings.Builder
	line := func(format string, args ...any) { _, _ = fmt.Fprintf(&b, format+"\n", args...) }
	line(`.TH %q 1 %q %q "kamald"`, strings.ToUpper(manualName(cmd)), date, "kamald "+version)
	line(".SH NAME\n%s \\- %s", troff(manualName(cmd)), troff(cmd.Short))
	line(".SH SYNOPSIS\n.B %s", troff(cmd.UseLine()))
	line(".SH DESCRIPTION")
	b.WriteString(paragraphs(cmp.Or(cmd.Long, cmd.Short+".")))
	if subs := manualled(cmd); len(subs) > 0 {
		line(".SH COMMANDS")
		for _, sub := range subs {
			line(".TP\n.BR %s (1)\n%s", troff(manualName(sub)), troff(sub.Short))
		}
	}
	if cmd.Example != "" {
		line(".SH EXAMPLES\n.nf\n%s\n.fi", troff(cmd.Example))
	}
	b.WriteString(options("OPTIONS", cmd.NonInheritedFlags()))
	b.WriteString(options("OPTIONS OF EVERY COMMAND", cmd.InheritedFlags()))
	if cmd.HasParent() {
		line(".SH SEE ALSO\n.BR %s (1)", troff(manualName(cmd.Parent())))
	}
	return b.String()
}

// options lists flags with what they mean and what holds without them.
func options(title string, flags *pflag.FlagSet) string {
	var b strings.Builder
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" {
			return
		}
		value, meaning := pflag.UnquoteUsage(f)
		name := "--" + f.Name
		if f.Shorthand != "" {
			name = "-" + f.Shorthand + ", " + name
		}
		_, _ = fmt.Fprintf(&b, ".TP\n.B %s\n%s", troff(strings.TrimSpace(name+" "+value)), troff(meaning))
		if without := f.DefValue; without != "" && without != "false" && without != "[]" && without != "0" && without != "0s" {
			b.WriteString(troff(" (default " + without + ")"))
		}
		b.WriteString("\n")
	})
	if b.Len() == 0 {
		return ""
	}
	return ".SH " + title + "\n" + b.String()
}

// paragraphs sets text: an empty line is a new paragraph, and lines that are indented stay as they are.
func paragraphs(text string) string {
	var b strings.Builder
	asIs := false
	for _, line := range strings.Split(strings.Trim(text, "\n"), "\n") {
		if indented := strings.HasPrefix(line, " ") || strings.HasPrefix(line, "\t"); indented != asIs {
			b.WriteString(map[bool]string{true: ".nf\n", false: ".fi\n"}[indented])
			asIs = indented
		}
		if line == "" {
			line = ".PP"
		} else {
			line = troff(line)
		}
		b.WriteString(line + "\n")
	}
	if asIs {
		b.WriteString(".fi\n")
	}
	return b.String()
}

// quoted is what stands between backticks.
var quoted = regexp.MustCompile("`([^`]+)`")

// troff has text mean itself: characters are what they look like, and no line begins with what is a request there. Code is bold.
func troff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`, "~", `\(ti`, "^", `\(ha`).Replace(text)
	text = strings.ReplaceAll(quoted.ReplaceAllString(text, `\fB$1\fR`), "`", `\(ga`)
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'") {
			lines[i] = `\&` + line
		}
	}
	return strings.Join(lines, "\n")
}
