package bootstrap

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// scriptURL is Docker's own script of installation.
const scriptURL = "https://get.docker.com"

// scriptEnd is its last line. All that it does is in a function of that name, so that one which is cut short does nothing; but
// one that is cut short is not even begun here.
const scriptEnd = "do_install"

// installByScript fetches the official script whole into a file, and runs it from there.
func (i *Installer) installByScript(ctx context.Context, s *sight, say func(string)) error {
	if !s.there("curl") && !s.there("wget") {
		return fmt.Errorf("there is neither curl nor wget to fetch %s with: install one of them there, or take the distribution's package with --from-distro", scriptURL)
	}
	dir, err := i.workspace(ctx, s)
	if err != nil {
		return err
	}
	script := dir + "/get-docker.sh"
	if err := i.fetch(ctx, s, script, say); err != nil {
		return errors.Join(fmt.Errorf("%w\nnothing was run; next: see that the host reaches %s, or take the distribution's package with --from-distro", err, scriptURL),
			i.clear(ctx, s, dir))
	}
	return i.carry(ctx, s, dir, installLimit, say, "sh", script)
}

// fetch gets the script by one of the programs that are there. What cannot be told to be whole is as good as nothing.
func (i *Installer) fetch(ctx context.Context, s *sight, script string, say func(string)) error {
	ctx, cancel := bound(ctx, downloadLimit, "fetching "+scriptURL)
	defer cancel()
	var errs []error
	for _, argv := range fetchers(s, script) {
		_, complained, err := i.output(ctx, s.as(append(argv, scriptURL)...), "")
		if err == nil {
			err = i.whole(ctx, s, script, complained)
		}
		if err == nil {
			say(fmt.Sprintf("fetched %s by %s", scriptURL, argv[0]))
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		errs = append(errs, fmt.Errorf("%s cannot be fetched by %s: %w", scriptURL, argv[0], err))
	}
	return errors.Join(errs...)
}

// fetchers are the ways to fetch, in their order; the address comes last. A redirect to anything but https is refused where the
// program can do that.
func fetchers(s *sight, script string) [][]string {
	var ways [][]string
	if s.there("curl") {
		ways = append(ways, []string{"curl", "-fsSL", "--proto", "=https", "--connect-timeout", "20", "-o", script})
	}
	switch {
	case s.there("gnu-wget"):
		ways = append(ways, []string{"wget", "-nv", "--tries=2", "--timeout=20", "-O", script})
	case s.there("wget"): // busybox' knows few options
		ways = append(ways, []string{"wget", "-T", "20", "-O", script})
	}
	return ways
}

// whole tells whether the whole script has come. The exit code of what fetched it tells of a length that was promised and not
// kept; where none was promised, a script that ends in the middle has no valid syntax, or not the script's own end.
func (i *Installer) whole(ctx context.Context, s *sight, script, complained string) error {
	if strings.Contains(complained, "certificate validation not implemented") {
		return errors.New("it does not check whom it talks to, and what it brings is to be run as root: install curl there")
	}
	if _, err := i.root(ctx, s, "sh", "-n", script); err != nil {
		return fmt.Errorf("what has come is no whole script: %w", err)
	}
	end, err := i.root(ctx, s, "tail", "-c", "256", script)
	if err != nil {
		return err
	}
	end = strings.TrimRight(end, " \t\r\n")
	if end = end[strings.LastIndexByte(end, '\n')+1:]; end != scriptEnd {
		return fmt.Errorf("what has come is not the whole script: its last line is %q and should be %q", clean(end), scriptEnd)
	}
	return nil
}
