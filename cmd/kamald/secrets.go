package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/kamald/kamald/drivers/secrets"
)

// extractLimit is how much JSON is read from standard input, in bytes.
const extractLimit = 16 << 20

func (p *program) secretsCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "secrets", Short: "Secrets on this machine: fetch, extract and print them", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	cmd.AddCommand(p.secretsFetchCommand(), p.secretsExtractCommand(), p.secretsPrintCommand())
	return cmd
}

func (p *program) secretsFetchCommand() *cobra.Command {
	var q secrets.Query
	cmd := &cobra.Command{
		Use:   "fetch --adapter ADAPTER [NAME]...",
		Short: "Fetch secrets from a password manager, as a JSON object",
		Long: "Writes a JSON object of the values in clear, in one line; its keys are paths such as Vault/Item/NAME.\n" +
			"Adapters are 1password, aws-secrets-manager, bitwarden, bitwarden-sm, doppler, enpass, gcp-secret-manager, lastpass, passbolt,\n" +
			"and age (--from is the encrypted file); Kamal's names for them, too.",
		RunE: func(cmd *cobra.Command, args []string) error {
			if q.Adapter == "" {
				return errors.New("`kamald secrets fetch` needs --adapter, such as --adapter 1password; `kamald secrets fetch --help` lists them")
			}
			q.Keys = args
			object, err := secrets.Fetch(cmd.Context(), filepath.Dir(p.flags.file), q)
			if err == nil {
				p.printf("%s\n", object.Reveal())
			}
			return err
		},
	}
	cmd.Flags().StringVarP(&q.Adapter, "adapter", "a", "", "where to fetch from")
	cmd.Flags().StringVar(&q.Account, "account", "", "the account there")
	cmd.Flags().StringVar(&q.From, "from", "", "the vault, item, folder, project or file that the names are in")
	cmd.Flags().StringVar(&q.Identity, "identity", "", "the `file` with age's private key")
	return inline(cmd)
}

func (p *program) secretsExtractCommand() *cobra.Command {
	return inline(&cobra.Command{
		Use:   "extract NAME JSON|-",
		Short: "Take one secret out of what `secrets fetch` gave",
		Long: "Writes the value in clear: of the key NAME, or else of the first key that ends in /NAME.\n" +
			"With - the JSON is read from standard input: arguments can be seen by every user of the machine.",
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			document := args[1]
			if document == "-" {
				data, err := io.ReadAll(io.LimitReader(cmd.InOrStdin(), extractLimit))
				if err != nil {
					return fmt.Errorf("read the JSON: %w", err)
				}
				document = string(data)
			}
			secret, err := secrets.Extract(args[0], document)
			if err == nil {
				p.printf("%s\n", secret.Reveal())
			}
			return err
		},
	})
}

// inline takes the flag with which Kamal calls itself.
func inline(cmd *cobra.Command) *cobra.Command {
	cmd.Flags().Bool("inline", false, "")
	_ = cmd.Flags().MarkHidden("inline") // the flag is there
	return cmd
}

func (p *program) secretsPrintCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "print",
		Short: "Print every secret that the file can look up, in clear",
		Long:  "Writes KEY=VALUE, quoted so that a dotenv file would read the same back. What cannot be looked up is named on standard error (exit code 1).",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return p.printSecrets(cmd.Context()) },
	}
}

func (p *program) printSecrets(ctx context.Context) error {
	desired, err := p.load(ctx, needsHosts)
	if err != nil {
		return err
	}
	found, err := secrets.Load(filepath.Dir(p.flags.file), desired.SecretFiles, desired.SecretFetches, nil)
	if err != nil {
		return err
	}
	all, failed := found.All()
	if p.flags.json {
		failed = append(failed, p.secretsJSON(all, failed))
	} else {
		for _, one := range all {
			line, err := secrets.Line(one.Name, one.Secret)
			if err != nil {
				failed = append(failed, fmt.Errorf("%s: %w", one.Name, err))
				continue
			}
			p.printf("%s\n", line.Reveal())
		}
	}
	err = errors.Join(failed...)
	if err != nil && p.flags.json {
		return &exit{code: exitError, cause: err} // the JSON has said it
	}
	if err == nil && len(all) == 0 {
		p.note("No secrets: %s has no fetch block, and of its secrets files none has one.", p.flags.file)
	}
	return err
}

func (p *program) secretsJSON(all []secrets.Named, failed []error) error {
	values, problems := map[string]string{}, []string{}
	for _, one := range all {
		values[one.Name] = one.Secret.Reveal()
	}
	for _, err := range failed {
		problems = append(problems, err.Error())
	}
	return p.writeJSON(map[string]any{"schema": schema, "secrets": values, "failed": problems})
}
