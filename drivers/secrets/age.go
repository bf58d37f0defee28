package secrets

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"filippo.io/age"
	"filippo.io/age/armor"
)

const (
	// ageVariable has the private key, or the name of the file that it is in.
	ageVariable = "AGE_IDENTITY"
	// ageLimit is how large a file of secrets may be, in bytes.
	ageLimit = 4 << 20
)

// ageFile reads a dotenv file that is encrypted with age, binary or armored: all of it, or some keys. Commands in it are not
// run: whoever can encrypt to a public key could otherwise have them run here, unseen.
func ageFile(_ context.Context, t *tool, q Query) ([]found, error) {
	if q.From == "" {
		return nil, errors.New("age: the encrypted file is needed: --from, or file in its fetch block")
	}
	text, err := ageDecrypt(t, q)
	if err != nil {
		return nil, err
	}
	entries, err := parse(q.From, text, t.variable(linebreakMode) == "legacy")
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if slices.ContainsFunc(e.parts, func(p part) bool { return p.kind == command }) {
			return nil, fmt.Errorf("%s:%d: %s: commands in an encrypted file are not run: write the value, in single quotes where it has a $", e.file, e.line, e.key)
		}
	}
	inside := &dotenv{at: t.at, entries: entries}
	keys := q.Keys
	if len(keys) == 0 {
		keys = inside.names()
	}
	var all []found
	for _, key := range keys {
		secret, ok, err := inside.secret(key)
		switch {
		case err != nil:
			return nil, err
		case !ok && inside.unsetBy(key) != "":
			return nil, errors.New(inside.unsetBy(key))
		case !ok:
			return nil, fmt.Errorf("age: there is no %s in %s", key, q.From)
		}
		all = append(all, found{key: key, value: secret.Reveal()})
		if len(q.Keys) > 0 {
			all[len(all)-1].asked = key
		}
	}
	return all, nil
}

func ageDecrypt(t *tool, q Query) (string, error) {
	file, err := os.Open(t.at.path(q.From))
	if err != nil {
		return "", fmt.Errorf("age: open the encrypted file: %w", err)
	}
	defer func() { _ = file.Close() }()
	identities, where, err := ageIdentities(t, q.Identity)
	if err != nil {
		return "", err
	}
	var source io.Reader = bufio.NewReader(file)
	if start, _ := source.(*bufio.Reader).Peek(len(armor.Header)); string(start) == armor.Header {
		source = armor.NewReader(source)
	}
	plain, err := age.Decrypt(source, identities...)
	var none *age.NoIdentityMatchError
	switch {
	case errors.As(err, &none) && slices.Contains(none.StanzaTypes, "scrypt"):
		return "", fmt.Errorf("age: %s is encrypted with a passphrase, which kamald does not ask for: encrypt it to a public key (age -r)", q.From)
	case errors.As(err, &none):
		return "", fmt.Errorf("age: the private key of %s is none that %s is encrypted to: use another identity, or encrypt the file to its public key too", where, q.From)
	case err != nil:
		return "", fmt.Errorf("age: %s cannot be read: it is no age file, or a damaged one", q.From)
	}
	text, err := io.ReadAll(io.LimitReader(plain, ageLimit+1))
	switch {
	case err != nil:
		return "", fmt.Errorf("age: %s cannot be read to its end: it is damaged", q.From)
	case len(text) > ageLimit:
		return "", fmt.Errorf("age: %s is larger than %d bytes: that is no file of secrets", q.From, ageLimit)
	}
	return string(text), nil
}

// ageIdentities finds the private keys: in the named file, in the variable, or in the usual file. where names the place.
func ageIdentities(t *tool, file string) (identities []age.Identity, where string, err error) {
	text := t.variable(ageVariable)
	where = "$" + ageVariable
	if file != "" || !isAgeKey(text) {
		name := cmp.Or(file, text, t.usualIdentity())
		if file != "" || text == "" {
			where = name
		} else {
			where = "the file that $" + ageVariable + " names" // which name is not said: it may be a key that was spoiled
		}
		data, err := os.ReadFile(t.at.path(name))
		if err != nil {
			var reason *fs.PathError
			if errors.As(err, &reason) {
				err = reason.Err
			}
			return nil, "", fmt.Errorf("age: read the private key from %s: %w; it is looked for in identity of the fetch block, in the variable %s (the key, or its file), or in %s", where, err, ageVariable, t.usualIdentity())
		}
		text = string(data)
	}
	if strings.HasPrefix(text, "age-encryption.org/") || strings.HasPrefix(text, armor.Header) {
		return nil, "", fmt.Errorf("age: %s is encrypted itself, and kamald does not ask for its passphrase: decrypt it (age -d), or use another", where)
	}
	identities, err = age.ParseIdentities(strings.NewReader(text))
	if err != nil { // the reason could quote the key
		return nil, "", fmt.Errorf("age: %s has no age private key: such a file has a line AGE-SECRET-KEY-… and is made by `age-keygen`; keys of ssh and of plugins are not read", where)
	}
	return identities, where, nil
}

// isAgeKey tells a key, or the whole file with one, from the name of a file.
func isAgeKey(text string) bool {
	return strings.Contains(text, "AGE-SECRET-KEY-") || strings.ContainsAny(text, "\r\n")
}

// usualIdentity is where the private key is when nothing names it.
func (t *tool) usualIdentity() string {
	config := t.variable("XDG_CONFIG_HOME")
	if config == "" {
		config = "~/.config"
	}
	return config + "/kamald/age.key"
}

// path is a file's, relative to the directory or to the home.
func (at surroundings) path(name string) string {
	if rest, ok := strings.CutPrefix(name, "~/"); ok {
		home, _ := at.env("HOME")
		return filepath.Join(home, rest)
	}
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(at.dir, name)
}
