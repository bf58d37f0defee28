package secrets

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// awsBatch is how many secrets one call gives at most.
const awsBatch = 20

// awsSecret is a secret as `aws secretsmanager batch-get-secret-value` has it.
type awsSecret struct {
	ARN, Name    string
	SecretString *string
}

func awsSecretsManager(ctx context.Context, t *tool, q Query) ([]found, error) {
	var all []found
	for keys := range slices.Chunk(q.Keys, awsBatch) {
		secrets, err := awsGet(ctx, t, q, keys)
		if err != nil {
			return nil, err
		}
		for _, key := range keys {
			i := slices.IndexFunc(secrets, func(s awsSecret) bool { return s.is(prefixed(q.From, key)) })
			if i < 0 {
				return nil, t.lacks("secret "+prefixed(q.From, key), "")
			}
			some, err := secrets[i].values(t, key)
			if err != nil {
				return nil, err
			}
			all = append(all, some...)
		}
	}
	return all, nil
}

func awsGet(ctx context.Context, t *tool, q Query, keys []string) ([]awsSecret, error) {
	args := []string{"secretsmanager", "batch-get-secret-value", "--secret-id-list"}
	for _, key := range keys {
		args = append(args, prefixed(q.From, key))
	}
	if q.Account != "" {
		args = append(args, "--profile", q.Account)
	}
	out, err := t.run(ctx, append(args, "--output", "json")...)
	if err != nil {
		return nil, t.cannot(strings.Join(keys, ", "), err)
	}
	var answer struct {
		SecretValues []awsSecret
		Errors       []struct{ SecretID, ErrorCode, Message string }
	}
	if err := t.decode(out, &answer); err != nil {
		return nil, err
	}
	var refusals []string
	for _, e := range answer.Errors {
		refusals = append(refusals, e.SecretID+": "+e.Message)
	}
	if len(refusals) > 0 {
		return nil, fmt.Errorf("%s: %s", t.title, strings.Join(refusals, "; "))
	}
	return answer.SecretValues, nil
}

// is tells whether the secret goes by an ID: its name, its ARN, or the ARN without the six characters at its end.
func (s awsSecret) is(id string) bool {
	return s.Name == id || s.ARN == id || strings.HasPrefix(s.ARN, id+"-")
}

// values are the fields of a secret that is a JSON object, or the one value of any other.
func (s awsSecret) values(t *tool, asked string) ([]found, error) {
	if s.SecretString == nil {
		return nil, fmt.Errorf("%s: %s is binary; only text can be taken", t.title, asked)
	}
	text := []byte(*s.SecretString)
	if !json.Valid(text) {
		return []found{{s.Name, asked, *s.SecretString}}, nil
	}
	if !bytes.HasPrefix(bytes.TrimSpace(text), []byte("{")) {
		return []found{{s.Name, asked, plainJSON(text)}}, nil
	}
	fields, err := orderedObject(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %s cannot be read", t.title, asked)
	}
	var all []found
	for _, f := range fields {
		all = append(all, found{key: s.Name + "/" + f.name, value: plainJSON(f.value)})
	}
	return all, nil
}
