package main

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kamald/kamald/release"
)

// usage lets every command say how it is used when it is given too few or too many arguments, and one of several which it may have meant.
func usage(cmd *cobra.Command) {
	for _, sub := range cmd.Commands() {
		usage(sub)
	}
	check := cmd.Args
	switch {
	case check == nil || !cmd.HasParent():
		return
	case cmd.HasSubCommands():
		cmd.Args = unknownAmong
		return
	}
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return fmt.Errorf("%s; it is `%s`", counting(err), strings.TrimSuffix(cmd.UseLine(), " [flags]"))
		}
		return nil
	}
}

// unknownAmong refuses a word behind a command of several: each of these was found before.
func unknownAmong(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	var names []string
	for _, sub := range cmd.Commands() {
		names = append(names, sub.Name())
	}
	return fmt.Errorf("unknown command %q for %q.%s\n  next: `%s --help` lists its commands", args[0], cmd.CommandPath(), release.DidYouMean(args[0], names), cmd.CommandPath())
}

// countedWords are cobra's, who counts what a person has typed.
var countedWords = regexp.MustCompile(`^(?:accepts|requires)(?: at (?:least|most)| between \d+ and)? (\d+) arg\(s\),(?: only)? received (\d+)$`)

// counting says in words that there are too few or too many.
func counting(err error) string {
	found := countedWords.FindStringSubmatch(err.Error())
	if found == nil {
		return err.Error()
	}
	limit, _ := strconv.Atoi(found[1])
	if got, _ := strconv.Atoi(found[2]); got < limit {
		return "a word is missing"
	}
	return "there are too many words"
}
