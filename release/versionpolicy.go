package release

import (
	"cmp"
	"regexp"
	"strings"

	hashicorp "github.com/hashicorp/go-version"
	"golang.org/x/mod/semver"
)

// VersionPolicy chooses the version among an image's tags, in place of the file: the newest that fits. Exactly one of its fields
// is set.
type VersionPolicy struct {
	Semver  string `json:"semver,omitempty"`  // a range of semantic versions, in Terraform's words: `~> 2.1`
	Pattern string `json:"pattern,omitempty"` // a regular expression (RE2)
}

// String is the policy as a person would name it.
func (p VersionPolicy) String() string {
	if p.Pattern != "" {
		return "/" + p.Pattern + "/"
	}
	return p.Semver
}

// TagOrder is a policy that is ready to be asked: which tags fit, and which of two is newer.
type TagOrder interface {
	// Fits tells whether the policy may choose a tag.
	Fits(tag string) bool
	// Compare is below 0 when a is older than b, above 0 when it is newer, and 0 when the two say the same. Both must fit.
	Compare(a, b string) int
}

// Order makes a policy ready. The error says what is wrong with its range or its pattern.
func (p VersionPolicy) Order() (TagOrder, error) {
	if p.Pattern != "" {
		pattern, err := regexp.Compile(p.Pattern)
		return patternOrder{pattern}, err
	}
	parts, err := hashicorp.NewConstraint(p.Semver)
	return semverOrder(parts), err
}

// notVersions are tags that name no version of their own: latest, which kamald moves itself, and what signers and scanners lay
// beside an image under its digest.
var notVersions = regexp.MustCompile(`^(latest|latest-.*|sha256-[0-9a-f]{64}.*)$`)

// semverOrder is a range: every part of it must hold.
type semverOrder hashicorp.Constraints

// Fits takes whole versions only, with or without a v: 2.1 and 2 are names that move from one version to the next, and a number
// such as a date is none. A prerelease fits where the range names one of the same version.
func (o semverOrder) Fits(tag string) bool {
	canonical := canonicalVersion(tag)
	if canonical == "" || notVersions.MatchString(tag) {
		return false
	}
	version, err := hashicorp.NewSemver(canonical)
	if err != nil {
		return false // a number that is too large
	}
	named := version.Prerelease() == ""
	for _, part := range o {
		asked := version
		if version.Prerelease() != "" && !part.Prerelease() {
			asked = version.Core() // the part says nothing of prereleases: another one must
		}
		if !part.Check(asked) {
			return false
		}
		named = named || part.Prerelease()
	}
	return named
}

// Compare goes by the versions: 2.1.3 and v2.1.3 are the same.
func (o semverOrder) Compare(a, b string) int {
	return semver.Compare(canonicalVersion(a), canonicalVersion(b))
}

// canonicalVersion is a tag as a whole semantic version, "v" before it; "" when it is none.
func canonicalVersion(tag string) string {
	version := "v" + strings.TrimPrefix(tag, "v")
	if !semver.IsValid(version) || semver.Canonical(version) != version { // it fills in what is not written
		return ""
	}
	return version
}

// patternOrder is a regular expression.
type patternOrder struct{ pattern *regexp.Regexp }

// Fits takes what the expression matches somewhere.
func (o patternOrder) Fits(tag string) bool {
	return o.pattern.MatchString(tag) && !notVersions.MatchString(tag)
}

// Compare goes by the part that the expression matches, then by the whole tag: numbers as numbers, the rest as text.
func (o patternOrder) Compare(a, b string) int {
	return cmp.Or(compareNatural(o.pattern.FindString(a), o.pattern.FindString(b)), compareNatural(a, b))
}

// compareNatural compares runs of digits by the numbers that they write, and all else byte by byte.
func compareNatural(a, b string) int {
	for a != "" && b != "" {
		digitsA, restA := leadingDigits(a)
		digitsB, restB := leadingDigits(b)
		if digitsA == "" || digitsB == "" {
			if a[0] != b[0] {
				return cmp.Compare(a[0], b[0])
			}
			a, b = a[1:], b[1:]
			continue
		}
		x, y := strings.TrimLeft(digitsA, "0"), strings.TrimLeft(digitsB, "0")
		if c := cmp.Or(cmp.Compare(len(x), len(y)), strings.Compare(x, y)); c != 0 {
			return c
		}
		a, b = restA, restB
	}
	return cmp.Compare(len(a), len(b))
}

func leadingDigits(s string) (digits, rest string) {
	n := len(s) - len(strings.TrimLeft(s, "0123456789"))
	return s[:n], s[n:]
}

// openEnded is a part such as `~> 2`, whose only number may rise: it fits 3.0.0 too.
var openEnded = regexp.MustCompile(`~>\s*v?\d+\s*(,|$)`)

func (c *compiler) compileVersionPolicy() {
	b := c.root.child("version_policy")
	if b == nil {
		return
	}
	if v := c.root.get("version"); v.set() {
		c.errorf(b.rng, "Two versions", "version_policy chooses the version in place of version: give one of the two. --version and `kamald release VERSION` win over both.")
	}
	ranged, pattern := b.get("semver"), b.get("pattern")
	if ranged.set() == pattern.set() {
		c.errorf(b.rng, "Which versions", "version_policy has either semver, a range such as \"~> 2.1\", or pattern, a regular expression such as \"^main-[0-9]{14}-\".")
		return
	}
	if !ranged.isKnown() || !pattern.isKnown() {
		return
	}
	policy := VersionPolicy{Semver: ranged.text(), Pattern: pattern.text()}
	_, err := policy.Order()
	switch {
	case pattern.set() && policy.Pattern == "":
		c.errorf(pattern.rng, "Bad pattern", "An empty pattern matches every tag: say which are meant, such as \"^main-[0-9]{14}-\".")
	case pattern.set() && err != nil:
		c.errorf(pattern.rng, "Bad pattern", "%q is no regular expression (RE2): %s.", policy.Pattern, patternError(err))
	case err != nil:
		c.errorf(ranged.rng, "Bad range", "%q is no range of versions: parts with =, !=, >, >=, <, <= or ~>, and commas between them, such as \"~> 2.1\" (2.1.0 and above, below 3.0.0) or \">= 2.1.0, < 2.4.0\".", policy.Semver)
	case openEnded.MatchString(policy.Semver):
		c.warnf(ranged.rng, "Wide range", "~> lets the last number that is written rise: %q has no upper end. ~> N.0 stays below the next major version.", policy.Semver)
	}
	c.rel.VersionPolicy = &policy
}

// patternError is what is wrong with an expression.
func patternError(err error) string {
	return strings.TrimPrefix(err.Error(), "error parsing regexp: ")
}
