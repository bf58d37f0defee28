package git

import (
	"context"
	"fmt"
	"regexp"
	"strings"
)

// What verifying a commit prints of a good signature by a key that is trusted.
var (
	goodSSH = regexp.MustCompile(`(?m)^Good "git" signature for (\S+) with `)
	goodPGP = regexp.MustCompile(`(?m)^\[GNUPG:\] GOODSIG \S+ (.+)$`)
	never   = regexp.MustCompile(`(?m)^\[GNUPG:\] TRUST_NEVER\b`)
)

// verify gives who signed the commit; the error says why it is not trusted. Git's word alone is not enough: of an SSH key that nobody
// allows it says that the signature is good, too.
func (c cached) verify(ctx context.Context, sha string) (signer string, err error) {
	_, said, err := c.both(ctx, nil, "--git-dir", c.repository(), "verify-commit", "--raw", sha)
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	if err == nil && !never.MatchString(said) {
		for _, good := range []*regexp.Regexp{goodSSH, goodPGP} {
			if found := good.FindStringSubmatch(said); found != nil {
				return found[1], nil
			}
		}
	}
	return "", fmt.Errorf("%s, commit %s: %w: %s", c, sha[:shortDigits], ErrUnsigned, distrust(said))
}

// distrust says in words why a signature does not count.
func distrust(said string) string {
	has := func(part string) bool { return strings.Contains(said, part) }
	switch {
	case strings.TrimSpace(said) == "":
		return "it is not signed"
	case has("allowedSignersFile needs to be configured"):
		return "it is signed with an SSH key, and no file says whose are trusted: set gpg.ssh.allowedSignersFile for the user that kamald runs as"
	case has("No principal matched") || has("no principal matched"):
		return "its SSH key is not among those that are allowed"
	case has("NO_PUBKEY"):
		return "its key is not in the keyring of the user that kamald runs as"
	case has("EXPKEYSIG") || has("EXPSIG"):
		return "its key or the signature has expired"
	case has("REVKEYSIG"):
		return "its key was revoked"
	case has("BADSIG") || has("Could not verify signature") || has("incorrect signature"):
		return "the signature does not fit the commit"
	case never.MatchString(said):
		return "its key is marked as never to be trusted"
	}
	return brief(said)
}
