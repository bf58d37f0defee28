package loop

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// want is what an app is to be, as the source proposes it.
type want struct {
	proposal *Proposal
	broken   error     // why the newest could not be read; the one before holds
	since    time.Time // of broken
	fresh    bool      // it was read in this daemon's life
	choice   *plan.Choice
	version  string // that a policy has chosen
}

// kept is how a proposal is remembered: what is no part of a release goes beside it.
type kept struct {
	Release   release.Release   `json:"release"`
	Reconcile release.Reconcile `json:"reconcile"`
}

// recall takes the proposal that an earlier daemon has read, for as long as the source cannot be.
func (k *keeper) recall() {
	if k.memory.Wanted == nil || len(k.memory.Wanted.Release) == 0 {
		return
	}
	var old kept
	if err := json.Unmarshal(k.memory.Wanted.Release, &old); err != nil {
		return
	}
	old.Release.Reconcile = old.Reconcile
	k.want.proposal = &Proposal{Release: old.Release, From: k.memory.Wanted.From}
	k.proposed = k.want.proposal
}

// read asks the source. The error is for having nothing at all.
func (k *keeper) read(ctx context.Context) error {
	proposal, err := k.set.Source.Read(ctx)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err == nil && proposal.Release.App() != k.app:
		err = fmt.Errorf("it is of %s, and not of %s", proposal.Release.App(), k.app)
	}
	if err != nil {
		if k.want.broken == nil {
			k.want.since = k.l.o.Now()
		}
		k.want.broken = err
		if k.want.proposal == nil {
			return fmt.Errorf("nothing is known of what %s is to be: %w", k.app, err)
		}
		return nil
	}
	if k.want.proposal == nil || release.Digest(k.want.proposal.Release) != release.Digest(proposal.Release) {
		k.tries.reset()
		k.want.version, k.want.choice = "", nil
	}
	k.want.proposal, k.want.broken, k.want.fresh = &proposal, nil, true
	k.mu.Lock()
	defer k.mu.Unlock()
	k.proposed = &proposal
	return nil
}

// wanted is the proposed release, at the version that a policy has chosen, and how it is to be kept.
func (k *keeper) wanted() (release.Release, release.Reconcile) {
	desired := k.want.proposal.Release
	if desired.Version == "" {
		desired.Version = k.want.version
	}
	settings := desired.Reconcile.Lower(k.set.Mode)
	return desired, settings
}

// choose has a policy choose the version, where it is to.
func (k *keeper) choose(ctx context.Context, seen state.Snapshot) error {
	desired := k.want.proposal.Release
	if desired.Version != "" || desired.VersionPolicy == nil {
		return nil
	}
	chosen, choice, err := k.session.Choose(ctx, desired, seen)
	if err != nil {
		return err
	}
	k.want.version, k.want.choice = chosen.Version, choice
	return nil
}

// remember notes the proposal for the next daemon, and for whoever asks.
func (k *keeper) remember(desired release.Release) error {
	digest := release.Digest(desired)
	data, err := json.Marshal(kept{Release: k.want.proposal.Release, Reconcile: k.want.proposal.Release.Reconcile})
	if err != nil {
		return errors.New("the proposal cannot be kept: " + err.Error())
	}
	at, old := k.l.o.Now(), k.memory.Wanted
	if old != nil && old.Digest == digest && old.From == k.want.proposal.From {
		if bytes.Equal(old.Release, data) { // how it is kept is in no digest
			return nil
		}
		at = old.At
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.memory.Wanted = &state.Wanted{Version: desired.Version, Digest: digest, From: k.want.proposal.From, At: at, Release: data}
	k.public.Wanted = withoutRelease(k.memory.Wanted)
	return nil
}
