package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kamald/kamald/drivers/build"
	"github.com/kamald/kamald/drivers/files"
	"github.com/kamald/kamald/drivers/git"
	"github.com/kamald/kamald/drivers/probe"
	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/release"
)

// storeRoom is how many bytes the store's file system should have free.
const storeRoom = 100 << 20

const thisMachine = "this machine"

func (p *program) doctorCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "Say what is wrong here, in the file, on the servers and before them, and how to mend it",
		Long: "It looks at this machine, the file, every server at once, what their proxies serve, the names of the routes and their\n" +
			"certificates, and changes nothing. The exit code is 1 when something is wrong; a warning may be meant so.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.doctor(cmd.Context())
		},
	}
}

func (p *program) doctor(ctx context.Context) error {
	list := p.doctorStore(ctx)
	problems := p.doctorFile()
	list = append(list, problems...)
	if slices.ContainsFunc(problems, isWrong) {
		return p.showFindings(append(list, reconcile.Finding{Where: "the servers", What: "reach", Level: reconcile.LevelWarning,
			Said: "they were not looked at: the file does not say which they are", Next: "mend the file first"}))
	}
	err := p.with(ctx, needsHosts, func(s *session) error {
		list = append(list, p.doctorHere(ctx, s.desired)...)
		found, err := s.Doctor(ctx, s.desired, probe.Outside{})
		list = append(list, found...)
		return err
	})
	switch {
	case ctx.Err() != nil && err != nil:
		return err
	case err != nil:
		list = append(list, reconcile.Finding{Where: "the servers", What: "reach", Level: reconcile.LevelWrong,
			Said: "they could not be looked at: " + strings.TrimSpace(err.Error()), Next: "mend that first"})
	}
	return p.showFindings(list)
}

func isWrong(f reconcile.Finding) bool { return f.Level == reconcile.LevelWrong }

// doctorFile is what validate says.
func (p *program) doctorFile() []reconcile.Finding {
	diags := release.Validate(p.flags.file, release.Options{KamaldVersion: version, Commands: p.names})
	if !diags.HasErrors() {
		return []reconcile.Finding{{Where: "the file", What: p.flags.file, Level: reconcile.LevelOK, Said: "it is valid"}}
	}
	return []reconcile.Finding{{Where: "the file", What: p.flags.file, Level: reconcile.LevelWrong, Said: strings.TrimSpace(diags.Error()),
		Next: "`kamald docs` says what may stand there, `kamald validate` shows the same with its lines"}}
}

// doctorStore looks whether the store can be opened, and has room.
func (p *program) doctorStore(ctx context.Context) []reconcile.Finding {
	f := reconcile.Finding{Where: thisMachine, What: "store", Level: reconcile.LevelWrong, Next: "give another place with --store FILE, or `kamald store check` and `kamald store restore`"}
	at, err := p.storePlace()
	path := at.file
	if err == nil {
		f.Said = at.String()
		if _, missing := os.Stat(path); missing == nil || at.inEtcd() {
			err = p.readStore()
		}
	}
	if err != nil {
		f.Said = err.Error()
		return []reconcile.Finding{f}
	}
	dir := filepath.Dir(path)
	for _, missing := os.Stat(dir); missing != nil && filepath.Dir(dir) != dir; _, missing = os.Stat(dir) {
		dir = filepath.Dir(dir)
	}
	free, _, err := files.NewLocal().Free(ctx, dir)
	switch {
	case err == nil && free >= 0 && free < storeRoom:
		f.Level, f.Said, f.Next = reconcile.LevelWarning, fmt.Sprintf("%s has %s free: nothing is done that cannot be noted there", path, plan.Size(free)), "make room, or give another place with --store FILE"
	default:
		f.Level, f.Next = reconcile.LevelOK, ""
	}
	return []reconcile.Finding{f}
}

func (p *program) readStore() error {
	store, err := p.openStore()
	if err != nil {
		return err
	}
	_, err = store.Apps()
	return errors.Join(err, store.Close())
}

// doctorHere looks for the programs and keys that the file has use for.
func (p *program) doctorHere(ctx context.Context, desired release.Release) []reconcile.Finding {
	list := []reconcile.Finding{p.doctorGit(ctx, desired), p.doctorKeys(desired)}
	if _, err := os.Stat(filepath.Join(filepath.Dir(p.flags.file), desired.Build.Dockerfile)); err == nil || desired.Registry == nil {
		list = append(list, doctorDocker(ctx, desired))
	}
	return slices.DeleteFunc(list, func(f reconcile.Finding) bool { return f.What == "" })
}

func (p *program) doctorGit(ctx context.Context, desired release.Release) reconcile.Finding {
	f := reconcile.Finding{Where: thisMachine, What: "git", Level: reconcile.LevelOK}
	_, short, branch, dirty, err := git.Head(ctx, filepath.Dir(p.flags.file))
	switch {
	case err != nil && desired.Version != "":
		return reconcile.Finding{} // the file names its version itself
	case err != nil:
		f.Level, f.Said, f.Next = reconcile.LevelWarning, "the version is the commit's, and "+err.Error(), "give --version, or set version in the file"
	case dirty:
		f.Said = fmt.Sprintf("%s is checked out (%s), with changes that are in no commit", short, branch)
	default:
		f.Said = fmt.Sprintf("%s is checked out (%s)", short, branch)
	}
	return f
}

