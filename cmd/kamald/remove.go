package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kamald/kamald/reconcile"
)

func (p *program) removeCommand() *cobra.Command {
	var wait, yes, data bool
	cmd := &cobra.Command{
		Use:   "remove",
		Short: "Remove all of this service from its servers; the proxy last, and only where no other app uses it",
		Long: "Takes all of the file's service and destination away from every host: routes, containers, images, secrets, certificates, release records,\n" +
			"its audit file and its lock; then the proxy, where no other app uses it. Other services and destinations are left as they are.\n" +
			"Volumes stay without --with-data; directories of the hosts stay in any case. A removal that was interrupted is done again, and goes\n" +
			"on from there. Accessories stay: `kamald accessory remove all` is for them. A daemon that drives the app is to be told first.",
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
			if n := len(desired.Accessories); n > 0 {
				text += fmt.Sprintf(" %s with what they keep: `kamald accessory remove all` takes them away.", counted(n, "accessory stays", "accessories stay"))
			}
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
	f.BoolVar(&data, "with-data", false, "also the volumes that its containers have, and the data in them")
	p.lockWaitFlag(f, &wait)
	return cmd
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
