package main

import (
	"crypto/rand"
	"encoding/base64"

	"github.com/spf13/cobra"

	"github.com/kamald/kamald/release"
)

// tokenBytes is how much chance a token has.
const tokenBytes = 32

// tokenPrefix tells whoever finds a token, and whatever looks for leaked ones, what it is.
const tokenPrefix = "kamald_"

func (p *program) storeTokenCommand() *cobra.Command {
	var name string
	cmd := &cobra.Command{
		Use:   "token",
		Short: "Make a token with which the daemon is asked over the network",
		Long: "Writes the token, once: it is kept nowhere. Beside it is the block for the bastion's kamald.hcl, which has only its hash and lets\n" +
			"its bearer read; `kamald docs --bastion token` says what else it can be allowed.",
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return p.makeToken(name) },
	}
	cmd.Flags().StringVar(&name, "name", "ci", "what to call it in kamald.hcl")
	return cmd
}

// makeToken shows a new token: that it is shown is all that it is made for.
func (p *program) makeToken(name string) error {
	random := make([]byte, tokenBytes)
	if _, err := rand.Read(random); err != nil {
		return err
	}
	token := tokenPrefix + base64.RawURLEncoding.EncodeToString(random)
	hash := release.HashToken(token)
	if p.flags.json {
		return p.writeJSON(map[string]any{"schema": schema, "name": name, "token": token, "hash": hash, "role": release.RoleRead})
	}
	p.printf("%s\n", token)
	p.note("\nThe token is shown this once. For kamald.hcl:\n\ntoken %s {\n  hash = %s\n  role = %s\n}", release.Quote(name), release.Quote(hash), release.Quote(release.RoleRead))
	return nil
}
