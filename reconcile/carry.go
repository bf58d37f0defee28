package reconcile

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/state"
)

const (
	carryAttempts = 5                // when the line is cut: for about as long as the lease lasts without it
	carryPause    = time.Second      // before the second, and twice as long before each further one
	stageBytes    = 8 << 20          // see Controller.StageBytes
	bytesEvery    = time.Second      // between two words about what is under way
	imagesAtOnce  = 8                // inspected on a host
	imagesAtMost  = 200              // of a host that are looked at, the newest
	carriedLabel  = "kamald.carried" // of layers that wait for the rest of their image
)

// carry gets the pinned image from this machine's own engine to a host: only the layers that the host lacks, over a connection
// of their own. What has arrived stays, when the line is cut: the next attempt, of this run or a later one, goes on behind it.
func (r *run) carry(ctx context.Context, conn *Connection, s plan.Step) error {
	leave, err := r.cargo.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	image, err := r.cargo.look(ctx)
	if err != nil {
		return err
	}
	seen, _ := r.seen.Host(s.Host)
	if seen.Engine.Containerd != r.cargo.whole {
		return asError(mixedStores(s.Host, r.cargo.whole))
	}
	stood := false
	for attempt, pause := 1, carryPause; ; attempt, pause = attempt+1, 2*pause {
		if attempt > 1 {
			conn, err = r.connection(ctx, s.Host)
		}
		if err == nil {
			err = r.carryOnce(ctx, conn, s, image)
		}
		again := cutOff(err) || standsStill(err) && !stood
		if err == nil || !again || attempt == carryAttempts || ctx.Err() != nil || errors.Is(err, ErrLeaseLost) {
			return err
		}
		stood = stood || standsStill(err)
		r.sayAgain(s, err, pause, attempt+1)
		if err := sleep(ctx, pause); err != nil {
			return err
		}
	}
}

// sayAgain tells that an image is on its way to a host once more.
func (r *run) sayAgain(s plan.Step, err error, pause time.Duration, attempt int) {
	happened, how := "the connection was lost on the way", "going on behind what has arrived"
	if standsStill(err) {
		happened = "nothing moved any more on the way"
	}
	if r.cargo.whole {
		how = "sending it again from the beginning"
	}
	r.c.report(Progress{Kind: "warn", Host: s.Host, Role: s.Role, Step: s.ID, Message: fmt.Sprintf(
		"%s: %s; %s in %s (attempt %d of %d)", describe(s), happened, how, pause, attempt, carryAttempts)})
}

// cutOff tells whether another attempt may help: the connection went, or there is none for now, and nothing was waited for that is slow.
func cutOff(err error) bool {
	stalled, slow := (*StalledError)(nil), (*DeadlineError)(nil)
	return errors.Is(err, state.ErrUnreachable) && !errors.As(err, &stalled) && !errors.As(err, &slow)
}

// standsStill tells whether a connection may be dead without anybody having said so: another shows whether it is the line, or the
// engine. An engine that had everything was waited for long enough.
func standsStill(err error) bool {
	stalled, still := errors.AsType[*StalledError](err)
	_, slow := errors.AsType[*DeadlineError](err)
	return still && stalled.on == forHost || slow
}

// carryOnce sends what the host lacks now.
func (r *run) carryOnce(ctx context.Context, conn *Connection, s plan.Step, image state.Image) error {
	var from int
	var waiting []string
	if !r.cargo.whole { // such an engine takes all of it again
		var err error
		if from, waiting, err = r.arrived(ctx, conn, image.Layers); err != nil {
			return err
		}
	}
	bulk, end, err := bulkOf(ctx, conn)
	if err != nil {
		return err
	}
	defer end()
	v := &voyage{r: r, step: s, to: bulk}
	if r.cargo.whole {
		err = v.whole(ctx, conn)
	} else {
		err = v.layers(ctx, from, &waiting)
		if from > 0 && refused(ctx, err) {
			r.c.report(Progress{Kind: "warn", Host: s.Host, Role: s.Role, Step: s.ID, Message: fmt.Sprintf(
				"%s: the engine did not take the image without the layers that it has, so all of it is sent: %v", describe(s), err)})
			from, v.spared = 0, 0
			err = v.whole(ctx, conn)
		}
	}
	if err != nil {
		return err
	}
	there, err := conn.Engine.Image(ctx, s.Name)
	if err == nil && there.ID != image.ID {
		err = fmt.Errorf("%s arrived as %s instead of %s", s.Name, there.ID, image.ID)
	}
	if err != nil {
		return err
	}
	r.cargo.note(s.Host, func(sum *Carried) {
		sum.There, sum.ThereBytes, sum.Layers = sum.There+from, sum.ThereBytes+v.spared, sum.Layers+len(image.Layers)-from
		if sum.Layers+sum.There > len(image.Layers) { // what earlier attempts brought was there by now
			sum.There = len(image.Layers) - sum.Layers
		}
	})
	r.tidyCarried(ctx, conn, s, waiting)
	return nil
}

