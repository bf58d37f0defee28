package git

import (
	"context"
	"errors"
	"os/exec"
	"path"
	"strings"
)

// Project gives the owner and the name of the project that dir is a clone of, as the address of its remote has them: that of
// origin, else of the first. A remote that is a directory has no owner. Both are "" when there is no remote. Nothing else of the
// address comes out: it may hold a password.
func Project(ctx context.Context, dir string) (owner, name string, err error) {
	out, err := run(ctx, dir, "remote")
	if err != nil {
		return "", "", err
	}
	remotes := strings.Fields(out)
	if len(remotes) == 0 {
		return "", "", nil
	}
	remote := remotes[0]
	for _, r := range remotes {
		if r == "origin" {
			remote = r
		}
	}
	address, err := run(ctx, dir, "config", "--get", "remote."+remote+".url")
	if err != nil {
		return "", "", errors.New("git knows no address of the remote " + remote)
	}
	owner, name = projectOf(strings.TrimSpace(address))
	return owner, name, nil
}

func projectOf(address string) (owner, name string) {
	address = strings.TrimSuffix(strings.TrimRight(address, "/"), ".git")
	scheme, rest, isURL := strings.Cut(address, "://")
	host, after, scp := strings.Cut(address, ":")
	switch {
	case isURL && scheme != "file":
		_, address, _ = strings.Cut(rest, "/")
	case !isURL && scp && !strings.Contains(host, "/"):
		address = after
	default:
		return "", path.Base(address)
	}
	owner, name = path.Split(strings.Trim(address, "/"))
	return strings.Trim(owner, "/"), name
}

// Ignored tells whether git leaves a file in dir out of commits.
func Ignored(ctx context.Context, dir, file string) (bool, error) {
	_, err := run(ctx, dir, "check-ignore", "--quiet", file)
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 1 {
		return false, nil
	}
	return err == nil, err
}
