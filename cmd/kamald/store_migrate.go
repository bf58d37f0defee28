package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kamald/kamald/state/etcd"
	"github.com/kamald/kamald/state/migrate"
)

func (p *program) storeMigrateCommand() *cobra.Command {
	var from, to string
	cmd := &cobra.Command{
		Use:   "migrate --to STORE",
		Short: "Bring all that the store has into another, empty one",
		Long: "A STORE is a file, or a bastion's file (.hcl) whose store block names a file or a cluster of etcd; without --from it is the store that\n" +
			"other commands use. Both are read at the end, and compared. Neither may have a kamald run. What was interrupted is completed by the\n" +
			"same command; a store that has anything else is left as it is. The old store stays.",
		Example: "  kamald store migrate --from /var/lib/kamald/state.db --to /etc/kamald/kamald.hcl\n  kamald store migrate --from /etc/kamald/kamald.hcl --to state.db",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if from == "" {
				from = p.flags.store
			}
			return p.migrate(from, to)
		},
	}
	cmd.Flags().StringVar(&from, "from", "", "the `STORE` that has it (default: the one that commands use)")
	cmd.Flags().StringVar(&to, "to", "", "the `STORE` that is to have it")
	_ = cmd.MarkFlagRequired("to") // it is there
	return cmd
}

func (p *program) migrate(from, to string) (err error) {
	source, err := placeOf(from)
	if err != nil {
		return err
	}
	target, err := placeOf(to)
	if err != nil {
		return err
	}
	if source.String() == target.String() {
		return fmt.Errorf("%s is both stores: name another with --from or --to", source)
	}
	if _, err := os.Stat(source.file); !source.inEtcd() && err != nil {
		return fmt.Errorf("there is no store at %s to bring anywhere: %w", source, err)
	}
	var stores []storage
	for _, at := range []place{source, target} {
		store, free, err := at.alone()
		if err != nil {
			return err
		}
		defer free()
		stores = append(stores, store)
	}
	moved, err := migrate.Copy(stores[0], stores[1])
	if errors.Is(err, migrate.ErrOther) {
		return fmt.Errorf("%s is not empty: %w\n  next: name an empty one with --to; nothing was written", target, err)
	}
	if err != nil {
		return fmt.Errorf("%w\n  next: the same command completes it", err)
	}
	return p.showMoved(source, target, moved)
}

// alone opens a store that no daemon has, and keeps one away from a file meanwhile.
func (p place) alone() (store storage, free func(), err error) {
	if p.inEtcd() {
		cluster, err := p.openCluster()
		if err != nil {
			return nil, nil, err
		}
		if err := nobodyLeads(cluster); err != nil {
			return nil, nil, errors.Join(err, cluster.Close())
		}
		return cluster, func() { _ = cluster.Close() }, nil
	}
	if err := os.MkdirAll(filepath.Dir(p.file), 0o700); err != nil {
		return nil, nil, err
	}
	lock, err := lockFile(p.file + ".lock")
	if err != nil {
		return nil, nil, err
	}
	if store, err = p.open(); err != nil {
		return nil, nil, errors.Join(err, lock.Close())
	}
	return store, func() { _ = errors.Join(store.Close(), lock.Close()) }, nil
}

func nobodyLeads(cluster *etcd.Store) error {
	leading, err := cluster.Leading()
	if err != nil {
		return err
	}
	var who []string
	for app, name := range leading {
		who = append(who, fmt.Sprintf("%s (%s)", name, app))
	}
	if len(who) == 0 {
		return nil
	}
	slices.Sort(who)
	return fmt.Errorf("%w, in %s: %s\n  next: end every `kamald run` that has it, then the same command", errAnother, cluster.Name(), strings.Join(who, ", "))
}

func (p *program) showMoved(source, target place, moved []migrate.Moved) error {
	yes := map[bool]string{true: "yes", false: "no"}
	shown := newTable("APP", "SNAPSHOT", "WATCH", "RELEASES", "PLANS", "EVENTS", "SHA-256")
	for _, m := range moved {
		shown.row(m.App.String(), yes[m.Snapshot], yes[m.Watch], fmt.Sprint(m.Releases), fmt.Sprint(m.Plans), fmt.Sprint(m.Events), m.Digest[:12])
	}
	return p.tell(map[string]any{"from": source.String(), "to": target.String(), "apps": moved},
		"%s\nAll of it was read again from both, and is the same.\n%s has it now; %s stays as it is.\n", shown, target, source)
}
