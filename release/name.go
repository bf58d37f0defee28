package release

import (
	"regexp"
	"strings"

	"github.com/hashicorp/hcl/v2"
)

// What names may look like. Container names are made of service, role and destination, so docker's rule bounds them all.
var (
	serviceName  = regexp.MustCompile(`\A[A-Za-z0-9][A-Za-z0-9_-]*\z`)
	roleName     = regexp.MustCompile(`\A[A-Za-z0-9][A-Za-z0-9_-]*\z`)
	hostName     = regexp.MustCompile(`\A[A-Za-z0-9_\[:][A-Za-z0-9._:\[\]%-]*\z`)
	variableName = regexp.MustCompile(`\A[A-Za-z_][A-Za-z0-9_.-]*\z`)
	repository   = regexp.MustCompile(`\A[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*\z`)
	imageTag     = regexp.MustCompile(`\A[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}\z`)
	volumeName   = regexp.MustCompile(`\A[A-Za-z0-9][A-Za-z0-9_.-]*\z`)
	volumeMode   = regexp.MustCompile(`\A(?:ro|rw|z|Z|cached|consistent|delegated|nocopy|r?shared|r?slave|r?private)(?:,(?:ro|rw|z|Z|cached|consistent|delegated|nocopy|r?shared|r?slave|r?private))*\z`)
	fingerprint  = regexp.MustCompile(`\ASHA256:[A-Za-z0-9+/]{43}\z`)
	jumpHost     = regexp.MustCompile(`\A(?:[^@\s:/]+@)?[A-Za-z0-9._-]+(?::[0-9]{1,5})?\z`)
	httpCheck    = regexp.MustCompile(`\A[A-Za-z0-9._-]*:[0-9]{1,5}/\S*\z`)
	signalName   = regexp.MustCompile(`\A(?:(?:SIG)?[A-Z][A-Z0-9+-]*|[0-9]{1,2})\z`)

	notInService    = regexp.MustCompile(`[^a-z0-9_-]+`)
	notInRepository = regexp.MustCompile(`[^a-z0-9._-]+`)
	separators      = regexp.MustCompile(`[._-]{2,}`)

	tokenHash = regexp.MustCompile(`\Asha256:[0-9a-f]{64}\z`)
)

// checkName holds the label of a role, host or destination to what container names allow.
func (l *loader) checkName(rng hcl.Range, what, name string) {
	if !roleName.MatchString(name) {
		l.errorf(rng, "Bad name", "%q cannot name %s: letters, digits, - and _, the first a letter or digit.", name, withArticle(what))
	}
}

func withArticle(what string) string {
	if strings.ContainsRune("aeiou", rune(what[0])) {
		return "an " + what
	}
	return "a " + what
}

// ServiceNameFrom makes a service's name of any text: what a name cannot have becomes "-". It is "" when nothing remains.
func ServiceNameFrom(text string) string {
	return strings.TrimLeft(strings.TrimRight(notInService.ReplaceAllString(strings.ToLower(text), "-"), "-"), "-_")
}

// RepositoryFrom makes an image's repository of any text, as ServiceNameFrom does.
func RepositoryFrom(text string) string {
	if repository.MatchString(text) {
		return text
	}
	var parts []string
	for part := range strings.SplitSeq(strings.ToLower(text), "/") {
		if part = strings.Trim(separators.ReplaceAllString(notInRepository.ReplaceAllString(part, "-"), "-"), "._-"); part != "" {
			parts = append(parts, part)
		}
	}
	return strings.Join(parts, "/")
}
