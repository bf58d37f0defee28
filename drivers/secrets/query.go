package secrets

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/kamald/kamald/release"
)

// Query says what to fetch, in the words of Kamal's `secrets fetch`.
type Query struct {
	Adapter string // kamald's name or Kamal's
	Account string
	From    string // the vault, item, folder, project or file that the keys are in
	Keys    []string
	// Identity is the file with age's private key, relative to the directory; "" is the usual place.
	Identity string
}

// Fetch asks a source and gives a JSON object of what it has, in one line: keys are paths as Kamal has them. Programs are run
// in dir. Errors name the source and the key, and have no secret in them.
func Fetch(ctx context.Context, dir string, q Query) (release.Secret, error) {
	all, err := fetch(ctx, here(dir), q)
	if err != nil {
		return release.Secret{}, err
	}
	return release.NewSecret(object(all)), nil
}

func fetch(ctx context.Context, at surroundings, q Query) ([]found, error) {
	a, err := adapterNamed(q.Adapter)
	if err != nil {
		return nil, err
	}
	for _, word := range append([]string{q.Account, q.From}, q.Keys...) {
		if strings.HasPrefix(word, "-") { // its program would take it for a flag
			return nil, fmt.Errorf("%s: %q begins with a dash, which no key, account or place does", a.title, word)
		}
		if _, err := orderedObject([]byte(word)); err == nil { // it would be an argument of the vendor's program, for all to see
			return nil, fmt.Errorf("%s: what `secrets fetch` gave is no key: `secrets extract NAME JSON` takes a secret out of it", a.title)
		}
	}
	t, err := newTool(a, at)
	if err == nil {
		err = t.needs(q)
	}
	if err != nil {
		return nil, err
	}
	return a.fetch(ctx, t, q)
}

// object writes what was found in its order. Of two with one key the later counts, in the place of the first.
func object(all []found) string {
	values := map[string]string{}
	var order []string
	for _, f := range all {
		if _, ok := values[f.key]; !ok {
			order = append(order, f.key)
		}
		values[f.key] = f.value
	}
	var b strings.Builder
	for i, key := range order {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(quoteJSON(key) + ":" + quoteJSON(values[key]))
	}
	return "{" + b.String() + "}"
}

func quoteJSON(text string) string {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(text) // a string always encodes
	return strings.TrimSuffix(b.String(), "\n")
}
