package main

import (
	"fmt"
	"strings"

	"github.com/kamald/kamald/release"
)

// referencePage is docs/reference.md.
func referencePage() string {
	var page strings.Builder
	page.WriteString("# Reference\n\n" +
		"Everything that may stand in deploy.hcl and kamald.hcl. `kamald docs --markdown` writes this page from what the decoder itself goes\n" +
		"by; `kamald docs BLOCK` says the same at the command line. [deploy.hcl](deploy-hcl.md) explains it by task.\n\n" +
		"Durations are strings like `\"30s\"`, sizes like `\"512m\"`. Where *not built yet* stands, `kamald validate` takes the name, and the\n" +
		"command that is named refuses it.\n")
	for _, bastion := range []bool{false, true} {
		r := release.ReferenceOf(bastion)
		fmt.Fprintf(&page, "\n## %s\n\n%s", r.File, r.Root.Meaning)
		if r.Root.NotBuilt != "" {
			page.WriteString(" " + notBuilt(r.Root.NotBuilt))
		}
		page.WriteString("\n")
		pageAttributes(&page, r.Root.Attributes)
		for _, b := range r.Root.Blocks {
			pageBlock(&page, b, "###")
		}
		if !bastion {
			page.WriteString("\n### In expressions\n\n| what | meaning |\n|---|---|\n")
			for _, f := range r.Functions {
				fmt.Fprintf(&page, "| %s | %s |\n", code(f.Use), cell(f.Meaning))
			}
		}
	}
	return page.String()
}

func pageBlock(page *strings.Builder, b release.BlockDoc, depth string) {
	fmt.Fprintf(page, "\n%s %s\n\n%s", depth, cell(header(b)), cell(b.Meaning))
	if b.NotBuilt != "" {
		page.WriteString(" *" + notBuilt(b.NotBuilt) + "*")
	}
	if len(b.Labels) > 0 {
		fmt.Fprintf(page, " Its label is one of %s.", code(b.Labels...))
	}
	if b.As != "" {
		fmt.Fprintf(page, " It takes what [%s](#%s) takes.\n", b.As, strings.ReplaceAll(b.As, ".", ""))
		return
	}
	page.WriteString("\n")
	pageAttributes(page, b.Attributes)
	for _, child := range b.Blocks {
		pageBlock(page, child, "####")
	}
}

func pageAttributes(page *strings.Builder, list []release.AttributeDoc) {
	if len(list) == 0 {
		return
	}
	page.WriteString("\n| name | meaning | takes | default |\n|---|---|---|---|\n")
	for _, a := range list {
		if isRemoval(a) {
			continue
		}
		fmt.Fprintf(page, "| `%s` | %s | %s | %s |\n", a.Name, pageMeaning(a), taken(a, cell(a.Takes), code), pageDefault(a))
	}
}

func pageMeaning(a release.AttributeDoc) string {
	text := cell(a.Meaning)
	if a.NotBuilt != "" {
		text += fmt.Sprintf("; *not built yet: refused by `kamald %s`*", a.NotBuilt)
	}
	return text
}

func pageDefault(a release.AttributeDoc) string {
	switch {
	case a.Required:
		return "required"
	case a.Default != "":
		return code(a.Default)
	}
	return cell(a.DefaultRule)
}

// code sets words as code, one by one.
func code(words ...string) string {
	var all []string
	for _, word := range words {
		all = append(all, "`"+strings.ReplaceAll(word, "|", `\|`)+"`")
	}
	return strings.Join(all, ", ")
}

// cell keeps a text from meaning something else in a table.
func cell(text string) string {
	return strings.NewReplacer("|", `\|`, "<", `\<`, "*", `\*`).Replace(text)
}
