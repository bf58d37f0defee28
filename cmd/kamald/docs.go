package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kamald/kamald/release"
)

func (p *program) docsCommand() *cobra.Command {
	var bastion, markdown bool
	var man string
	cmd := &cobra.Command{
		Use:   "docs [BLOCK]",
		Short: "Say what may stand in the file: every block and attribute",
		Long: "Without an argument it lists everything at the file's root, all blocks, and what expressions can call. A block goes by its name,\n" +
			"one within another by both: role, role.health, role.health.exec. What it says is made from what the decoder goes by.",
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if man != "" {
				return p.manuals(cmd.Root(), man)
			}
			if markdown {
				p.printf("%s", referencePage())
				return nil
			}
			return p.docs(release.ReferenceOf(bastion), strings.Join(args, ""))
		},
	}
	cmd.Flags().BoolVar(&bastion, "bastion", false, "of a bastion's kamald.hcl")
	cmd.Flags().BoolVar(&markdown, "markdown", false, "write all of it as the page docs/reference.md")
	cmd.Flags().StringVar(&man, "man", "", "write a manual page of every command into this `directory`")
	return cmd
}

func (p *program) docs(reference release.Reference, path string) error {
	if path == "" {
		if p.flags.json {
			return p.writeJSON(map[string]any{"schema": schema, "reference": reference})
		}
		p.overview(reference)
		return nil
	}
	block, attribute, err := reference.Find(path)
	switch {
	case err != nil:
		return fmt.Errorf("%w `kamald docs` lists all", err)
	case p.flags.json && attribute != nil:
		return p.writeJSON(map[string]any{"schema": schema, "attribute": attribute})
	case p.flags.json:
		return p.writeJSON(map[string]any{"schema": schema, "block": block})
	case attribute != nil:
		p.attributes([]release.AttributeDoc{*attribute})
		return nil
	}
	p.printf("%s\n%s\n", p.out.in(bold, header(block)), block.Meaning)
	p.said(notBuilt(block.NotBuilt))
	if len(block.Labels) > 0 {
		p.said("Its label is one of " + strings.Join(block.Labels, ", ") + ".")
	}
	if block.As != "" && block.As != path {
		p.said(fmt.Sprintf("It takes what `kamald docs %s` says:", block.As))
	}
	p.printf("\n")
	p.attributes(block.Attributes)
	p.blocks(block.Blocks)
	return nil
}

func (p *program) said(sentence string) {
	if sentence != "" {
		p.printf("%s\n", sentence)
	}
}

func (p *program) overview(reference release.Reference) {
	p.printf("%s: %s\n", p.out.in(bold, reference.File), reference.Root.Meaning)
	p.said(notBuilt(reference.Root.NotBuilt))
	p.printf("\n")
	p.attributes(reference.Root.Attributes)
	p.blocks(reference.Root.Blocks)
	p.printf("\nIn expressions:\n\n")
	t := &table{}
	for _, f := range reference.Functions {
		t.row("  "+f.Use, f.Meaning)
	}
	p.showTable(t)
	p.note("\n`kamald docs BLOCK` says what a block takes.")
}

// attributes prints each with its meaning, and below that what it takes.
func (p *program) attributes(list []release.AttributeDoc) {
	list = slices.DeleteFunc(slices.Clone(list), isRemoval)
	width := 0
	for _, a := range list {
		width = max(width, len(a.Name))
	}
	for _, a := range list {
		p.printf("  %s%s  %s\n", p.out.in(bold, a.Name), strings.Repeat(" ", width-len(a.Name)), a.Meaning)
		p.printf("  %*s  %s\n", width, "", p.out.in(faint, takes(a)))
	}
}

// takes says in a line what an attribute takes and what holds without it.
func takes(a release.AttributeDoc) string {
	text := taken(a, a.Takes, func(words ...string) string { return strings.Join(words, ", ") })
	if a.Required {
		text = "required: " + text
	}
	if holds := a.Default + a.DefaultRule; holds != "" {
		text += "; default " + holds
	}
	if a.NotBuilt != "" {
		text += "; not built yet: refused by kamald " + a.NotBuilt
	}
	return text
}

// taken is the values that an attribute takes, or their type, and an example; set sets words as code.
func taken(a release.AttributeDoc, kind string, set func(words ...string) string) string {
	var values []string
	for _, value := range a.Values {
		values = append(values, strconv.Quote(value))
	}
	text := kind
	switch {
	case len(values) > 0 && a.Takes == "a string":
		text = set(values...)
	case len(values) > 0:
		text += " from " + set(values...)
	case a.Bounds != "":
		text += " " + a.Bounds
	}
	if a.Example != "" {
		text += ", such as " + set(a.Example)
	}
	return text
}

// blocks lists blocks and what is within them by their paths, each with the first sentence of its meaning.
func (p *program) blocks(list []release.BlockDoc) {
	if len(list) == 0 {
		return
	}
	p.printf("\nBlocks:\n\n")
	t := &table{}
	var add func(b release.BlockDoc)
	add = func(b release.BlockDoc) {
		first, _, _ := strings.Cut(b.Meaning, ". ")
		if b.NotBuilt != "" {
			first = strings.TrimSuffix(first, ".") + " (not built yet)"
		}
		t.row("  "+header(b), strings.TrimSuffix(first, "."))
		if b.As == "" {
			for _, child := range b.Blocks {
				add(child)
			}
		}
	}
	for _, b := range list {
		add(b)
	}
	p.showTable(t)
}

// header is a block's path and its label: role "NAME", role.health.
func header(b release.BlockDoc) string {
	if b.Label == "" {
		return b.Path
	}
	return fmt.Sprintf("%s %q", b.Path, strings.ToUpper(b.Label))
}

func notBuilt(command string) string {
	if command == "" {
		return ""
	}
	return fmt.Sprintf("Not built yet: refused by `kamald %s`.", command)
}

// isRemoval tells whether an attribute is the one with which a destination takes a block away: said once, not in every block.
func isRemoval(a release.AttributeDoc) bool { return a.Name == "remove" && a.Takes == "true or false" }
