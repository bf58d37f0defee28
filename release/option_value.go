package release

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/docker/go-units"
)

const maxInt = math.MaxInt64

func readText(s string) (string, error) {
	if s == "" {
		return "", errors.New("is empty")
	}
	return s, nil
}

func readBool(s string) (string, error) {
	if s != "true" && s != "false" {
		return "", fmt.Errorf("is true or false, not %q", s)
	}
	return s, nil
}

// readFlag is false for docker when it is not given, so that false is left out.
func readFlag(s string) ([]string, error) {
	if _, err := readBool(s); err != nil || s == "false" {
		return nil, err
	}
	return []string{s}, nil
}

func readSize(s string) (string, error) {
	n, err := units.RAMInBytes(s)
	if err != nil || n < 0 || strings.ContainsAny(s, "eExXpPnN_") && !regularSize.MatchString(s) {
		return "", fmt.Errorf("is a size such as \"512m\" or \"2g\", not %q", s)
	}
	return strconv.FormatInt(n, 10), nil
}

// regularSize has a petabyte's p and nothing of what ParseFloat reads besides: exponents, hexadecimals, infinities.
var regularSize = regexp.MustCompile(`\A[0-9.]+ ?[pP](?:[iI]?[bB])?\z`)

func readSwap(s string) (string, error) {
	if s == "-1" {
		return s, nil
	}
	canonical, err := readSize(s)
	if err != nil {
		return "", fmt.Errorf("%w; -1 is no limit", err)
	}
	return canonical, nil
}

// whole is a whole number between two.
func whole(least, most int64) func(string) (string, error) {
	return func(s string) (string, error) {
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil || n < least || n > most {
			return "", fmt.Errorf("is a whole number%s, not %q", bounds(least, most), s)
		}
		return strconv.FormatInt(n, 10), nil
	}
}

func bounds(least, most int64) string {
	if most == maxInt {
		return fmt.Sprintf(" from %d", least)
	}
	return fmt.Sprintf(" from %d to %d", least, most)
}

// readSwappiness leaves -1 out, which is what docker sends when nothing is given.
func readSwappiness(s string) ([]string, error) {
	if s == "-1" {
		return nil, nil
	}
	return alone(whole(0, 100))(s)
}

// wholeOrZero is a whole number between two, or 0, which takes the setting away.
func wholeOrZero(least, most int64) func(string) (string, error) {
	inner := whole(least, most)
	return func(s string) (string, error) {
		if s == "0" {
			return s, nil
		}
		canonical, err := inner(s)
		if err != nil {
			return "", fmt.Errorf("is 0, or a whole number%s, not %q", bounds(least, most), s)
		}
		return canonical, nil
	}
}

// readQuota is microseconds a period; the kernel takes no less than a millisecond. 0 and less is no quota.
func readQuota(s string) (string, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n > 0 && n < 1000 {
		return "", fmt.Errorf("is a number of microseconds from 1000, not %q", s)
	}
	return strconv.FormatInt(n, 10), nil
}

// readPids has one form for no limit; 0 is what docker sends when nothing is given.
func readPids(s string) ([]string, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	switch {
	case err != nil || n < -1:
		return nil, fmt.Errorf("is a number of processes, or -1 for no limit, not %q", s)
	case n == 0:
		return nil, nil
	}
	return []string{strconv.FormatInt(n, 10)}, nil
}

var (
	cpuCount = regexp.MustCompile(`\A[0-9]{0,6}(?:\.[0-9]{1,9})?\z`)
	nanoCPU  = regexp.MustCompile(`\A[1-9][0-9]{7,14}\z`)
	cpuSet   = regexp.MustCompile(`\A[0-9]+(?:-[0-9]+)?(?:,[0-9]+(?:-[0-9]+)?)*\z`)
)

