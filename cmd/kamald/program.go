package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/kamald/kamald/cmd/kamald/live"
	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/release"
)

// schema is the version of every JSON that kamald writes.
const schema = 1

// program is one run of the command line.
type program struct {
	in       io.Reader // where answers come from
	out, err terminal
	flags    flags

	running   string   // the command's name
	words     string   // all of its words but the program's: "server bootstrap"
	names     []string // of all commands
	server    string   // of a daemon elsewhere
	interrupt *interrupt
	lockWait  time.Duration // at most, for another's deploy lock
	bandwidth bandwidth     // of images that are carried from here

	news  []string             // releases of others that were met, for JSON
	ready *reconcile.Commanded // what setup did to the servers before the release, for JSON
	reach reconcile.Connector  // nil: what the file says
	owner *reconcile.Owner     // nil: this process
	built *built               // what `deploy` has built

	here func(context.Context, release.Auth) error // asks a registry from this machine; nil: over its own network
}

// flags are those that every command has.
type flags struct {
	file        string
	destination string
	version     string
	store       string
	hosts       patterns
	roles       patterns
	primary     bool
	quiet       bool
	verbose     bool
	json        bool
	noColor     bool
	skipHooks   bool
}

// declare lets every command take them.
func (f *flags) declare(set *pflag.FlagSet) {
	set.StringVarP(&f.file, "config", "c", "deploy.hcl", "the `file` that says what should run")
	set.StringVarP(&f.destination, "destination", "d", "", "the destination in it, such as staging")
	set.StringVar(&f.version, "version", "", "the version of the release (default: the file's, else the commit)")
	set.StringVar(&f.store, "store", "", "the `file` that keeps what was seen and done, or a bastion's file (.hcl) whose store block names it")
	set.Var(&f.hosts, "hosts", "only these hosts: names or globs such as web-* and {a,b}, separated by commas")
	set.Var(&f.roles, "roles", "only these roles: names or globs, separated by commas")
	set.BoolVarP(&f.primary, "primary", "p", false, "only the first host of the primary role, or of the first one of --roles")
	set.BoolVarP(&f.quiet, "quiet", "q", false, "say nothing but results and errors")
	set.BoolVarP(&f.verbose, "verbose", "v", false, "log every remote call, and count them at the end")
	set.BoolVar(&f.json, "json", false, "write the result as JSON")
	set.BoolVarP(&f.skipHooks, "skip-hooks", "H", false, "run no hooks")
	set.BoolVar(&f.noColor, "no-color", false, "no colour")
}

func newProgram(out, err io.Writer) *program {
	return &program{in: os.Stdin, out: terminal{Writer: out}, err: terminal{Writer: err}}
}

// run carries a command line out and gives its exit code.
func (p *program) run(args []string) int {
	ctx, interrupt := watchInterrupts(context.Background(), &p.err)
	defer interrupt.stop()
	p.interrupt = interrupt
	err := p.execute(ctx, args)
	if err == nil {
		return exitDone
	}
	if message := messageOf(err); message != nil {
		p.fail(message)
	}
	return exitCode(err, interrupt.happened())
}

// execute carries a command line out.
func (p *program) execute(ctx context.Context, args []string) error {
	root := p.command()
	args, err := p.expanded(root, args)
	if err == nil {
		root.SetArgs(args)
		err = root.ExecuteContext(ctx)
	}
	if err != nil && p.running == "" { // something is wrong with the words themselves, and not all flags were read
		p.flags.json = p.flags.json || slices.Contains(own(root, args), "--json")
	}
	return err
}

