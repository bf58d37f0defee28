package secrets

import (
	"context"
	"fmt"
	"strings"

	"github.com/kamald/kamald/release"
)

// adapter knows one source of secrets.
type adapter struct {
	name    string // as deploy.hcl has it
	title   string // as its vendor writes it
	program string // its vendor's command line; "": none is needed
	install string // where that is to be had
	account string // what one looks like, where every query needs one
	keys    bool   // a query needs them: the source is not asked for all that it has
	// open: a key may stand for several secrets, or for one of another name; which, its answer alone tells.
	open  bool
	fetch func(context.Context, *tool, Query) ([]found, error)
}

// found is one secret of a source.
type found struct {
	key   string // its path as Kamal has it, such as vault/item/field
	asked string // the key that it answers; "": it came along
	value string
}

// adapters are all there are; a function, for a file of secrets may call for another source.
func adapters() []adapter {
	return []adapter{
		{name: "1password", title: "1Password", program: "op", install: "https://developer.1password.com/docs/cli", fetch: onePassword},
		{name: "aws-secrets-manager", title: "AWS Secrets Manager", program: "aws", install: "https://aws.amazon.com/cli", keys: true, open: true, fetch: awsSecretsManager},
		{name: "bitwarden", title: "Bitwarden", program: "bw", install: "https://bitwarden.com/help/cli", account: "you@example.com", keys: true, open: true, fetch: bitwarden},
		{name: "bitwarden-sm", title: "Bitwarden Secrets Manager", program: "bws", install: "https://bitwarden.com/help/secrets-manager-cli", open: true, fetch: bitwardenSM},
		{name: "doppler", title: "Doppler", program: "doppler", install: "https://docs.doppler.com/docs/install-cli", fetch: doppler},
		{name: "enpass", title: "Enpass", program: "enpass-cli", install: "https://github.com/hazcod/enpass-cli", keys: true, open: true, fetch: enpass},
		{name: "gcp-secret-manager", title: "Google Secret Manager", program: "gcloud", install: "https://cloud.google.com/sdk/docs/install", account: "you@example.com, or default", keys: true, fetch: gcpSecretManager},
		{name: "lastpass", title: "LastPass", program: "lpass", install: "https://github.com/lastpass/lastpass-cli", account: "you@example.com", keys: true, fetch: lastPass},
		{name: "passbolt", title: "Passbolt", program: "passbolt", install: "https://github.com/passbolt/go-passbolt-cli", keys: true, fetch: passbolt},
		{name: "age", title: "age", fetch: ageFile},
	}
}

// kamals are Kamal's other names, with - for _.
var kamals = map[string]string{
	"one-password": "1password", "last-pass": "lastpass", "gcp": "gcp-secret-manager", "bitwarden-secrets-manager": "bitwarden-sm",
}

// adapterNamed finds an adapter by kamald's name or one of Kamal's.
func adapterNamed(name string) (*adapter, error) {
	plain := strings.ReplaceAll(strings.ToLower(name), "_", "-")
	if other, ok := kamals[plain]; ok {
		plain = other
	}
	var known []string
	for _, a := range adapters() {
		if a.name == plain {
			return &a, nil
		}
		known = append(known, a.name)
	}
	return nil, fmt.Errorf("there is no secrets adapter %q; there are %s.%s", name, strings.Join(known, ", "), release.DidYouMean(plain, known))
}

// prefixed is a key behind the place that all are in.
func prefixed(from, key string) string {
	if from == "" {
		return key
	}
	return from + "/" + key
}

// cutLast splits a path before its last segment.
func cutLast(path string) (place, name string) {
	if i := strings.LastIndexByte(path, '/'); i >= 0 {
		return path[:i], path[i+1:]
	}
	return "", path
}

func lastSegment(path string) string {
	_, name := cutLast(path)
	return name
}