// doctorKeys looks whether there is any key for SSH; whether one of them opens a host, reaching it shows.
func (p *program) doctorKeys(desired release.Release) reconcile.Finding {
	f := reconcile.Finding{Where: thisMachine, What: "ssh keys", Level: reconcile.LevelOK}
	remote := func(on release.Host) bool { return on.Name != release.LocalHost && on.Address != release.LocalHost }
	if !slices.ContainsFunc(desired.Hosts, remote) {
		return reconcile.Finding{}
	}
	if socket := os.Getenv("SSH_AUTH_SOCK"); socket != "" {
		if _, err := os.Stat(socket); err == nil {
			f.Said = "there is an agent"
			return f
		}
		f.Level, f.Said, f.Next = reconcile.LevelWarning, "SSH_AUTH_SOCK names "+socket+", and there is no agent", "start one (eval $(ssh-agent)) and ssh-add a key"
	}
	named, found := []string{"~/.ssh/id_ed25519", "~/.ssh/id_ecdsa", "~/.ssh/id_rsa"}, ""
	for _, on := range desired.Hosts {
		named = append(named, on.SSH.Keys...)
		if len(on.SSH.KeySecrets) > 0 {
			found = "secret " + on.SSH.KeySecrets[0]
		}
	}
	home, _ := os.UserHomeDir()
	for _, name := range named {
		path := name
		if rest, ok := strings.CutPrefix(name, "~/"); ok {
			path = filepath.Join(home, rest)
		}
		if _, err := os.Stat(path); err == nil {
			found = name
		}
	}
	switch {
	case found != "":
		return reconcile.Finding{Where: thisMachine, What: "ssh keys", Level: reconcile.LevelOK, Said: found + " is there"}
	case f.Said == "":
		f.Level, f.Said, f.Next = reconcile.LevelWarning, "there is neither an agent nor one of the usual key files", "ssh-keygen makes one, or ssh.keys in the file names one"
	}
	return f
}

// doctorDocker looks for what images are built, or carried, with.
func doctorDocker(ctx context.Context, desired release.Release) reconcile.Finding {
	f := reconcile.Finding{Where: thisMachine, What: "docker", Level: reconcile.LevelOK}
	client, server, buildx, failed, err := build.Look(ctx)
	switch {
	case err != nil:
		f.Level, f.Said, f.Next = reconcile.LevelWarning, err.Error(), "without it only what was built elsewhere can be released"
	case failed != nil && desired.Build.Remote == "":
		f.Level, f.Said, f.Next = reconcile.LevelWarning, failed.Error(), "start it, or set build { remote = … }"
	case !buildx:
		f.Level, f.Said, f.Next = reconcile.LevelWarning, "version "+client+", without buildx: caches, secrets and other platforms need it", "install docker-buildx-plugin (Docker's packages) or docker-buildx (the distribution's)"
	default:
		f.Said = fmt.Sprintf("version %s with buildx, engine %s", client, server)
	}
	return f
}

// showFindings writes what was found; the exit code says whether something is wrong.
func (p *program) showFindings(list []reconcile.Finding) error {
	wrong, warned := 0, 0
	for _, f := range list {
		switch f.Level {
		case reconcile.LevelWrong:
			wrong++
		case reconcile.LevelWarning:
			warned++
		}
	}
	if p.flags.json {
		if err := p.writeJSON(map[string]any{"schema": schema, "wrong": wrong, "warnings": warned, "findings": list}); err != nil {
			return err
		}
	} else {
		p.printFindings(list, wrong, warned)
	}
	if wrong > 0 {
		return &exit{code: exitError}
	}
	return nil
}

func (p *program) printFindings(list []reconcile.Finding, wrong, warned int) {
	marks := map[reconcile.Level]string{reconcile.LevelOK: p.out.in(green, "ok     "), reconcile.LevelWarning: p.out.in(yellow, "warning"), reconcile.LevelWrong: p.out.in(red, "wrong  ")}
	var places []string
	by := map[string][]reconcile.Finding{}
	for _, f := range list {
		if p.flags.quiet && f.Level == reconcile.LevelOK {
			continue
		}
		if by[f.Where] == nil {
			places = append(places, f.Where)
		}
		by[f.Where] = append(by[f.Where], f)
	}
	for _, place := range places {
		p.printf("%s\n", p.out.in(bold, plan.Printable(place)))
		for _, f := range by[place] {
			lines := strings.Split(f.Said, "\n")
			for i, line := range lines {
				lines[i] = plan.Printable(line)
			}
			p.printf("  %s  %s: %s\n", marks[f.Level], plan.Printable(f.What), strings.Join(lines, "\n           "))
			if f.Next != "" {
				p.printf("           next: %s\n", plan.Printable(f.Next))
			}
		}
	}
	switch {
	case wrong+warned == 0:
		p.printf("\nAll is well.\n")
	default:
		p.printf("\n%s wrong, %s.\n", counted(wrong, "thing is", "things are"), counted(warned, "warning", "warnings"))
	}
}

func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
