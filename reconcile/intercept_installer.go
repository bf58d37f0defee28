package reconcile

import (
	"context"

	"github.com/kamald/kamald/state"
)

type installer struct {
	caller
	next Installer
}

func (i installer) Look(ctx context.Context) (ground state.Ground, err error) {
	err = i.read(ctx, "Installer.Look", func(ctx context.Context) (err error) { ground, err = i.next.Look(ctx); return })
	return
}

func (i installer) Install(ctx context.Context, fromDistro bool, say func(line string)) error {
	return i.write(ctx, "Installer.Install", func(ctx context.Context) error { return i.next.Install(ctx, fromDistro, say) })
}

func (i installer) Start(ctx context.Context, say func(line string)) error {
	return i.write(ctx, "Installer.Start", func(ctx context.Context) error { return i.next.Start(ctx, say) })
}

func (i installer) Admit(ctx context.Context) error {
	return i.write(ctx, "Installer.Admit", i.next.Admit)
}

func (i installer) Said(ctx context.Context) (lines []string, err error) {
	err = i.read(ctx, "Installer.Said", func(ctx context.Context) (err error) { lines, err = i.next.Said(ctx); return })
	return
}
