package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kamald/kamald/state/bolt"
	"github.com/kamald/kamald/state/etcd"
	"github.com/kamald/kamald/state/migrate"
)

// copied is what came of bringing one store into another.
type copied struct {
	source, target place
	byCustom       bool // nobody said which is the source
	moved          []migrate.Moved
	leading        []string // who writes to the source meanwhile
}

func (p *program) storeMigrateCommand() *cobra.Command {
	var from, to string
	cmd := &cobra.Command{
		Use:   "migrate --to STORE",
		Short: "Bring all that the store has into another, empty one",
		Long: "A STORE is a file, or a bastion's file (.hcl) whose store block names a file or a cluster of etcd; without --from it is the store that\n" +
			"other commands use. Both are read at the end, and compared. Neither may have a kamald run. What was interrupted is completed by the\n" +
			"same command; a store that has anything else is left as it is. The old store stays.\n\n" +
			"Of a cluster into a file that is not there yet it is a backup: bastions may go on meanwhile, and what they write later is not in it.",
		Example: "  kamald store migrate --from /var/lib/kamald/state.db --to /etc/kamald/kamald.hcl\n  kamald store migrate --from /etc/kamald/kamald.hcl --to state.db",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return p.migrate(from, to)
		},
	}
	cmd.Flags().StringVar(&from, "from", "", "the `STORE` that has it (default: the one that commands use)")
	cmd.Flags().StringVar(&to, "to", "", "the `STORE` that is to have it")
	_ = cmd.MarkFlagRequired("to") // it is there
	return cmd
}

func (p *program) migrate(from, to string) error {
	source, err := placeOf(cmp.Or(from, p.flags.store))
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
	c := copied{source: source, target: target, byCustom: from == ""}
	into := c.fill
	if _, err := os.Stat(target.file); source.inEtcd() && !target.inEtcd() && errors.Is(err, fs.ErrNotExist) {
		into = c.backUp
	}
	if err := into(); err != nil {
		return err
	}
	return p.showMoved(c)
}

// fill brings one store into the other, while nobody else has either.
func (c *copied) fill() error {
	var stores []storage
	for _, at := range []place{c.source, c.target} {
		store, free, err := at.alone()
		if err != nil {
			return err
		}
		defer free()
		stores = append(stores, store)
	}
	moved, err := migrate.Copy(stores[0], stores[1])
	if errors.Is(err, migrate.ErrOther) {
		return fmt.Errorf("%s is not empty: %w\n  next: name an empty one with --to; nothing was written", c.target, err)
	}
	if err != nil {
		return fmt.Errorf("%w\n  next: the same command completes it", err)
	}
	c.moved = moved
	return nil
}

// backUp brings what a cluster has into a file that is not there yet, and is there when it is whole. Bastions may write meanwhile.
func (c *copied) backUp() error {
	cluster, err := c.source.openCluster()
	if err != nil {
		return err
	}
	defer func() { _ = cluster.Close() }() // it was only read
	if c.leading, err = leaders(cluster); err != nil {
		return err
	}
	_, free, err := c.target.alone()
	if err != nil {
		return err
	}
	defer free()
	half := c.target.file + ".part"
	if err := os.Remove(half); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err // a run that was killed has left it
	}
	store, err := bolt.Open(half)
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(half) }()
	if c.moved, err = migrate.Backup(cluster, store); err != nil {
		return errors.Join(err, store.Close())
	}
	if len(c.moved) == 0 {
		return errors.Join(fmt.Errorf("%s has nothing of kamald's yet: there is nothing to bring to %s", c.source, c.target), store.Close())
	}
	_, err = store.Backup(c.target.file)
	return errors.Join(err, store.Close())
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
	who, err := leaders(cluster)
	if err != nil || len(who) == 0 {
		return err
	}
	return fmt.Errorf("%w, in %s: %s\n  next: end every `kamald run` that has it, then the same command", errAnother, cluster.Name(), strings.Join(who, ", "))
}

// leaders are the bastions that lead, each with what.
func leaders(cluster *etcd.Store) (who []string, err error) {
	leading, err := cluster.Leading()
	for app, name := range leading {
		who = append(who, fmt.Sprintf("%s (%s)", name, app))
	}
	slices.Sort(who)
	return who, err
}

func (p *program) showMoved(c copied) error {
	yes := map[bool]string{true: "yes", false: "no"}
	shown := newTable("APP", "SNAPSHOT", "WATCH", "RELEASES", "PLANS", "EVENTS", "SHA-256")
	notes := "All of it was read again from both, and is the same.\n"
	for _, m := range c.moved {
		shown.row(m.App.String(), yes[m.Snapshot], yes[m.Watch], fmt.Sprint(m.Releases), fmt.Sprint(m.Plans), fmt.Sprint(m.Events), m.Digest[:12])
	}
	for _, m := range c.moved {
		if m.Moving {
			notes += fmt.Sprintf("But %s was written to while it was read: what came meanwhile may be there in part.\n", m.App)
		}
	}
	notes += fmt.Sprintf("%s has it now; %s stays as it is.\n", c.target, c.source)
	if c.byCustom {
		notes += fmt.Sprintf("It was taken from %s because that is the store that commands use here; --from names another.\n", c.source)
	}
	result := map[string]any{"from": c.source.String(), "to": c.target.String(), "apps": c.moved}
	if len(c.leading) > 0 {
		notes += fmt.Sprintf("Led meanwhile by %s: what is written from now on is not in it.\n", strings.Join(c.leading, ", "))
		result["leading"] = c.leading
	}
	return p.tell(result, "%s\n%s", shown, notes)
}
