package release

import (
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
)

// The sources that differ from the others in what they take.
const (
	sourceAge = "age"
	sourceGCP = "gcp-secret-manager"
)

// ofAge are the settings of a fetch block that only age has.
var ofAge = []string{"file", "identity"}

// needsKeys are the sources that cannot give all that there is.
var needsKeys = []string{"aws-secrets-manager", "bitwarden", "enpass", sourceGCP, "lastpass", "passbolt"}

// compileSecrets finds the secrets files and the fetch blocks. Kamal's files are taken where kamald's own are not named and none
// of them is there; all are named where none of either is, for whoever looks for a secret.
func (c *compiler) compileSecrets() {
	files := []string{".kamald/secrets", ".kamald/secrets." + c.view.name}
	b := c.root.child("secrets")
	v := b.get("files")
	if v.set() {
		files = v.strings()
	}
	files = slices.DeleteFunc(slices.Clone(files), func(name string) bool { return strings.HasSuffix(name, ".") })
	if !v.set() && !c.lenient && !slices.ContainsFunc(files, c.exists) {
		kamals := []string{".kamal/secrets-common", ".kamal/secrets"}
		if c.view.name != "" {
			kamals[1] += "." + c.view.name
		}
		if slices.ContainsFunc(kamals, c.exists) {
			files = nil
		}
		files = append(files, kamals...)
	}
	c.rel.SecretFiles = append([]string{}, files...)
	if b == nil {
		return
	}
	for _, fetch := range b.blocks {
		f := Fetch{Source: fetch.label, Account: fetch.get("account").text(), From: fetch.get("from").text(),
			Keys: fetch.get("keys").strings(), File: fetch.get("file").text(), Identity: fetch.get("identity").text()}
		c.checkFetch(fetch)
		c.checkFetchKeys(fetch, f)
		c.rel.SecretFetches = append(c.rel.SecretFetches, f)
	}
}

func (c *compiler) checkFetch(b *block) {
	others := ofAge
	if b.label == sourceAge {
		others = []string{"account", "from"}
	}
	for _, name := range others {
		if v := b.get(name); v.set() {
			c.errorf(v.rng, "Not of this source", "%s has no %s; %s.", b.title(), name, fetchTakes(b.label))
		}
	}
	if v := b.get("identity"); v.set() && strings.Contains(v.text(), "AGE-SECRET-KEY-") {
		c.conceal(v.rng)
		c.errorf(v.rng, "Secret written out", "identity is the file with the private key, not the key itself: put the key there, or into the variable AGE_IDENTITY.")
	}
	lacks := func(name string) bool { return !b.get(name).set() }
	switch {
	case b.label == sourceAge && lacks("file"):
		c.errorf(b.rng, "Incomplete fetch", "%s needs file, the encrypted dotenv file.", b.title())
	case b.label == "enpass" && lacks("from"):
		c.errorf(b.rng, "Incomplete fetch", "%s needs from, the vault's directory.", b.title())
	case slices.Contains(needsKeys, b.label) && lacks("keys"):
		c.errorf(b.rng, "Incomplete fetch", "%s needs keys, the secrets to fetch: this source is not asked for all that it has.", b.title())
	case b.label == "1password" && lacks("keys") && lacks("from"):
		c.errorf(b.rng, "Incomplete fetch", "%s needs keys, or from = \"Vault/Item\" for every field of an item.", b.title())
	}
}

func fetchTakes(source string) string {
	if source == sourceAge {
		return "it takes file, identity and keys"
	}
	return "it takes account, from and keys"
}

func (c *compiler) checkFetchKeys(b *block, f Fetch) {
	first := map[string]hcl.Range{}
	for _, item := range b.get("keys").items() {
		name, key := f.Name(item.s)
		earlier, twice := first[name]
		switch {
		case strings.Trim(key, "/") == "" || strings.HasPrefix(key, "-"):
			c.errorf(item.rng, "Bad key", "%q is no key: a field's name or a path, such as \"Section/password\", or NAME=path.", item.s)
		case twice:
			c.errorf(item.rng, "Key listed twice", "%q is the secret %s too, as is the key in line %d; give one of them another name, as in OTHER_NAME=%s.", item.s, name, earlier.Start.Line, key)
		default:
			first[name] = item.rng
		}
	}
}
