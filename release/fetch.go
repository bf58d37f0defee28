package release

import "strings"

// Fetch is a password manager, a cloud's store or an encrypted file that secrets are taken from.
type Fetch struct {
	Source  string   `json:"source"` // as the vocabulary has it: 1password, age, …
	Account string   `json:"account,omitempty"`
	From    string   `json:"from,omitempty"`
	Keys    []string `json:"keys,omitempty"` // see FetchName; empty: all that there is
	// File and Identity are of age: the encrypted file and the private key's, relative to the file's directory.
	File     string `json:"file,omitempty"`
	Identity string `json:"identity,omitempty"`
}

// String names the block in messages.
func (f Fetch) String() string {
	text := "fetch \"" + f.Source + "\""
	var of []string
	for _, part := range []string{f.Account, f.From, f.File} {
		if part != "" {
			of = append(of, part)
		}
	}
	if len(of) > 0 {
		text += " (" + strings.Join(of, ", ") + ")"
	}
	return text
}

// Name gives a key's secret and what the source knows it by: the key's last segment, or what stands before the = in
// NAME=path. A version at the end of a path is no name.
func (f Fetch) Name(key string) (name, source string) {
	if name, source, ok := strings.Cut(key, "="); ok && variableName.MatchString(name) {
		return name, source
	}
	parts := strings.Split(strings.Trim(key, "/"), "/")
	if f.Source == sourceGCP && f.From != "" {
		return parts[0], key // secret/version
	}
	if f.Source == sourceGCP && len(parts) > 1 {
		return parts[1], key // project/secret/version
	}
	return parts[len(parts)-1], key
}
