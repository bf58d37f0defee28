package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"time"
)

// What asking a remote may take: a shallow fetch of a large repository over a slow line, and the name of one commit.
const (
	fetchTimeout = 5 * time.Minute
	tipTimeout   = time.Minute
)

// Errors of a remote; test with errors.Is.
var (
	ErrNoBranch = errors.New("the repository has no such branch")
	ErrEmpty    = errors.New("the repository is empty")
	ErrUnsigned = errors.New("the commit has no trusted signature")
)

// Remote is a branch of a repository that is somewhere else.
type Remote struct {
	URL    string // https://, ssh://, git://, file://, user@host:path or a directory; a password in it is shown to nobody
	Branch string // "": the one that the repository itself has checked out
	Dir    string // keeps copies: a directory in it for each URL and branch
	Signed bool   // only a commit with a trusted signature is taken
	// AllowedSigners is the file of SSH keys that are trusted, in ssh-keygen's form; "": the one that the user's git names. For
	// OpenPGP those in the user's keyring are trusted.
	AllowedSigners string
}

// Tip asks the remote which commit the branch is at, and brings nothing here.
func (r Remote) Tip(ctx context.Context) (sha string, err error) {
	if err := r.check(); err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, tipTimeout)
	defer cancel()
	return r.tip(ctx)
}

// String names the remote in messages, without a password.
func (r Remote) String() string {
	if r.Branch == "" {
		return r.shown()
	}
	return r.shown() + ", branch " + r.Branch
}

func (r Remote) tip(ctx context.Context) (string, error) {
	out, err := r.git(ctx, "ls-remote", "--quiet", origin, r.ref())
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(out) {
		if sha, name, ok := strings.Cut(strings.TrimSpace(line), "\t"); ok && name == r.ref() && commitName.MatchString(sha) {
			return sha, nil
		}
	}
	return "", r.noTip(ctx)
}

// noTip says why the branch is not there.
func (r Remote) noTip(ctx context.Context) error {
	out, err := r.git(ctx, "ls-remote", "--quiet", "--heads", origin)
	if err != nil {
		return err
	}
	var names []string
	for line := range strings.Lines(out) {
		if _, name, ok := strings.Cut(strings.TrimSpace(line), "\trefs/heads/"); ok {
			names = append(names, name)
		}
	}
	switch {
	case len(names) == 0:
		return fmt.Errorf("%s: %w: push a commit to it", r, ErrEmpty)
	case r.Branch == "":
		return fmt.Errorf("%s: %w: it has none checked out; name one of %s", r, ErrNoBranch, few(names))
	}
	return fmt.Errorf("%s: %w: it has %s", r, ErrNoBranch, few(names))
}

// few names some of many.
func few(names []string) string {
	const most = 8
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}

func (r Remote) ref() string {
	if r.Branch == "" {
		return "HEAD"
	}
	return "refs/heads/" + r.Branch
}

var (
	commitName = regexp.MustCompile(`\A[0-9a-f]{40}(?:[0-9a-f]{24})?\z`)
	// notInBranch is what git takes in no branch's name, and what it would take for an option.
	notInBranch = regexp.MustCompile(`\A[-/]|[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{`)
	// helper is a transport of git's that is a program: ext:: runs any command.
	helper = regexp.MustCompile(`\A[A-Za-z0-9+.-]+::`)
	// userinfo is what stands before a host, up to the last @: a password may have one in it.
	userinfo = regexp.MustCompile(`([A-Za-z][A-Za-z0-9+.-]*)://([^/\s]*)@`)
)

// check refuses what git would take for an option or a command.
func (r Remote) check() error {
	switch {
	case r.URL == "" || strings.HasPrefix(r.URL, "-") || strings.ContainsAny(r.URL, "\n\x00"):
		return fmt.Errorf("%q is no address of a repository", redact(r.URL))
	case helper.MatchString(r.URL):
		return fmt.Errorf("%s: git's helpers for other transports are not used: they may run any command", r.shown())
	case notInBranch.MatchString(r.Branch):
		return fmt.Errorf("%s: %q cannot name a branch", r.shown(), r.Branch)
	}
	return nil
}

// shown is the URL without a password, and of HTTP without a user, which may be a token.
func (r Remote) shown() string { return redact(r.URL) }

// redact takes passwords out of addresses in a text.
func redact(text string) string {
	return userinfo.ReplaceAllStringFunc(text, func(found string) string {
		parts := userinfo.FindStringSubmatch(found)
		user, _, _ := strings.Cut(parts[2], ":")
		if strings.HasPrefix(parts[1], "http") || user == "" {
			return parts[1] + "://"
		}
		return parts[1] + "://" + user + "@"
	})
}

