package main

import (
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// completer gives what may stand in a place. It asks the file and the store of this machine, and no server.
type completer func(p *program) []cobra.Completion

// completed are the words behind commands, by the commands' paths without kamald. `accessory` and what follows are by rule.
var completed = map[string]completer{
	"server cordon":   (*program).completeHosts,
	"server uncordon": (*program).completeHosts,
	"server forget":   (*program).completeHosts,
	"release":         (*program).completeVersions,
	"rollback":        (*program).completeNumbers,
	"show":            (*program).completeReleases,
	"diff":            (*program).completeReleases,
	"docs":            completeBlocks,
}

// fileArguments are the commands whose words are files.
var fileArguments = []string{"validate", "fmt", "import", "apply", "run", "show", "store backup", "store restore"}

// complete lets a shell complete every command and flag.
func (p *program) complete(root *cobra.Command) {
	root.ValidArgsFunction = func(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
		var names []cobra.Completion
		for _, a := range p.outline().Aliases {
			names = append(names, cobra.CompletionWithDesc(a.Name, quotedWords(a.Words)))
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
	for name, give := range map[string]completer{"hosts": (*program).completeHosts, "roles": (*program).completeRoles,
		"destination": (*program).completeDestinations, "version": (*program).completeVersions} {
		p.completeFlag(root, name, give)
	}
	p.completeWords(root)
}

// completeWords sets what follows each command.
func (p *program) completeWords(cmd *cobra.Command) {
	for _, sub := range cmd.Commands() {
		p.completeWords(sub)
		for name, give := range map[string]completer{"host": (*program).completeHosts, "role": (*program).completeRoles} {
			if sub.LocalNonPersistentFlags().Lookup(name) != nil {
				p.completeFlag(sub, name, give)
			}
		}
		if sub.ValidArgsFunction != nil || len(sub.ValidArgs) > 0 || sub.HasSubCommands() {
			continue
		}
		path := strings.TrimPrefix(sub.CommandPath(), "kamald ")
		give, files := completed[path], slices.Contains(fileArguments, path)
		if strings.HasPrefix(path, "accessory ") {
			give = (*program).completeAccessories
		}
		sub.ValidArgsFunction = func(_ *cobra.Command, args []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
			directive := cobra.ShellCompDirectiveNoFileComp
			if files {
				directive = cobra.ShellCompDirectiveDefault
			}
			if give == nil || len(args) > 0 && path != "diff" || len(args) > 1 {
				return nil, directive
			}
			return beginning(give(p), typed), directive | cobra.ShellCompDirectiveKeepOrder // the newest first
		}
	}
}

// completeFlag completes the last of a flag's values: several stand with commas between.
func (p *program) completeFlag(cmd *cobra.Command, name string, give completer) {
	_ = cmd.RegisterFlagCompletionFunc(name, func(_ *cobra.Command, _ []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
		before, last := "", typed
		if i := strings.LastIndexByte(typed, ','); i >= 0 && (name == "hosts" || name == "roles") {
			before, last = typed[:i+1], typed[i+1:]
		}
		var list []cobra.Completion
		for _, one := range beginning(give(p), last) {
			list = append(list, before+one)
		}
		return list, cobra.ShellCompDirectiveNoFileComp
	})
}

func beginning(all []cobra.Completion, typed string) []cobra.Completion {
	return slices.DeleteFunc(all, func(one cobra.Completion) bool { return !strings.HasPrefix(one, typed) })
}

func (p *program) outline() release.Outline {
	return release.ReadOutline(p.flags.file, release.Options{Destination: p.flags.destination, KamaldVersion: version})
}

func (p *program) completeHosts() []cobra.Completion        { return p.outline().Hosts }
func (p *program) completeRoles() []cobra.Completion        { return p.outline().Roles }
func (p *program) completeDestinations() []cobra.Completion { return p.outline().Destinations }
func (p *program) completeAccessories() []cobra.Completion  { return p.outline().Accessories }

// completeBlocks gives the blocks of the file by their paths.
func completeBlocks(*program) []cobra.Completion {
	var paths []cobra.Completion
	var walk func(before string, blocks []release.BlockDoc)
	walk = func(before string, blocks []release.BlockDoc) {
		for _, b := range blocks {
			paths = append(paths, cobra.CompletionWithDesc(before+b.Name, b.Meaning))
			walk(before+b.Name+".", b.Blocks)
		}
	}
	walk("", release.ReferenceOf(false).Root.Blocks)
	return paths
}

// completeNumbers gives the numbers of the releases that can be gone back to, the newest first.
func (p *program) completeNumbers() []cobra.Completion {
	var numbers []cobra.Completion
	for _, r := range p.knownReleases() {
		if r.Outcome == state.OutcomeSucceeded {
			numbers = append(numbers, cobra.CompletionWithDesc(strconv.Itoa(r.Number), "version "+r.Version))
		}
	}
	return numbers
}

// completeVersions gives the versions that were released, the newest first.
func (p *program) completeVersions() []cobra.Completion {
	var versions []cobra.Completion
	for _, r := range p.knownReleases() {
		if r.Version != "" && !slices.Contains(versions, r.Version) {
			versions = append(versions, r.Version)
		}
	}
	return versions
}

func (p *program) completeReleases() []cobra.Completion {
	return append(p.completeNumbers(), p.completeVersions()...)
}

// knownReleases are those that the store here has; none where there is no store.
func (p *program) knownReleases() []state.Record {
	at, err := p.storePlace()
	if err != nil || at.inEtcd() { // nobody waits for a cluster at a tab
		return nil
	}
	if _, err := os.Stat(at.file); err != nil {
		return nil
	}
	store, err := p.openStore()
	if err != nil {
		return nil
	}
	defer func() { _ = store.Close() }()
	records, err := store.Releases(p.outline().App)
	if err != nil {
		return nil // a shell that completes has no place for what is wrong with it
	}
	return records
}
