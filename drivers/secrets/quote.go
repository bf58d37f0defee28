package secrets

import (
	"errors"
	"regexp"
	"strings"

	"github.com/kamald/kamald/release"
)

// bare are values that need no quotes in a dotenv file.
var bare = regexp.MustCompile(`\A[A-Za-z0-9_./:@%+,=-]*\z`)

// Line writes a secret as a line of a dotenv file that reads the same back. The error is of a name or a value that such a file
// cannot hold.
func Line(name string, secret release.Secret) (release.Secret, error) {
	text := secret.Reveal()
	switch {
	case !isName(name):
		return release.Secret{}, errors.New("its name cannot stand in a dotenv file: letters, digits, _ and . can")
	case strings.Contains(text, "\r"):
		return release.Secret{}, errors.New("it has a carriage return, which a dotenv file cannot hold; --json writes it")
	case bare.MatchString(text):
	case !strings.ContainsAny(text, `'\`):
		text = "'" + text + "'"
	default:
		text = `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, `$`, `\$`).Replace(text) + `"`
	}
	return release.NewSecret(name + "=" + text), nil
}