// origin is what git calls the remote; its address is in the environment, for what stands in an argument everybody can read.
const origin = "kamald"

// login splits a password off an address of HTTP: git would give it to its helper as an argument.
func (r Remote) login() (address, user, password string) {
	u, err := url.Parse(r.URL)
	if err != nil || u.User == nil || u.Scheme != "http" && u.Scheme != "https" {
		return r.URL, "", ""
	}
	password, given := u.User.Password()
	if !given {
		return r.URL, "", ""
	}
	user, u.User = u.User.Username(), nil
	return u.String(), user, password
}

// environment is what git gets: the way to its settings and keys, the remote's address and login, and what it may not do.
func (r Remote) environment() []string {
	address, user, password := r.login()
	settings := [][2]string{
		{"remote." + origin + ".url", address}, {"core.hooksPath", os.DevNull}, {"core.fsmonitor", "false"}, {"submodule.recurse", "false"},
		{"gc.auto", "0"}, {"maintenance.auto", "false"}, {"fetch.unpackLimit", "1"}, {"advice.detachedHead", "false"},
	}
	if r.AllowedSigners != "" {
		settings = append(settings, [2]string{"gpg.ssh.allowedSignersFile", r.AllowedSigners})
	}
	env := append(environment(), "GIT_ALLOW_PROTOCOL=https:ssh:git:file", "SSH_ASKPASS_REQUIRE=never", "GIT_ASKPASS=")
	if password != "" {
		settings = append(settings, [2]string{"credential.helper", ""}, // which forgets the user's own
			[2]string{"credential.helper", `!f() { printf 'username=%s\npassword=%s\n' "$KAMALD_GIT_USER" "$KAMALD_GIT_PASSWORD"; }; f`})
		env = append(env, "KAMALD_GIT_USER="+user, "KAMALD_GIT_PASSWORD="+password)
	}
	for _, name := range []string{"SSH_AUTH_SOCK", "GIT_SSH_COMMAND", "GNUPGHOME", "GIT_SSL_CAINFO", "SSL_CERT_FILE", "SSL_CERT_DIR",
		"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY"} {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	env = append(env, fmt.Sprintf("GIT_CONFIG_COUNT=%d", len(settings)))
	for i, setting := range settings {
		env = append(env, fmt.Sprintf("GIT_CONFIG_KEY_%d=%s", i, setting[0]), fmt.Sprintf("GIT_CONFIG_VALUE_%d=%s", i, setting[1]))
	}
	return env
}

// git runs git and gives its standard output.
func (r Remote) git(ctx context.Context, args ...string) (string, error) {
	out, _, err := r.both(ctx, nil, args...)
	return out, err
}

// both gives standard output and error, and adds to the environment. The error has what git said, without passwords.
func (r Remote) both(ctx context.Context, extra []string, args ...string) (stdout, stderr string, err error) {
	return r.bothIn(ctx, os.TempDir(), extra, args...) // a directory of no repository
}

// bothIn is both in a directory.
func (r Remote) bothIn(ctx context.Context, dir string, extra []string, args ...string) (stdout, stderr string, err error) {
	var out, said bytes.Buffer
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir = dir
	cmd.Env = append(r.environment(), extra...)
	cmd.Stdout, cmd.Stderr = &out, &said
	cmd.WaitDelay = time.Second
	err = cmd.Run()
	stderr = redact(said.String())
	switch {
	case err == nil:
		return out.String(), stderr, nil
	case errors.Is(err, exec.ErrNotFound):
		return "", "", fmt.Errorf("%s: %w: install it on this machine", r, ErrMissing)
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return "", "", fmt.Errorf("%s: git did not come to an end in time: %w", r, ctx.Err())
	case ctx.Err() != nil:
		return "", "", ctx.Err()
	}
	return out.String(), stderr, fmt.Errorf("%s: %w: %s", r, err, brief(stderr))
}

// brief is what git said, in a line.
func brief(said string) string {
	var lines []string
	for line := range strings.Lines(said) {
		line = strings.TrimSpace(line)
		for _, prefix := range []string{"fatal: ", "error: ", "remote: "} {
			line = strings.TrimPrefix(line, prefix)
		}
		if line != "" && !strings.HasPrefix(line, "hint:") {
			lines = append(lines, line)
		}
	}
	const most = 4
	if len(lines) == 0 {
		return "it says nothing"
	}
	return strings.Join(lines[:min(most, len(lines))], "; ")
}
