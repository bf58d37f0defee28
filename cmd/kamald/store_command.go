package main

import (
	"errors"
	"os"

	"github.com/spf13/cobra"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/state"
	"github.com/kamald/kamald/state/bolt"
)

func (p *program) storeCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "store", Short: "Where kamald remembers what it saw and did", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	cmd.AddCommand(p.storeBackupCommand(), p.storeRestoreCommand(), p.storeCheckCommand(), p.storeCompactCommand(), p.storeMigrateCommand(), p.storeTokenCommand())
	return cmd
}

func (p *program) storeBackupCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "backup FILE",
		Short: "Write all that the store has into a file",
		Long: "The file has the store as it is at one moment, and is checked; other commands can read meanwhile. FILE is replaced when it is there,\n" +
			"and left as it was when something fails.",
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			return p.withFile("backup", inEtcdBackup, func(store *bolt.Store, path string) error {
				size, err := store.Backup(args[0])
				if err != nil {
					return err
				}
				return p.tell(map[string]any{"store": path, "backup": args[0], "bytes": size}, "Backed up %s to %s: %s.\n", path, args[0], plan.Size(size))
			})
		},
	}
}

func (p *program) storeRestoreCommand() *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use:   "restore FILE",
		Short: "Put a backup in the store's place",
		Long: "The backup is checked first. A store that is there is replaced with --force only, and kept beside as STORE.before-TIME.\n" +
			"It is refused while another process has the store, such as a running kamald run.",
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			return p.withFile("restore", "`etcdctl snapshot restore` is of the cluster; `kamald store migrate --from FILE --to KAMALD.HCL` fills an empty one", func(_ *bolt.Store, path string) error {
				beside, err := bolt.Restore(path, args[0], force)
				if err != nil {
					return err
				}
				result := map[string]any{"store": path, "backup": args[0]}
				if beside == "" {
					return p.tell(result, "Restored %s from %s.\n", path, args[0])
				}
				result["before"] = beside
				return p.tell(result, "Restored %s from %s. What was there is %s.\n", path, args[0], beside)
			})
		},
	}
	cmd.Flags().BoolVar(&force, "force", false, "also where there is a store")
	return cmd
}

func (p *program) storeCheckCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "check",
		Short: "Read all of the store, and say whether it is whole",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return p.checkStore()
		},
	}
}

// checkStore reads all of the store.
func (p *program) checkStore() error {
	at, err := p.storePlace()
	if err != nil {
		return err
	}
	store, err := at.open()
	if err != nil {
		return err
	}
	defer func() { _ = store.Close() }() // it was only read
	if err := store.Check(); err != nil {
		return err
	}
	apps, err := store.Apps()
	if err != nil {
		return err
	}
	result := map[string]any{"store": at.String(), "whole": true, "apps": append([]state.App{}, apps...)}
	if at.inEtcd() {
		return p.tell(result, "%s is whole: %s.\n", at, counted(len(apps), "app", "apps"))
	}
	result["bytes"] = 0
	info, err := os.Stat(at.file)
	if errors.Is(err, os.ErrNotExist) {
		return p.tell(result, "There is no store at %s: nothing was kept there yet.\n", at)
	} else if err != nil {
		return err
	}
	result["bytes"] = info.Size()
	return p.tell(result, "%s is whole: %s, %s.\n", at, plan.Size(info.Size()), counted(len(apps), "app", "apps"))
}

func (p *program) storeCompactCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "compact",
		Short: "Write the store anew, without what is free in it",
		Long: "What is no longer kept leaves room in the file, which is used again; the file does not shrink by itself. The new file is checked\n" +
			"before it takes the place of the old one; its disk must have room for both. It is refused while a kamald run has the store.",
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return p.withFile("compact", "compaction is the cluster's: etcd's --auto-compaction-retention, and `etcdctl defrag`", func(store *bolt.Store, path string) error {
				before, after, err := store.Compact()
				if err != nil {
					return err
				}
				return p.tell(map[string]any{"store": path, "bytes_before": before, "bytes_after": after}, "%s: %s before, %s now.\n", path, plan.Size(before), plan.Size(after))
			})
		},
	}
}

const inEtcdBackup = "`etcdctl snapshot save FILE` backs up the cluster, `kamald store migrate --from KAMALD.HCL --to FILE` what kamald keeps there"

// withFile opens the store, which must be in a file, and closes it.
func (p *program) withFile(command, instead string, do func(store *bolt.Store, path string) error) error {
	at, err := p.storePlace()
	if err != nil {
		return err
	}
	if at.inEtcd() {
		return errNoFile(at, command, instead)
	}
	store, err := bolt.Open(at.file)
	if err != nil {
		return err
	}
	return errors.Join(do(store, at.file), store.Close())
}

// tell writes a result: as JSON, with the schema put into it, or as text.
func (p *program) tell(result map[string]any, format string, args ...any) error {
	if p.flags.json {
		result["schema"] = schema
		return p.writeJSON(result)
	}
	if !p.flags.quiet {
		p.printf(format, args...)
	}
	return nil
}
