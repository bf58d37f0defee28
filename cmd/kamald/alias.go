package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/kamald/kamald/release"
)

// expanded puts what an alias of the file stands for in its place: only where the first word is no command.
func (p *program) expanded(root *cobra.Command, args []string) ([]string, error) {
	if len(args) > 2 && (args[0] == cobra.ShellCompRequestCmd || args[0] == cobra.ShellCompNoDescRequestCmd) {
		last := len(args) - 1 // what is being typed is no word yet
		words, err := p.expanded(root, args[1:last])
		return append(append([]string{args[0]}, words...), args[last]), err
	}
	before, word, after := p.firstWord(args)
	if word == "" || slices.Contains(p.names, word) {
		return args, nil
	}
	line := append([]string{word}, after...)
	words, found, err := release.Expanded(p.aliasesFor(root, before, line), line)
	if err != nil || !found {
		return args, err // that it is no command, cobra says
	}
	return append(slices.Clone(before), words...), nil
}

// aliasesFor are those of the file that a command line names. Flags behind an alias may name it, too, but for the words of a program
// that the alias runs: its -c is no file of ours.
func (p *program) aliasesFor(root *cobra.Command, before, line []string) []release.Alias {
	all := append(slices.Clone(before), line...)
	words, found, err := release.Expanded(p.outlineFor(before).Aliases, line)
	if found && err == nil {
		all = own(root, append(slices.Clone(before), words...))
	}
	return p.outlineFor(all).Aliases
}

// firstWord cuts a command line at the word that says which command it is; flags of every command may stand before it.
func (p *program) firstWord(args []string) (before []string, word string, after []string) {
	set, _ := globalFlags()
	set.SetInterspersed(false)
	if set.Parse(args) != nil || set.NArg() == 0 {
		return args, "", nil
	}
	at := len(args) - set.NArg()
	return args[:at], args[at], args[at+1:]
}

// outlineFor reads the file that a command line names, as far as it can be read.
func (p *program) outlineFor(args []string) release.Outline {
	set, f := globalFlags()
	set.ParseErrorsAllowlist.UnknownFlags = true
	_ = set.Parse(args) // as far as it goes: what is wrong with it the command says
	return release.ReadOutline(f.file, release.Options{Destination: f.destination, KamaldVersion: version})
}

// globalFlags are those of every command, by themselves.
func globalFlags() (*pflag.FlagSet, *flags) {
	var f flags
	set := pflag.NewFlagSet("kamald", pflag.ContinueOnError)
	set.SetOutput(io.Discard)
	set.Usage = func() {}
	set.BoolP("help", "h", false, "")
	f.declare(set)
	return set, &f
}

// namesOf are the names of kamald's commands, which no alias can have.
func namesOf(root *cobra.Command) []string {
	names := []string{"completion", "help", cobra.ShellCompRequestCmd, cobra.ShellCompNoDescRequestCmd}
	for _, cmd := range root.Commands() {
		names = append(append(names, cmd.Name()), cmd.Aliases...)
	}
	return names
}

// aliasHelp adds the file's aliases to what `kamald --help` says.
func (p *program) aliasHelp(root *cobra.Command) {
	help := root.HelpFunc()
	root.SetHelpFunc(func(cmd *cobra.Command, args []string) {
		help(cmd, args)
		if cmd != root {
			return
		}
		aliases := release.ReadOutline(p.flags.file, release.Options{Destination: p.flags.destination}).Aliases
		if len(aliases) == 0 {
			return
		}
		p.printf("\nAliases in %s:\n", p.flags.file)
		for _, a := range aliases {
			p.printf("  %-11s %s\n", a.Name, quotedWords(a.Words))
		}
	})
}

// quotedWords writes words so that they can be read as words.
func quotedWords(words []string) string {
	written := slices.Clone(words)
	for i, word := range written {
		if word == "" || strings.ContainsAny(word, " \t\n'\"\\") {
			written[i] = fmt.Sprintf("%q", word)
		}
	}
	return strings.Join(written, " ")
}
