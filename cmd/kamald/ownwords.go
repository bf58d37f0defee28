package main

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// own are the words of a command line that kamald itself reads: all, but for `exec`, behind whose flags the words are another program's.
func own(root *cobra.Command, args []string) []string {
	cmd, rest, err := root.Find(slices.Clone(args)) // rest is without the command's own words
	if err != nil || cmd.Name() != "exec" {
		return args
	}
	n := 0
	for n < len(rest) && len(rest[n]) > 1 && rest[n][0] == '-' && rest[n] != "--" {
		if takesNext(cmd, rest[n]) {
			n++
		}
		n++
	}
	return rest[:min(n, len(rest))]
}

// takesNext tells whether the word behind a flag is its value.
func takesNext(cmd *cobra.Command, word string) bool {
	if name, long := strings.CutPrefix(word, "--"); long {
		return wantsValue(cmd.Flag(name)) // one that is written with = is none by that name
	}
	cmd.InheritedFlags() // takes those of every command in
	for i := 1; i < len(word) && word[i] < utf8.RuneSelf; i++ {
		if wantsValue(cmd.Flags().ShorthandLookup(word[i : i+1])) {
			return i == len(word)-1 // else the rest of the word is the value
		}
	}
	return false
}

func wantsValue(f *pflag.Flag) bool { return f != nil && f.NoOptDefVal == "" }