func (p *program) command() *cobra.Command {
	root := &cobra.Command{
		Use:           "kamald",
		Short:         "A declarative controller for container deployments on plain servers",
		Long:          "You write the release that you want in deploy.hcl. kamald looks at the servers over SSH, shows the difference as a plan, and carries it out.",
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return cmd.Help()
		},
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			p.running, p.words = cmd.Name(), strings.TrimPrefix(cmd.CommandPath(), "kamald ")
			p.out.detect(p.flags.noColor)
			p.err.detect(p.flags.noColor)
			p.out.above(p.err)
			return p.checkLimits(cmd)
		},
	}
	root.SetOut(p.out.Writer)
	root.SetErr(p.err.Writer)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return fmt.Errorf("%w; `%s --help` lists the flags", err, cmd.CommandPath())
	})
	p.flags.declare(root.PersistentFlags())
	root.AddCommand(p.commands()...)
	usage(root)
	p.names = namesOf(root) // once: making the commands anew would set what their flags have set back
	p.aliasHelp(root)
	p.complete(root)
	return root
}

func (p *program) commands() []*cobra.Command {
	return []*cobra.Command{
		p.initCommand(),
		p.validateCommand(),
		p.fmtCommand(),
		p.importCommand(),
		p.docsCommand(),
		p.doctorCommand(),
		p.configCommand(),
		limits(p.planCommand()),
		limits(p.applyCommand()),
		p.buildCommand(),
		p.pushCommand(),
		limits(p.deployCommand()),
		p.setupCommand(),
		limits(p.driftCommand()),
		limits(p.statusCommand()),
		limits(p.detailsCommand()),
		p.historyCommand(),
		p.showCommand(),
		p.diffCommand(),
		p.auditCommand(),
		p.pruneCommand(),
		p.rollbackCommand(),
		p.releaseCommand(),
		p.resumeCommand(),
		p.adoptCommand(),
		p.envCommand(),
		p.secretsCommand(),
		p.lockCommand(),
		p.serverCommand(),
		p.proxyCommand(),
		p.appCommand(),
		p.registryCommand(),
		p.removeCommand(),
		p.accessoryCommand(),
		p.storeCommand(),
		p.runCommand(),
		p.approveCommand(),
		p.pauseCommand(),
		p.unpauseCommand(),
		p.versionCommand(),
	}
}

// fail says what went wrong, on standard error; diagnostics with their source lines.
func (p *program) fail(err error) {
	var diags release.Diagnostics
	switch isDiags := errors.As(err, &diags); {
	case p.flags.json && isDiags:
		_ = p.writeJSON(map[string]any{"schema": schema, "error": "the file has problems", "problems": diags})
	case p.flags.json:
		_ = p.writeJSON(map[string]any{"schema": schema, "error": err.Error()})
	case isDiags:
		p.print(diags)
	default:
		_, _ = fmt.Fprintf(p.err.prose(), "%s %v\n", p.err.in(red, "kamald:"), err)
	}
}

// print shows problems of the file with their source lines, on standard error.
func (p *program) print(diags release.Diagnostics) {
	_ = diags.Print(p.err, p.err.width(), p.err.color)
}

// writeJSON writes a result, which has the schema in it.
func (p *program) writeJSON(v any) error {
	encoder := json.NewEncoder(p.out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(v)
}

// prose is where text goes that may be broken at its spaces: as wide as the terminal, and elsewhere as it is.
func (t *terminal) prose() io.Writer {
	if t.file == nil {
		return t.Writer
	}
	return live.Fold(t.Writer, t.width())
}

func (p *program) printf(format string, args ...any) {
	_, _ = fmt.Fprintf(p.out, format, args...) // a reader that has gone away is no failure of what was done
}

// note says something on standard error that is no result; -q keeps it back.
func (p *program) note(format string, args ...any) { p.remark("note", "", format, args...) }

// warn is a note of what may not be as it was meant.
func (p *program) warn(format string, args ...any) {
	p.remark("warn", p.err.in(yellow, "warning:")+" ", format, args...)
}

// remark is a line on standard error, with --json among the events.
func (p *program) remark(kind, before, format string, args ...any) {
	switch text := fmt.Sprintf(format, args...); {
	case p.flags.quiet:
	case p.flags.json:
		writeEvent(p.err, reconcile.Progress{At: time.Now(), Kind: kind, Message: text})
	default:
		_, _ = fmt.Fprintln(p.err.prose(), before+text)
	}
}
