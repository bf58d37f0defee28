package proxy

import (
	"encoding/csv"
	"errors"
	"flag"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"strings"
)

// environment is the process's variables as a value.
type environment map[string]string

func newEnvironment(list []string) environment {
	env := environment{}
	for _, kv := range list {
		if name, value, ok := strings.Cut(kv, "="); ok {
			env[name] = value
		}
	}
	return env
}

// socket is where the running proxy takes commands.
func (e environment) socket() string {
	switch {
	case e["KAMAL_PROXY_SOCKET"] != "":
		return e["KAMAL_PROXY_SOCKET"]
	case e["XDG_RUNTIME_DIR"] != "":
		return filepath.Join(e["XDG_RUNTIME_DIR"], "kamal-proxy.sock")
	}
	return "/tmp/kamal-proxy.sock"
}

// configDir is where kamal-proxy keeps its state; in the container a volume is mounted there.
func (e environment) configDir() string {
	return filepath.Join(e["HOME"], ".config", "kamal-proxy")
}

func (e environment) state() string {
	if path := e["KAMAL_PROXY_STATE"]; path != "" {
		return path
	}
	return filepath.Join(e.configDir(), "kamal-proxy.state")
}

func (e environment) number(name string, otherwise int) (int, error) {
	variable, text := e.lookup(name)
	if text == "" {
		return otherwise, nil
	}
	value, err := strconv.Atoi(text)
	if err != nil {
		return 0, fmt.Errorf("environment variable %s: %q is no number", variable, text)
	}
	return value, nil
}

func (e environment) text(name string) string {
	_, text := e.lookup(name)
	return text
}

func (e environment) truth(name string) (bool, error) {
	variable, text := e.lookup(name)
	if text == "" {
		return false, nil
	}
	value, err := strconv.ParseBool(text)
	if err != nil {
		return false, fmt.Errorf("environment variable %s: %q is neither true nor false", variable, text)
	}
	return value, nil
}

// lookup returns the variable and its full name, which may have the prefix KAMAL_PROXY_. An empty one is not set.
func (e environment) lookup(name string) (variable, text string) {
	if prefixed := "KAMAL_PROXY_" + name; e[prefixed] != "" {
		return prefixed, e[prefixed]
	}
	return name, e[name]
}

// listFlag may be repeated, and holds several values as a line of CSV, as kamal-proxy reads it: a value with a comma is quoted.
type listFlag []string

func (l *listFlag) String() string { return strings.Join(*l, ",") }

func (l *listFlag) Set(text string) error {
	if strings.TrimSpace(text) == "" {
		return nil
	}
	in := csv.NewReader(strings.NewReader(text))
	in.TrimLeadingSpace = true
	parts, err := in.Read()
	if err != nil {
		return fmt.Errorf("%q is no list of values with commas between them; a value with a comma or a quote in it is quoted, as in CSV: %w", text, err)
	}
	for _, part := range parts {
		if part = strings.TrimSpace(part); part != "" {
			*l = append(*l, part)
		}
	}
	return nil
}

// flagSet is a command's flags; they may stand before, after and between the arguments.
type flagSet struct {
	*flag.FlagSet
	args   string // what usage shows after the command's name
	stdout io.Writer
	socket string
}

func (in invocation) newFlagSet(name, args string) *flagSet {
	f := &flagSet{FlagSet: flag.NewFlagSet(name, flag.ContinueOnError), args: args, stdout: in.stdout}
	f.SetOutput(io.Discard)
	f.Usage = func() {}
	f.StringVar(&f.socket, "socket", in.env.socket(), "Control socket of the running proxy")
	return f
}

func (f *flagSet) list(name, help string) *listFlag {
	l := new(listFlag)
	f.Var(l, name, help)
	return l
}

// fence adds the flag by which a writer says how new it is.
func (f *flagSet) fence(into *uint64) {
	f.Uint64Var(into, "fence", 0, "Number of the writer: refused when a higher one has changed the service; 0 is no check")
}

// parse returns the arguments, which must be as many as wanted.
func (f *flagSet) parse(args []string, wanted int) ([]string, error) {
	var positional []string
	for {
		if err := f.Parse(args); err != nil {
			return nil, f.explain(err)
		}
		rest := f.Args()
		if len(rest) == 0 {
			break
		}
		if n := len(args) - len(rest); n > 0 && args[n-1] == "--" {
			positional = append(positional, rest...)
			break
		}
		positional, args = append(positional, rest[0]), rest[1:]
	}
	if len(positional) != wanted {
		return nil, fmt.Errorf("%s accepts %d arg(s), received %d", f.Name(), wanted, len(positional))
	}
	return positional, nil
}

func (f *flagSet) isSet(name string) bool {
	set := false
	f.Visit(func(one *flag.Flag) { set = set || one.Name == name })
	return set
}

func (f *flagSet) explain(err error) error {
	if errors.Is(err, flag.ErrHelp) {
		f.printUsage()
		return err
	}
	if name, ok := strings.CutPrefix(err.Error(), "flag provided but not defined: -"); ok {
		return fmt.Errorf("unknown flag: --%s; run 'kamal-proxy %s --help' for the flags", strings.TrimLeft(name, "-"), f.Name())
	}
	return err
}

func (f *flagSet) printUsage() {
	fmt.Fprintf(f.stdout, "Usage: kamal-proxy %s %s[flags]\n\nFlags:\n", f.Name(), f.args)
	f.VisitAll(func(one *flag.Flag) {
		text := one.Usage
		if one.DefValue != "" && one.DefValue != "false" && one.DefValue != "0" {
			text += " (default " + one.DefValue + ")"
		}
		fmt.Fprintf(f.stdout, "  --%-26s %s\n", one.Name, text)
	})
}
