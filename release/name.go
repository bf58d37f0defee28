package release

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"unicode"

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
	runDirectory = regexp.MustCompile(`\A[^~\x00-\x1f][^\x00-\x1f]*\z`)
	signalNumber = regexp.MustCompile(`\A(?:[1-9]|[1-5][0-9]|6[0-4])\z`)
	realTime     = regexp.MustCompile(`\ARTMIN(?:\+(?:[1-9]|1[0-5]))?\z|\ARTMAX(?:-(?:[1-9]|1[0-4]))?\z`)
	routeHost    = regexp.MustCompile(`\A(?:\*|(?:\*\.)?[A-Za-z0-9_][A-Za-z0-9._-]*)?\z`)
	routePrefix  = regexp.MustCompile(`\A/[^\s?#]*\z`)

	notInService    = regexp.MustCompile(`[^a-z0-9_-]+`)
	notInRepository = regexp.MustCompile(`[^a-z0-9._-]+`)
	separators      = regexp.MustCompile(`[._-]{2,}`)

	tokenHash = regexp.MustCompile(`\Asha256:[0-9a-f]{64}\z`)
)

// checkName holds the label of a role, host or destination to what container names allow.
func (l *loader) checkName(rng hcl.Range, what, name string) {
	if !roleName.MatchString(name) {
		l.errorf(rng, "Bad name", "%q cannot name %s: letters, digits, - and _, the first a letter or digit.%s", name, withArticle(what), foreignLetter(name))
	}
}

func withArticle(what string) string {
	if strings.ContainsRune("aeiou", rune(what[0])) || what == "ssh" { // which is read letter by letter
		return "an " + what
	}
	return "a " + what
}

// isHost tells a host's name or address; a colon is only an IPv6 address's, for a port has an attribute of its own.
func isHost(text string) bool {
	if !hostName.MatchString(text) {
		return false
	}
	if !strings.ContainsAny(text, ":[]") {
		return true
	}
	_, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(text, "["), "]"))
	return err == nil
}

// signals are Linux's, which the engine knows by name; the real-time ones are counted from their ends.
var signals = strings.Fields("ABRT ALRM BUS CHLD CLD CONT FPE HUP ILL INT IO IOT KILL PIPE POLL PROF PWR QUIT SEGV STKFLT STOP SYS TERM TRAP TSTP TTIN TTOU " +
	"UNUSED URG USR1 USR2 VTALRM WINCH XCPU XFSZ")

// isSignal tells a signal that the engine takes: its name with SIG or without, or its number.
func isSignal(text string) bool {
	name := strings.TrimPrefix(text, "SIG")
	return slices.Contains(signals, name) || realTime.MatchString(name) || signalNumber.MatchString(text)
}

// meantSignal is the end of an error about a signal: one that was probably meant.
func meantSignal(text string) string {
	return didYouMean(strings.TrimPrefix(strings.ToUpper(text), "SIG"), signals)
}

// foreignLetter names the first character that is no ASCII, for one may look like a letter that it is not; "" when all are.
func foreignLetter(text string) string {
	for _, r := range text {
		if r > unicode.MaxASCII {
			return fmt.Sprintf(" Its %#U is none of those, whatever it looks like.", r)
		}
	}
	return ""
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
