package secrets

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/kamald/kamald/release"
)

// Extract takes one secret out of what Fetch gave: the one with that key, or the first whose key ends in /NAME. What is no string
// comes as JSON; null is no value. Errors have nothing of the document in them.
func Extract(name, document string) (release.Secret, error) {
	if _, err := orderedObject([]byte(name)); err == nil { // the two are swapped: what would be named is all the secrets
		return release.Secret{}, errors.New("`secrets extract` takes the name first, and then what `kamald secrets fetch` gave: here a JSON object comes first")
	}
	fields, err := orderedObject([]byte(document))
	if err != nil {
		return release.Secret{}, fmt.Errorf("%s cannot be extracted: what it is to be found in is no JSON object, as `kamald secrets fetch` writes it", name)
	}
	var value json.RawMessage
	for _, f := range fields {
		switch {
		case string(f.value) == "null":
		case f.name == name: // of two the later, as a map would have it
			value = f.value
		}
	}
	for _, f := range fields {
		if value == nil && strings.HasSuffix(f.name, "/"+name) && string(f.value) != "null" {
			value = f.value
		}
	}
	if value == nil {
		return release.Secret{}, fmt.Errorf("there is no secret %s in what was fetched: no key is that, or ends in /%s; %s", name, name, keysOf(fields))
	}
	return release.NewSecret(plainJSON(value)), nil
}

// field is one of a JSON object, in its order.
type field struct {
	name  string
	value json.RawMessage
}

var errNoObject = errors.New("no JSON object")

func orderedObject(data []byte) ([]field, error) {
	if !json.Valid(data) || !bytes.HasPrefix(bytes.TrimSpace(data), []byte("{")) {
		return nil, errNoObject
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	if _, err := decoder.Token(); err != nil {
		return nil, errNoObject
	}
	var fields []field
	for decoder.More() {
		name, err := decoder.Token()
		if err != nil {
			return nil, errNoObject
		}
		f := field{name: fmt.Sprint(name)}
		if decoder.Decode(&f.value) != nil {
			return nil, errNoObject
		}
		fields = append(fields, f)
	}
	return fields, nil
}

// plainJSON is a string's text, and anything else in JSON without spaces.
func plainJSON(value []byte) string {
	var text string
	if bytes.HasPrefix(bytes.TrimSpace(value), []byte(`"`)) && json.Unmarshal(value, &text) == nil {
		return text
	}
	var compact bytes.Buffer
	if json.Compact(&compact, value) != nil {
		return string(value)
	}
	return compact.String()
}

func keysOf(fields []field) string {
	if len(fields) == 0 {
		return "it is empty"
	}
	var names []string
	for _, f := range fields {
		names = append(names, f.name)
	}
	return "its keys are " + strings.Join(names, ", ")
}