// bulkOf gives an engine for what takes long: over a connection of its own, where there is such a way, so that the lock is renewed
// meanwhile as quickly as ever.
func bulkOf(ctx context.Context, conn *Connection) (Engine, func(), error) {
	if conn.Bulk == nil {
		return conn.Engine, func() {}, nil
	}
	engine, end, err := conn.Bulk(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("a connection of its own for the image: %w", err)
	}
	return engine, func() { _ = end() }, nil // what it was for has ended
}

// arrived finds how many of an image's layers a host has, as the lowest of some image there, and the tags under which layers of
// this app wait for the rest.
func (r *run) arrived(ctx context.Context, conn *Connection, layers []string) (height int, waiting []string, err error) {
	images, err := conn.Engine.Images(ctx, "")
	if err != nil {
		return 0, nil, err
	}
	slices.SortStableFunc(images, func(a, b state.Image) int { return cmp.Or(b.Created.Compare(a.Created), cmp.Compare(a.ID, b.ID)) })
	prefix := r.desired.ImageName() + ":" + r.desired.App().CarriedPrefix()
	var mu sync.Mutex
	group, ctx := crewWithin(ctx)
	group.SetLimit(imagesAtOnce)
	for i, image := range images {
		for _, tag := range image.Tags {
			if strings.HasPrefix(tag, prefix) {
				waiting = append(waiting, tag)
			}
		}
		if i >= imagesAtMost {
			continue
		}
		group.Go(func() error {
			there, err := conn.Engine.Image(ctx, image.ID)
			if err != nil {
				return unless(err, state.ErrNotFound) // it went meanwhile
			}
			mu.Lock()
			defer mu.Unlock()
			height = max(height, common(there.Layers, layers))
			return nil
		})
	}
	err = group.Wait()
	return height, waiting, err
}

// common is how many layers two images have in common, from the lowest.
func common(a, b []string) int {
	n := 0
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	return n
}

// stages ends a part of an image behind each layer with which it is large enough to be kept for itself. The last end is the
// image's.
func stages(layers []state.Layer, from int, size int64) (ends []int) {
	var packed int64
	for i := from; i < len(layers)-1; i++ {
		if packed += layers[i].Packed; packed >= size {
			ends, packed = append(ends, i+1), 0
		}
	}
	return append(ends, len(layers))
}

// tidyCarried takes the tags of layers away whose image has come whole.
func (r *run) tidyCarried(ctx context.Context, conn *Connection, s plan.Step, waiting []string) {
	for _, tag := range waiting {
		if err := unless(conn.Engine.RemoveImage(ctx, tag), state.ErrNotFound); err != nil {
			r.c.report(Progress{Kind: "warn", Host: s.Host, Role: s.Role, Step: s.ID, Message: fmt.Sprintf("%s stays, and goes with the next release: %v", tag, err)})
		}
	}
}

// refused tells whether an engine did not like an archive, rather than its layers, its disk or the line.
func refused(ctx context.Context, err error) bool {
	damaged := (*DamagedError)(nil)
	return err != nil && ctx.Err() == nil && !isHere(err) && !errors.Is(err, state.ErrUnreachable) && !errors.Is(err, state.ErrDenied) &&
		!errors.Is(err, ErrLeaseLost) && !isFull(err) && !errors.As(err, &damaged)
}
