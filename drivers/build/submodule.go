package build

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// module is a submodule as .gitmodules has it.
type module struct{ name, url, update string }

// modules reads .gitmodules of a commit, by path. The repository's own settings win over the addresses in it, as they do for git.
func (r repository) modules(ctx context.Context, commit string) (map[string]module, error) {
	blob := commit + ":.gitmodules"
	if _, err := r.command("cat-file", "-e", blob).run(ctx); err != nil {
		if ctx.Err() != nil {
			return nil, err
		}
		return nil, nil
	}
	settings, err := r.command("config", "--blob", blob, "--null", "--list").run(ctx)
	if err != nil {
		return nil, fmt.Errorf(".gitmodules of %s cannot be read: %w", short(commit), err)
	}
	own, err := r.command("config", "--null", "--list").run(ctx)
	if err != nil {
		return nil, err
	}
	paths, byName := map[string]string{}, map[string]module{}
	for i, text := range []string{settings, own} {
		for entry := range strings.SplitSeq(text, "\x00") {
			key, value, _ := strings.Cut(entry, "\n")
			rest, ok := strings.CutPrefix(key, "submodule.")
			dot := strings.LastIndexByte(rest, '.')
			if !ok || dot < 0 {
				continue
			}
			name := rest[:dot]
			m := byName[name]
			m.name = name
			switch rest[dot+1:] {
			case "path":
				if i == 0 {
					paths[name] = value
				}
			case "url":
				m.url = value
			case "update":
				m.update = value
			}
			byName[name] = m
		}
	}
	modules := map[string]module{}
	for name, at := range paths {
		modules[at] = byName[name]
	}
	return modules, nil
}

// submodule gives the repository that has a submodule's commit: the one that is checked out in the work tree, else one that git
// has kept, else one that is fetched. nil means that there is none and that git would leave the directory empty too.
func (c checkout) submodule(ctx context.Context, from repository, link gitlink, m module) (*repository, error) {
	for _, candidate := range from.checkedOut(ctx, link, m) {
		if candidate.has(ctx, link.commit) {
			return &candidate, nil
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if m.url == "" || m.update == "none" {
		return nil, nil
	}
	address, err := from.resolve(ctx, m.url)
	if err != nil {
		return nil, err
	}
	fetched, err := c.fetch(ctx, address, link.commit)
	if err != nil {
		return nil, fmt.Errorf("commit %s is not on this machine, and cannot be fetched: %w; run `git submodule update --init --recursive` in %s",
			short(link.commit), err, from.work)
	}
	return &fetched, nil
}

// checkedOut are the places on this machine where a submodule's repository may lie.
func (r repository) checkedOut(ctx context.Context, link gitlink, m module) []repository {
	var found []repository
	if r.work != "" {
		work := filepath.Join(r.work, filepath.FromSlash(link.path))
		// Without a .git of its own the directory would be taken for one of the repository around it.
		if _, err := os.Lstat(filepath.Join(work, ".git")); err == nil {
			if sub, at, err := findRepository(ctx, work); err == nil && at == "" {
				found = append(found, sub)
			}
		}
	}
	if m.name == "" || !filepath.IsLocal(filepath.FromSlash(m.name)) {
		return found
	}
	kept, err := r.command("rev-parse", "--git-path", "modules/"+m.name).run(ctx)
	if err != nil {
		return found
	}
	dir := strings.TrimSuffix(kept, "\n")
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(r.work, dir)
	}
	if _, err := os.Stat(filepath.Join(dir, "HEAD")); err == nil {
		found = append(found, repository{git: dir})
	}
	return found
}

// resolve makes an address whole that is relative to that of the repository's remote, as git does: to origin's, and without one to
// the repository itself.
func (r repository) resolve(ctx context.Context, address string) (string, error) {
	if !strings.HasPrefix(address, "./") && !strings.HasPrefix(address, "../") {
		return address, nil
	}
	base := r.address
	if base == "" {
		out, err := r.command("config", "--get", "remote.origin.url").run(ctx)
		if base = strings.TrimSuffix(out, "\n"); err != nil || base == "" {
			base = r.work
		}
	}
	base = strings.TrimRight(base, "/")
	for {
		if rest, ok := strings.CutPrefix(address, "./"); ok {
			address = rest
			continue
		}
		rest, ok := strings.CutPrefix(address, "../")
		if !ok {
			return base + "/" + address, nil
		}
		address = rest
		cut := strings.LastIndexAny(base, "/:")
		if cut < 0 {
			return "", fmt.Errorf("its address %s leads above that of the repository", address)
		}
		if base[cut] == ':' { // host:path: what follows the host stays apart from it by the colon
			return base[:cut] + ":" + path.Clean(address), nil
		}
		base = base[:cut]
	}
}

// fetchError is a submodule that cannot be fetched: making the clone anew would not help.
type fetchError struct{ error }

func (e fetchError) Unwrap() error { return e.error }

// fetch brings a commit here from an address that .gitmodules gives, into a repository that is kept with the checkout. One that is
// broken is thrown away and made again once.
func (c checkout) fetch(ctx context.Context, address, commit string) (repository, error) {
	r := repository{git: filepath.Join(c.kept, "module-"+digest(address)), address: address}
	if r.has(ctx, commit) {
		return r, nil
	}
	_, missing := os.Lstat(r.git)
	err := r.fetch(ctx, commit)
	if err != nil && missing == nil && ctx.Err() == nil {
		if err := os.RemoveAll(r.git); err != nil {
			return repository{}, err
		}
		err = r.fetch(ctx, commit)
	}
	if err != nil {
		return repository{}, fetchError{fmt.Errorf("%s: %w", withoutPassword(address), withheld(err, address))}
	}
	return r, nil
}

func (r repository) fetch(ctx context.Context, commit string) error {
	if _, err := (command{args: []string{"init", "--quiet", "--bare", r.git}}).run(ctx); err != nil {
		return err
	}
	// git refuses a path on this machine as a submodule's address unless the user allows it: what is asked for here is one
	// commit by its name, which .gitmodules cannot point at anything else. The address may hold a password, and so is no argument.
	fetch := func(args ...string) error {
		call := r.command(append([]string{"-c", "protocol.file.allow=always", "fetch", "--quiet", "--no-tags", "--no-write-fetch-head"}, args...)...)
		call.env = []string{"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=remote.origin.url", "GIT_CONFIG_VALUE_0=" + r.address}
		_, err := call.run(ctx)
		return err
	}
	err := fetch("--depth=1", "origin", commit)
	if err != nil && ctx.Err() == nil { // not every server gives a commit by its name
		err = fetch("origin", "+refs/*:refs/fetched/*")
	}
	if err == nil && !r.has(ctx, commit) {
		return errors.New("the commit is not there")
	}
	return err
}

// withheld is an error without the password of an address.
func withheld(err error, address string) error {
	if shown := withoutPassword(address); shown != address {
		return errors.New(strings.ReplaceAll(err.Error(), address, shown))
	}
	return err
}

func withoutPassword(address string) string {
	if u, err := url.Parse(address); err == nil && u.User != nil && u.Host != "" {
		u.User = nil
		return u.String()
	}
	return address
}

// digest names a file by something that cannot stand in a name.
func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:8])
}

func short(commit string) string { return commit[:min(7, len(commit))] }
