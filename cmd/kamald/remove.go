package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/release"
)

func (p *program) removeCommand() *cobra.Command {
	var wait, yes, data bool
	cmd := &cobra.Command{
		Use:   "remove",
		Short: "Remove all of this service from its servers; the proxy last, and only where no other app uses it",
		Long: "Takes all of the file's service and destination away from every host: routes, containers, then its accessories, images, secrets,\n" +
			"certificates, release records, its audit file and its lock; then the proxy, where no other app uses it. Other services and destinations\n" +
			"are left as they are, and shared accessories stay. What accessories keep, and volumes, stay without --with-data; directories that lie\n" +
			"elsewhere on the hosts stay in any case. A removal that was interrupted is done again, and goes on from there. A daemon that drives\n" +
			"the app is to be told first.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			desired, err := p.load(cmd.Context(), needsHosts)
			if err != nil {
				return err
			}
			if err := p.refuseDriven(cmd, "remove"); err != nil {
				return err
			}
			var hosts []string
			for _, on := range desired.Hosts {
				hosts = append(hosts, on.Name)
			}
			text := fmt.Sprintf("This removes all of %s from %s, with its release records: there is no rollback after that.", desired.App(), strings.Join(hosts, ", "))
			if data {
				text += " The volumes of its containers are removed, too, with the data in them."
			}
			text += removedBeside(desired, data)
			if err := p.confirm(text, yes); err != nil {
				return err
			}
			return p.changeProxies(cmd.Context(), wait, func(ctx context.Context, s *session) (reconcile.Commanded, error) {
				return s.RemoveService(ctx, s.desired, data)
			})
		},
	}
	f := cmd.Flags()
	f.BoolVarP(&yes, "yes", "y", false, "do not ask")
	f.BoolVar(&data, "with-data", false, "also the volumes that its containers have, and what its accessories keep")
	p.lockWaitFlag(f, &wait)
	return cmd
}

// removedBeside says what becomes of accessories, for whoever is asked.
func removedBeside(desired release.Release, data bool) (text string) {
	var going, shared []string
	var keeps []release.Accessory
	for _, a := range desired.Accessories {
		if a.Shared {
			shared = append(shared, a.Name)
			continue
		}
		going, keeps = append(going, fmt.Sprintf("%s (%s on %s)", a.Name, a.Service, strings.Join(a.Hosts, ", "))), append(keeps, a)
	}
	if len(going) > 0 {
		text = fmt.Sprintf(" %s: %s", counted(len(going), "accessory goes, too", "accessories go, too"), strings.Join(going, "; ")) + keptBeside(keeps, data)
	}
	if len(shared) > 0 {
		text += fmt.Sprintf(" Shared, and staying: %s.", strings.Join(shared, ", "))
	}
	return text
}

// keptBeside says what becomes of what accessories keep: it ends a sentence about their containers.
func keptBeside(accessories []release.Accessory, data bool) string {
	var names []string
	for _, a := range accessories {
		directories, volumes := a.Data()
		for _, directory := range directories {
			names = append(names, strings.TrimPrefix(directory, "./"))
		}
		for _, volume := range volumes {
			names = append(names, "volume "+volume)
		}
	}
	switch {
	case data && len(names) > 0:
		return ", AND THEIR DATA WITH THEM: " + strings.Join(names, ", ") + ". There is no way back but a backup of yours."
	case data:
		return ", with the directories that they have on the hosts."
	case len(names) > 0:
		return "; their data stays: " + strings.Join(names, ", ") + "."
	}
	return "; what they keep stays."
}

// refuseDriven refuses what a daemon of this machine would undo, unless it was told to leave the app alone.
func (p *program) refuseDriven(cmd *cobra.Command, what string) error {
	desired, err := p.load(cmd.Context(), needsHosts)
	if err != nil {
		return err
	}
	r, err := p.daemon(cmd.Context(), desired.App())
	if err != nil || r == nil {
		return err
	}
	defer r.close()
	for _, pause := range r.status.Pauses {
		if pause.Host == "" && pause.Role == "" && pause.Holds(time.Now()) {
			return nil
		}
	}
	return fmt.Errorf("a daemon of this machine drives %s (mode %s), and would bring back what `kamald %s` takes away; nothing was changed\n"+
		"  next: take the app out of kamald.hcl and have the daemon read that (`systemctl reload kamald`), or keep it away with `kamald pause --reason \"%s\"`; then do the same again",
		r.app, r.status.Mode, what, what)
}
