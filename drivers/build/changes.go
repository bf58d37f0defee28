package build

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/kamald/kamald/release"
)

// Uncommitted names what is in the tree that Open would make, and in no commit: the same changes have the same name, 16 hexadecimal
// digits. It is "" when the tree is the commit's, as a clone and an archive always are, and outside a git repository.
func Uncommitted(ctx context.Context, root string, b release.Build) (string, error) {
	place, err := locate(ctx, root, b)
	if err != nil || place.source != release.SourceDirectory || place.commit == "" {
		return "", err
	}
	return place.repository.uncommitted(ctx, place.commit, place.scope)
}

// emptyTree is git's name of a commit's content when there is nothing in it.
const emptyTree = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"

// changes are what differs from the commit that is checked out, as a person reads it: "M path", "?? path". Scope are paths from the
// top of the work tree; none is all of it.
func (r repository) changes(ctx context.Context, scope []string) ([]string, error) {
	out, err := r.status(ctx, "--porcelain=v1", "normal", scope)
	if err != nil {
		return nil, err
	}
	var changes []string
	for entry := range strings.SplitSeq(out, "\x00") {
		if len(entry) > 3 {
			changes = append(changes, strings.TrimSpace(entry[:2])+" "+printable(entry[3:]))
		}
	}
	return changes, nil
}

// uncommitted names the differences between the files that lie in the work tree and those of a commit, however they came about:
// what is staged and what is not, or was brought back by hand, counts alike.
func (r repository) uncommitted(ctx context.Context, commit string, scope []string) (string, error) {
	differences, err := r.differences(ctx, commit, scope)
	if err != nil || len(differences) == 0 {
		return "", err
	}
	slices.Sort(differences)
	sum := sha256.Sum256([]byte(strings.Join(differences, "\x00")))
	return hex.EncodeToString(sum[:8]), nil
}

// differences are the files that differ from a commit's: mode, git's name of the content, and path. Git's status says where to
// look, and only there files are read; where another commit is checked out by now, what differs between the two is looked at too.
func (r repository) differences(ctx context.Context, commit string, scope []string) ([]string, error) {
	out, err := r.status(ctx, "--porcelain=v2", "all", scope)
	if err != nil {
		return nil, err
	}
	var paths, within []string
	for entry := range strings.SplitSeq(out, "\x00") {
		name, submodule := statusEntry(entry)
		switch {
		case name == "":
		case strings.HasSuffix(name, "/"): // a repository that git does not look into
			within = append(within, strings.TrimSuffix(name, "/"))
		default:
			paths = append(paths, name)
			if submodule {
				within = append(within, name)
			}
		}
	}
	if r.commit != "" && r.commit != commit {
		between := append([]string{"diff-tree", "-r", "--name-only", "-z", "--no-renames", commit, r.commit, "--"}, scope...)
		if out, err = r.command(between...).run(ctx); err != nil {
			return nil, err
		}
		paths = append(paths, strings.FieldsFunc(out, func(c rune) bool { return c == 0 })...)
	}
	found, err := r.compare(ctx, commit, paths)
	if err != nil {
		return nil, err
	}
	for _, name := range within {
		inside, err := r.nested(ctx, name)
		if err != nil {
			return nil, err
		}
		found = append(found, inside...)
	}
	return found, nil
}

// compare reads files into an index of its own over the commit's, and gives what then differs. It writes nothing to the repository.
func (r repository) compare(ctx context.Context, commit string, paths []string) ([]string, error) {
	if len(paths) == 0 {
		return nil, nil
	}
	dir, err := os.MkdirTemp("", "kamald-index-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	var out string
	for _, step := range []struct {
		stdin string
		args  []string
	}{
		{args: []string{"read-tree", commit}},
		{args: []string{"update-index", "--add", "--remove", "--replace", "--info-only", "-z", "--stdin"}, stdin: strings.Join(paths, "\x00") + "\x00"},
		{args: []string{"diff-index", "--cached", "--raw", "-z", "--no-abbrev", "--no-renames", commit}},
	} {
		call := r.command(step.args...)
		call.env, call.stdin = []string{"GIT_INDEX_FILE=" + filepath.Join(dir, "index")}, step.stdin
		if out, err = call.run(ctx); err != nil {
			return nil, err
		}
	}
	var found []string
	fields := strings.Split(out, "\x00") // :oldmode newmode oldname newname status, path, and so on
	for i := 0; i+1 < len(fields); i += 2 {
		about := strings.Fields(fields[i])
		if len(about) != 5 {
			return nil, fmt.Errorf("git diff-index in %s: %q cannot be read", r.work, fields[i])
		}
		found = append(found, about[1]+" "+about[3]+" "+fields[i+1])
	}
	return found, nil
}

// nested gives what a repository inside this one has besides its own commit.
func (r repository) nested(ctx context.Context, at string) ([]string, error) {
	sub, prefix, err := findRepository(ctx, filepath.Join(r.work, filepath.FromSlash(at)))
	if err != nil || prefix != "" {
		return nil, err
	}
	commit := cmp.Or(sub.commit, emptyTree)
	inside, err := sub.differences(ctx, commit, nil)
	found := []string{"160000 " + commit + " " + at}
	for _, difference := range inside {
		about, name, _ := cutLast(difference)
		found = append(found, about+" "+path.Join(at, name))
	}
	return found, err
}

// cutLast parts a difference into what it says of a file and the file.
func cutLast(difference string) (about, name string, ok bool) {
	fields := strings.SplitN(difference, " ", 3)
	if len(fields) < 3 {
		return "", difference, false
	}
	return fields[0] + " " + fields[1], fields[2], true
}

func (r repository) status(ctx context.Context, format, untracked string, scope []string) (string, error) {
	args := []string{"status", format, "-z", "--no-renames", "--untracked-files=" + untracked, "--ignore-submodules=none", "--"}
	return r.command(append(args, scope...)...).run(ctx)
}

// statusEntry reads an entry of the second porcelain format: the path, and whether it is a submodule with changes of its own.
func statusEntry(entry string) (name string, submodule bool) {
	kind, rest, _ := strings.Cut(entry, " ")
	before := map[string]int{"1": 8, "u": 10, "?": 1}[kind] // fields before the path
	fields := strings.SplitN(rest, " ", before)
	if before == 0 || len(fields) < before {
		return "", false
	}
	if before == 1 {
		return fields[0], false
	}
	about := fields[1] // S, C or ., M or ., U or .
	return fields[before-1], strings.HasPrefix(about, "S") && strings.ContainsAny(about, "MU")
}

// printable is a path as a line on a terminal can have it.
func printable(name string) string {
	if quoted := strconv.Quote(name); quoted != `"`+name+`"` {
		return quoted
	}
	return name
}
