package secrets

import (
	"bytes"
	"context"
	"fmt"
	"regexp"
	"strings"
)

// opSession is the variable that `op signin` gives to the shell.
var opSession = regexp.MustCompile(`(OP_SESSION\w*)[= ]"?([^"\s;]+)`)

// opField is a field of an item, as `op item get --format json` has it.
type opField struct {
	ID, Label, Reference string
	Section              struct{ ID, Label string }
	Value                *string
}

// opItem is an item and the fields asked of it.
type opItem struct {
	vault, item string
	fields      []opAsked
}

type opAsked struct{ key, label string }

func onePassword(ctx context.Context, t *tool, q Query) ([]found, error) {
	byToken := t.variable("OP_SERVICE_ACCOUNT_TOKEN") != "" || t.variable("OP_CONNECT_TOKEN") != ""
	if !byToken && q.Account == "" {
		return nil, t.lacksAccount("acme.1password.com")
	}
	items, err := opItems(t, q)
	if err != nil {
		return nil, err
	}
	if !byToken {
		if err := opSignIn(ctx, t, q.Account); err != nil {
			return nil, err
		}
	}
	var all []found
	for _, item := range items {
		some, err := item.read(ctx, t, q.Account)
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	return all, nil
}

// opItems groups the keys by vault and item: one call gives all fields of an item.
func opItems(t *tool, q Query) ([]*opItem, error) {
	from := strings.Trim(strings.TrimPrefix(q.From, "op://"), "/")
	if len(q.Keys) == 0 {
		parts := strings.Split(from, "/")
		if len(parts) != 2 {
			return nil, fmt.Errorf("%s: without keys, from is Vault/Item, not %q", t.title, q.From)
		}
		return []*opItem{{vault: parts[0], item: parts[1]}}, nil
	}
	var items []*opItem
	index := map[string]*opItem{}
	for _, key := range q.Keys {
		parts := strings.Split(strings.TrimPrefix(prefixed(from, key), "op://"), "/")
		if len(parts) < 2 {
			return nil, fmt.Errorf("%s: %q names no item: a path is Vault/Item/field; --from or from gives its beginning", t.title, key)
		}
		label := strings.Join(parts[2:], ".")
		if label == "" {
			label = "password"
		}
		name := parts[0] + "/" + parts[1]
		if index[name] == nil {
			index[name] = &opItem{vault: parts[0], item: parts[1]}
			items = append(items, index[name])
		}
		index[name].fields = append(index[name].fields, opAsked{key, label})
	}
	return items, nil
}

func opSignIn(ctx context.Context, t *tool, account string) error {
	_, err := t.run(ctx, "account", "get", "--account", account)
	if err == nil || !refused(err) {
		return err
	}
	// Not with --raw, as Kamal does: a bare token could go on only as an argument, for all to see.
	out, err := t.ask(ctx, err, "run eval $(op signin --account "+account+") before, or set OP_SERVICE_ACCOUNT_TOKEN", "signin", "--account", account, "--force")
	if err != nil {
		return err
	}
	if match := opSession.FindSubmatch(out); match != nil { // none where the desktop app does it
		t.session = []string{string(match[1]) + "=" + string(match[2])}
	}
	return nil
}

func (i *opItem) read(ctx context.Context, t *tool, account string) ([]found, error) {
	args := []string{"item", "get", i.item, "--vault", i.vault, "--format", "json"}
	if account != "" {
		args = append(args, "--account", account)
	}
	if len(i.fields) > 0 {
		var labels []string
		for _, field := range i.fields {
			labels = append(labels, "label="+field.label)
		}
		args = append(args, "--fields", strings.Join(labels, ","))
	}
	out, err := t.run(ctx, args...)
	if err != nil {
		return nil, t.cannot(i.String(), err)
	}
	fields, err := i.decode(t, out)
	if err != nil {
		return nil, err
	}
	return i.pick(t, fields)
}

func (i *opItem) decode(t *tool, out []byte) (fields []opField, err error) {
	switch {
	case len(i.fields) == 0:
		var whole struct{ Fields []opField }
		err = t.decode(out, &whole)
		fields = whole.Fields
	case bytes.HasPrefix(bytes.TrimSpace(out), []byte("[")):
		err = t.decode(out, &fields)
	default: // of one field it gives no list
		fields = make([]opField, 1)
		err = t.decode(out, &fields[0])
	}
	return fields, err
}

// pick gives every field that has a value, and says which of those asked have none.
func (i *opItem) pick(t *tool, fields []opField) ([]found, error) {
	answers := make([]string, len(fields))
	for _, asked := range i.fields {
		at := -1
		for n, field := range fields {
			if field.Value != nil && (field.is(asked.label) || len(i.fields) == 1 && len(fields) == 1) {
				at = n
				break
			}
		}
		if at < 0 {
			return nil, t.lacks(fmt.Sprintf("field %q with a value", asked.key), " in the item "+i.item+" of the vault "+i.vault)
		}
		answers[at] = asked.key
	}
	var all []found
	for n, field := range fields {
		if field.Value != nil {
			all = append(all, found{key: field.key(i), asked: answers[n], value: *field.Value})
		}
	}
	return all, nil
}

func (i *opItem) String() string {
	var labels []string
	for _, field := range i.fields {
		labels = append(labels, field.key)
	}
	if len(labels) == 0 {
		labels = []string{"the fields"}
	}
	return strings.Join(labels, ", ") + " of the item " + i.item + " in the vault " + i.vault
}

// is tells whether the field goes by a label, with its section's before it or without.
func (f opField) is(label string) bool {
	for _, name := range []string{f.Label, f.ID} {
		for _, full := range []string{name, f.Section.Label + "." + name, f.Section.ID + "." + name} {
			if strings.EqualFold(full, label) {
				return true
			}
		}
	}
	return false
}

// key is the field's path as Kamal has it: its reference, without a password's own name.
func (f opField) key(i *opItem) string {
	path := strings.TrimPrefix(f.Reference, "op://")
	if path == "" {
		path = i.vault + "/" + i.item + "/" + f.Label
	}
	return strings.TrimSuffix(path, "/password")
}
