package ruby

import (
	"math/big"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// The patterns by which Psych tells what a plain scalar is, in the order in which it asks. They are of YAML 1.1, with what Psych
// has of its own: a float needs a point, "1e3" is text, and y and n are no booleans.
var (
	textual     = regexp.MustCompile(`^[^\d.:-]?[\pL\pM\p{Nl}_\s!@#$%^&*(){}<>|/\\~;=]+`)
	noWord      = regexp.MustCompile(`(?im)^[^ytonf~]`)
	nothing     = regexp.MustCompile(`(?im)^null$`)
	yes         = regexp.MustCompile(`(?im)^(?:yes|true|on)$`)
	no          = regexp.MustCompile(`(?im)^(?:no|false|off)$`)
	timestamp   = regexp.MustCompile(`^(-?\d{4})-(\d{1,2})-(\d{1,2})(?:[Tt]|\s+)(\d{1,2}):(\d\d):(\d\d)(?:\.(\d*))?(?:\s*(Z|[-+]\d{1,2}:?(?:\d\d)?))?$`)
	calendarDay = regexp.MustCompile(`^(\d{4})-(1[012]|0\d|\d)-([12]\d|3[01]|0\d|\d)$`)
	offset      = regexp.MustCompile(`^([-+]\d{1,2})(:?)(\d\d)?$`)
	infinite    = regexp.MustCompile(`(?i)^[-+]?\.inf$`)
	notANumber  = regexp.MustCompile(`(?i)^\.nan$`)
	quotedName  = regexp.MustCompile(`^:(?:"(.*)"|'(.*)')`)
	sixties     = regexp.MustCompile(`^[-+]?[0-9][0-9_]*(?::[0-5]?[0-9]){1,2}$`)
	sixtiesPart = regexp.MustCompile(`^[-+]?[0-9][0-9_]*(?::[0-5]?[0-9]){1,2}\.[0-9_]*$`)
	floating    = regexp.MustCompile(`^[-+]?(?:[0-9][0-9_,]*)?\.[0-9]*(?:[eE][-+][0-9]+)?$`)
	pointAlone  = regexp.MustCompile(`^[-+]?\.$`)
	whole       = regexp.MustCompile(`^[-+]?(?:0b[_,]*[01][01_,]*|0[_,]*[0-7][0-7_,]*|0|[1-9](?:[0-9]|,[0-9]|_[0-9])*|0x[_,]*[0-9a-fA-F][0-9a-fA-F_,]*)$`)
	ungrouped   = strings.NewReplacer("_", "", ",", "")
)

// scalar is what Ruby makes of a plain scalar.
type scalar struct {
	kind   Kind
	text   string // what Ruby prints of it
	symbol bool
}

// scan tells what Psych makes of a plain scalar.
func scan(plain string) scalar {
	if plain == "" {
		return scalar{kind: Null}
	}
	if textual.MatchString(plain) || strings.Contains(plain, "\n") {
		return scanWord(plain)
	}
	if at, ok := scanTime(plain); ok {
		return scalar{kind: String, text: at}
	}
	switch {
	case infinite.MatchString(plain) && plain[0] == '-':
		return scalar{kind: Float, text: "-Infinity"}
	case infinite.MatchString(plain):
		return scalar{kind: Float, text: "Infinity"}
	case notANumber.MatchString(plain):
		return scalar{kind: Float, text: "NaN"}
	case len(plain) > 1 && plain[0] == ':':
		return scalar{kind: String, text: symbolName(plain), symbol: true}
	}
	return scanNumber(plain)
}

func scanWord(plain string) scalar {
	switch {
	case utf8.RuneCountInString(plain) > 5, noWord.MatchString(plain):
	case plain == "~", nothing.MatchString(plain):
		return scalar{kind: Null}
	case yes.MatchString(plain):
		return scalar{kind: Bool, text: "true"}
	case no.MatchString(plain):
		return scalar{kind: Bool, text: "false"}
	}
	return scalar{kind: String, text: plain}
}

func scanNumber(plain string) scalar {
	switch {
	case sixties.MatchString(plain):
		return scalar{kind: Int, text: sexagesimal(plain)}
	case sixtiesPart.MatchString(plain):
		return scalar{kind: Float, text: sexagesimalFloat(plain)}
	case floating.MatchString(plain) && !pointAlone.MatchString(plain):
		if f, err := strconv.ParseFloat(ungrouped.Replace(plain), 64); err == nil || f != 0 {
			return scalar{kind: Float, text: printFloat(f)}
		}
	case whole.MatchString(plain):
		digits := strings.TrimPrefix(ungrouped.Replace(plain), "+")
		if n, ok := new(big.Int).SetString(digits, 0); ok {
			return scalar{kind: Int, text: n.String()}
		}
	}
	return scalar{kind: String, text: plain}
}

func symbolName(plain string) string {
	if m := quotedName.FindStringSubmatch(plain); m != nil {
		return strings.TrimPrefix(m[1]+m[2], ":")
	}
	return strings.TrimPrefix(plain, ":")
}

// sexagesimal adds up as Psych does: the first part counts 3600 even where there are but two.
func sexagesimal(plain string) string {
	sum := new(big.Int)
	for i, part := range strings.Split(plain, ":") {
		n, ok := new(big.Int).SetString(strings.TrimPrefix(ungrouped.Replace(part), "+"), 10)
		if ok {
			sum.Add(sum, n.Mul(n, big.NewInt(sixty[i])))
		}
	}
	return sum.String()
}

func sexagesimalFloat(plain string) string {
	sum := 0.0
	for i, part := range strings.Split(plain, ":") {
		f, _ := strconv.ParseFloat(strings.TrimSuffix(ungrouped.Replace(part), "."), 64)
		sum += f * float64(sixty[i])
	}
	return printFloat(sum)
}

var sixty = [...]int64{3600, 60, 1}

// printFloat prints as Float#to_s does: the shortest digits that read back the same, with an exponent where the number is
// smaller than 0.0001 or has more than 15 digits before its point.
func printFloat(f float64) string {
	switch text := strconv.FormatFloat(f, 'e', -1, 64); text {
	case "+Inf":
		return "Infinity"
	case "-Inf":
		return "-Infinity"
	case "NaN":
		return text
	default:
		mantissa, power, _ := strings.Cut(text, "e")
		exponent, _ := strconv.Atoi(power)
		if f != 0 && (exponent < -4 || exponent >= 15) {
			if !strings.Contains(mantissa, ".") {
				mantissa += ".0"
			}
			return mantissa + "e" + power
		}
	}
	text := strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(text, ".") {
		text += ".0"
	}
	return text
}

// scanTime prints dates and times as Ruby does. A time without a zone is printed in the zone of the machine that runs Kamal, which
// nobody knows here: it is taken as UTC.
func scanTime(plain string) (string, bool) {
	if m := calendarDay.FindStringSubmatch(plain); m != nil {
		year, month, day := number(m[1]), number(m[2]), number(m[3])
		at := time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC)
		return at.Format("2006-01-02"), at.Day() == day && int(at.Month()) == month
	}
	m := timestamp.FindStringSubmatch(plain)
	if m == nil {
		return "", false
	}
	year, month, day, hour, minute, second := number(m[1]), number(m[2]), number(m[3]), number(m[4]), number(m[5]), number(m[6])
	if month < 1 || month > 12 || day < 1 || day > 31 || minute > 59 || second > 60 || hour > 24 || hour == 24 && minute+second > 0 {
		return "", false
	}
	at := time.Date(year, time.Month(month), day, hour, minute, second, 0, time.UTC)
	if m[8] == "Z" {
		return printTime(at) + " UTC", true
	}
	zone := "+0000"
	if o := offset.FindStringSubmatch(m[8]); o != nil {
		minutes := number(o[3])
		if number(o[1]) > 23 || number(o[1]) < -23 || minutes > 59 {
			return "", false
		}
		zone = o[1][:1] + pad(strings.TrimLeft(o[1], "+-")) + pad(o[3])
	}
	return printTime(at) + " " + zone, true
}

func printTime(at time.Time) string { return at.Format("2006-01-02 15:04:05") }

func pad(two string) string { return strings.Repeat("0", 2-len(two)) + two }

// number reads digits that a pattern has let through.
func number(digits string) int {
	n, _ := strconv.Atoi(digits)
	return n
}