// nanoCPUs writes a number of CPUs as billionths, which is what the engine keeps. The least share that a kernel gives is a
// hundredth: so a whole number of eight digits and more is billionths already.
func nanoCPUs(s string) (string, error) {
	if nanoCPU.MatchString(s) {
		return s, nil
	}
	n, ok := new(big.Rat).SetString(s)
	if !cpuCount.MatchString(s) || !ok || n.Cmp(big.NewRat(1, 100)) < 0 {
		return "", fmt.Errorf("is a number of CPUs from 0.01, such as 2 or 0.5, not %q", s)
	}
	n.Mul(n, big.NewRat(1_000_000_000, 1))
	return n.Num().String(), nil
}

func readCPUSet(s string) (string, error) {
	if !cpuSet.MatchString(s) {
		return "", fmt.Errorf("is a list such as \"0-3\" or \"0,2\", not %q", s)
	}
	return s, nil
}

func readUlimit(s string) (string, error) {
	limit, err := units.ParseUlimit(s)
	if err != nil {
		return "", fmt.Errorf("is name=soft[:hard], such as \"nofile=1024:2048\", not %q: %w", s, err)
	}
	return limit.String(), nil
}

// readInterval is docker's duration: nothing, or at least a millisecond.
func readInterval(s string) (string, error) {
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 || d > 0 && d < time.Millisecond {
		hint := ""
		if _, number := strconv.Atoi(s); number == nil {
			hint = fmt.Sprintf(" Did you mean \"%ss\"?", s)
		}
		return "", fmt.Errorf("is a duration of a millisecond and more, such as \"30s\", not %q.%s", s, hint)
	}
	return d.String(), nil
}

// mode is one of a few words; one that ends in ":" takes a name after it.
func mode(words ...string) func(string) (string, error) {
	return func(s string) (string, error) {
		for _, word := range words {
			if s == word && !strings.HasSuffix(word, ":") || strings.HasSuffix(word, ":") && strings.HasPrefix(s, word) && len(s) > len(word) {
				return s, nil
			}
		}
		shown := slices.Clone(words)
		for i, word := range shown {
			if strings.HasSuffix(word, ":") {
				shown[i] = word + "NAME"
			}
		}
		return "", fmt.Errorf("is %s, not %q", strings.Join(shown, ", "), s)
	}
}

// readIsolation takes the only way that engines on Linux have, which is the same as none.
func readIsolation(s string) (string, error) {
	if s != "default" {
		return "", fmt.Errorf("is default on Linux, not %q: the others are for engines on Windows", s)
	}
	return s, nil
}

// readPair is NAME=value.
func readPair(s string) (string, error) {
	if name, _, found := strings.Cut(s, "="); !found || name == "" {
		return "", fmt.Errorf("is NAME=value, not %q", s)
	}
	return s, nil
}

// before is what of a value stands before a separator.
func before(separator string) func(string) string {
	return func(s string) string {
		first, _, _ := strings.Cut(s, separator)
		return first
	}
}

var userName = regexp.MustCompile(`\A[^:\s]+(?::[^:\s]+)?\z|\A:[^:\s]+\z`)

func readUser(s string) (string, error) {
	if !userName.MatchString(s) {
		return "", fmt.Errorf("is name or number, with :group or not, such as \"1000:1000\", not %q", s)
	}
	return s, nil
}

func readDirectory(s string) (string, error) {
	if !strings.HasPrefix(s, "/") {
		return "", fmt.Errorf("is an absolute path in the container, not %q", s)
	}
	return path.Clean(s), nil
}

func readHostname(s string) (string, error) {
	if s == "" || len(s) > 63 || strings.ContainsAny(s, " \t\r\n/:") {
		return "", fmt.Errorf("is a host name of at most 63 letters, not %q", s)
	}
	return s, nil
}

var platform = regexp.MustCompile(`\Alinux(?:/[a-z0-9_]+(?:/[a-z0-9_]+)?)?\z`)

func readPlatform(s string) (string, error) {
	if !platform.MatchString(s) {
		return "", fmt.Errorf("is linux/ARCHITECTURE[/VARIANT], such as \"linux/arm64\", not %q", s)
	}
	return s, nil
}
